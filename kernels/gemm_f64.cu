// gemm_f64: as gemm_f32, in double precision.
//
// Launch: grid (ceil(m / 64), ceil(n / 64), batches up to 65535; more are walked through), block 256, no dynamic shared memory.
#include "gemm_body.cuh"

extern "C" __global__ void __launch_bounds__(256) gemm_f64(const __grid_constant__ GemmArgs args) {
    __shared__ __align__(16) double tiles[2 * TILE_SIZE];
    gemm(args, tiles);
}
