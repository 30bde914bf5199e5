// gemm_f32 and gemm_f64: the same product in two types.
#pragma once
#include "activation.cuh"
#include "tile.cuh"

// tiles: 2 * TILE_SIZE elements of shared memory.
template <class T> __device__ __forceinline__ void gemm(const GemmArgs &args, T *tiles) {
    const int32_t row0 = int32_t(blockIdx.x) * TILE, column0 = int32_t(blockIdx.y) * TILE;
    const int64_t batches = int64_t(args.batch0) * args.batch1;
    for (int64_t batch = blockIdx.z; batch < batches; batch += gridDim.z) {
        const int64_t i1 = batch / args.batch0, i0 = batch % args.batch0;
        const Side<T> a(static_cast<const T *>(args.a) + i1 * args.a_batch1 + i0 * args.a_batch0, args.a_row, args.a_col, args.m, args.k);
        const Side<T> b(static_cast<const T *>(args.b) + i1 * args.b_batch1 + i0 * args.b_batch0, args.b_col, args.b_row, args.n, args.k);
        T sum[4][4] = {};
        multiply(sum, a, b, row0, column0, args.k, tiles, tiles + TILE_SIZE);

        const T *c = static_cast<const T *>(args.c);
        if (c) c += i1 * args.c_batch1 + i0 * args.c_batch0;
        T *d = static_cast<T *>(args.d) + i1 * args.d_batch1 + i0 * args.d_batch0;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int32_t row = row0 + int32_t(threadIdx.x) / 16 * 4 + i;
            if (row >= args.m) break;
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const int32_t column = column0 + int32_t(threadIdx.x) % 16 * 4 + j;
                if (column >= args.n) break;
                T value = T(args.alpha) * sum[i][j];
                if (c) value += T(args.beta) * c[row * args.c_row + column * args.c_col];
                d[row * args.d_row + column] = activate(value, args.activation, args.slope);
            }
        }
    }
}
