// gemm_f32: matrix products in single precision (FMA, no TF32), any strides, batches, bias and activation in one launch.
//
// Launch: grid (ceil(m / 64), ceil(n / 64), batches up to 65535; more are walked through), block 256, no dynamic shared memory.
// Rows or columns that lie together, start at a multiple of 16 bytes and are multiples of 4 apart are read four at a time.
#include "gemm_body.cuh"

extern "C" __global__ void __launch_bounds__(256) gemm_f32(const __grid_constant__ GemmArgs args) {
    __shared__ __align__(16) float tiles[2 * TILE_SIZE];
    gemm(args, tiles);
}
