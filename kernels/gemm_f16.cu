// gemm_f16: matrix products of f16 on tensor cores (mma.sync m16n8k16), accumulated in f32, where cuBLASLt is absent.
//
// A block computes 64 x 64 results, each of its four warps 32 x 32 of them, from tiles of 64 x 32 of both operands in shared
// memory, whose rows run along k: the pairs that a fragment wants then lie in one word. Who holds which element of a fragment
// stands in the PTX ISA, "Matrix Fragments for mma.m16n8k16".
//
// Launch: grid (ceil(m / 64), ceil(n / 64), batches up to 65535; more are walked through), block 128, no dynamic shared memory.
#include "activation.cuh"

constexpr int HALF_TILE = 64, HALF_TILE_K = 32;
// Words (pairs of f16) of a tile's row: four more than needed, so that a fragment's words lie in 32 different banks.
constexpr int HALF_ROW = HALF_TILE_K / 2 + 4;

__device__ __forceinline__ void tensor_product(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if defined(GPU_HOST_SHIM)
    shim_mma_m16n8k16(d, a, b);
#else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// Copies 64 x 32 elements of an operand from (outer, k) on, with zeros beyond its edges. Neighbouring threads read along whichever
// side lies together.
__device__ __forceinline__ void stage(uint32_t *tile, const uint16_t *data, int64_t outer_stride, int64_t k_stride, int32_t outer,
                                      int32_t outer_size, int32_t k, int32_t k_size) {
    uint16_t *halves = reinterpret_cast<uint16_t *>(tile);
#pragma unroll 4
    for (int i = int(threadIdx.x); i < HALF_TILE * HALF_TILE_K; i += 128) {
        const int o = k_stride == 1 ? i / HALF_TILE_K : i % HALF_TILE, j = k_stride == 1 ? i % HALF_TILE_K : i / HALF_TILE;
        const bool inside = outer + o < outer_size && k + j < k_size;
        halves[o * HALF_ROW * 2 + j] = inside ? data[(outer + o) * outer_stride + (k + j) * k_stride] : uint16_t(0);
    }
}
// Adds the product of two staged tiles to this warp's 2 x 4 fragments.
__device__ __forceinline__ void multiply_staged(float (&sum)[2][4][4], const uint32_t *a_tile, const uint32_t *b_tile) {
    const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32;
    const int row = warp / 2 * 32 + lane / 4, column = warp % 2 * 32 + lane / 4;
#pragma unroll
    for (int k = 0; k < HALF_TILE_K / 2; k += 8) { // words
        uint32_t b[4][2];
#pragma unroll
        for (int n = 0; n < 4; n++) {
            const uint32_t *at = b_tile + (column + n * 8) * HALF_ROW + k + lane % 4;
            b[n][0] = at[0];
            b[n][1] = at[4];
        }
#pragma unroll
        for (int m = 0; m < 2; m++) {
            const uint32_t *at = a_tile + (row + m * 16) * HALF_ROW + k + lane % 4;
            const uint32_t a[4] = {at[0], at[8 * HALF_ROW], at[4], at[8 * HALF_ROW + 4]};
#pragma unroll
            for (int n = 0; n < 4; n++) tensor_product(sum[m][n], a, b[n]);
        }
    }
}

extern "C" __global__ void __launch_bounds__(128) gemm_f16(const __grid_constant__ GemmArgs args) {
    __shared__ uint32_t a_tile[HALF_TILE * HALF_ROW];
    __shared__ uint32_t b_tile[HALF_TILE * HALF_ROW];
    const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32;
    const int32_t row0 = int32_t(blockIdx.x) * HALF_TILE, column0 = int32_t(blockIdx.y) * HALF_TILE;
    const int64_t batches = int64_t(args.batch0) * args.batch1;
    for (int64_t batch = blockIdx.z; batch < batches; batch += gridDim.z) {
        const int64_t i1 = batch / args.batch0, i0 = batch % args.batch0;
        const uint16_t *a = static_cast<const uint16_t *>(args.a) + i1 * args.a_batch1 + i0 * args.a_batch0;
        const uint16_t *b = static_cast<const uint16_t *>(args.b) + i1 * args.b_batch1 + i0 * args.b_batch0;
        float sum[2][4][4] = {};
        for (int32_t k = 0; k < args.k; k += HALF_TILE_K) {
            stage(a_tile, a, args.a_row, args.a_col, row0, args.m, k, args.k);
            stage(b_tile, b, args.b_col, args.b_row, column0, args.n, k, args.k);
            __syncthreads();
            multiply_staged(sum, a_tile, b_tile);
            __syncthreads(); // before the tiles are written anew
        }
        const uint16_t *c = static_cast<const uint16_t *>(args.c);
        if (c) c += i1 * args.c_batch1 + i0 * args.c_batch0;
        uint16_t *d = static_cast<uint16_t *>(args.d) + i1 * args.d_batch1 + i0 * args.d_batch0;
#pragma unroll
        for (int e = 0; e < 2 * 4 * 4; e++) {
            const int m = e / 16, n = e / 4 % 4, i = e % 4;
            const int32_t row = row0 + warp / 2 * 32 + m * 16 + lane / 4 + i / 2 * 8;
            const int32_t column = column0 + warp % 2 * 32 + n * 8 + lane % 4 * 2 + i % 2;
            if (row >= args.m || column >= args.n) continue;
            float value = args.alpha * sum[m][n][i];
            if (c) value += args.beta * half_to_float(c[row * args.c_row + column * args.c_col]);
            d[row * args.d_row + column] = float_to_half(activate(value, args.activation, args.slope));
        }
    }
}
