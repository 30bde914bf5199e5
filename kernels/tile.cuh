// The middle of a tiled product, shared by gemm.cu, gemm_f64.cu and conv.cu: 256 threads compute 64 x 64 results, 4 x 4 each, from
// tiles of 64 x 16 and 16 x 64 in shared memory (the register-blocked scheme of Volkov and Demmel, SC 2008).
#pragma once
#include "common.cuh"

constexpr int TILE = 64, TILE_K = 16, TILE_THREADS = 256;
// A row of a tile in shared memory; four more than needed, so that a column does not lie in one bank.
constexpr int TILE_ROW = TILE + 4;
constexpr int TILE_SIZE = TILE_K * TILE_ROW; // elements of one tile

template <class T> struct alignas(16) Four { T v[4]; };

// Four elements `step` apart, zero from `available` on. `whole`: they are one aligned load.
template <class T>
__device__ __forceinline__ Four<T> load_four(const T *from, int64_t step, int64_t available, bool whole) {
    Four<T> four;
    if (whole && available >= 4) return *reinterpret_cast<const Four<T> *>(from);
#pragma unroll
    for (int j = 0; j < 4; j++) four.v[j] = j < available ? from[j * step] : T(0);
    return four;
}

// One operand of the product: `outer` counts its rows (A) or columns (B). Threads read along whichever side lies together.
template <class T> struct Side {
    const T *data;
    int64_t outer_stride, k_stride;
    int32_t outer_size, k_size;
    bool along_k, whole;

    __device__ __forceinline__ Side(const T *at, int64_t outer, int64_t k, int32_t outer_n, int32_t k_n)
        : data(at), outer_stride(outer), k_stride(k), outer_size(outer_n), k_size(k_n), along_k(k == 1 && outer != 1) {
        const int64_t between = along_k ? outer : k, within = along_k ? k : outer;
        whole = sizeof(T) == 4 && within == 1 && between % 4 == 0 && reinterpret_cast<uint64_t>(at) % 16 == 0;
    }
    // This thread's four elements of the tile at (outer, k).
    __device__ __forceinline__ Four<T> fetch(int32_t outer, int32_t k) const {
        const int32_t t = int32_t(threadIdx.x);
        if (along_k) {
            outer += t / 4;
            k += t % 4 * 4;
            if (outer >= outer_size || k >= k_size) return load_four(data, 0, 0, false);
            return load_four(data + outer * outer_stride + k * k_stride, k_stride, int64_t(k_size) - k, whole);
        }
        k += t / 16;
        outer += t % 16 * 4;
        if (outer >= outer_size || k >= k_size) return load_four(data, 0, 0, false);
        return load_four(data + outer * outer_stride + k * k_stride, outer_stride, int64_t(outer_size) - outer, whole);
    }
    __device__ __forceinline__ void keep(T *tile, const Four<T> &four) const {
        const int32_t t = int32_t(threadIdx.x);
        if (along_k) {
#pragma unroll
            for (int j = 0; j < 4; j++) tile[(t % 4 * 4 + j) * TILE_ROW + t / 4] = four.v[j];
        } else {
            *reinterpret_cast<Four<T> *>(tile + t / 16 * TILE_ROW + t % 16 * 4) = four;
        }
    }
};

// sum[i][j] += tile of A (rows threadIdx.x / 16 * 4 + i) times tile of B (columns threadIdx.x % 16 * 4 + j).
template <class T> __device__ __forceinline__ void multiply_tiles(T (&sum)[4][4], const T *a_tile, const T *b_tile) {
    const int row = int(threadIdx.x) / 16 * 4, column = int(threadIdx.x) % 16 * 4;
#pragma unroll
    for (int k = 0; k < TILE_K; k++) {
        const Four<T> a = *reinterpret_cast<const Four<T> *>(a_tile + k * TILE_ROW + row);
        const Four<T> b = *reinterpret_cast<const Four<T> *>(b_tile + k * TILE_ROW + column);
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) sum[i][j] += a.v[i] * b.v[j];
    }
}
// The whole loop over k. While one tile is multiplied the next is on its way. Every thread of the block calls this.
template <class T, class A, class B>
__device__ __forceinline__ void multiply(T (&sum)[4][4], const A &a, const B &b, int32_t row, int32_t column, int32_t k_size, T *a_tile, T *b_tile) {
    Four<T> next_a = a.fetch(row, 0), next_b = b.fetch(column, 0);
    for (int32_t k = 0; k < k_size; k += TILE_K) {
        a.keep(a_tile, next_a);
        b.keep(b_tile, next_b);
        __syncthreads();
        if (k + TILE_K < k_size) {
            next_a = a.fetch(row, k + TILE_K);
            next_b = b.fetch(column, k + TILE_K);
        }
        multiply_tiles(sum, a_tile, b_tile);
        __syncthreads(); // before the tiles are written anew
    }
}
