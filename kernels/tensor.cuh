// The middle of a product on tensor cores, shared by gemm_tensor.cu and conv_tensor.cu.
//
// A block computes ROWS x COLUMNS results. Three stages lie in shared memory, each with a tile of both operands that is 64 bytes deep
// along k: while one is multiplied the next two are on their way. A warp computes MT x NT products of one instruction (16 x 8), whose
// operands it loads from the tiles as fragments. Chunks of 16 bytes are exchanged within a tile so that the eight which are
// loaded or stored together lie in different banks.
//
// T is what is multiplied: Half, Bfloat, or float for TF32. Results come out by `finish`.
#pragma once
#include "activation.cuh"
#include "mma.cuh"

// How a block is divided: warps down and across, and instructions of a warp down and across.
template <int WARPS_M, int WARPS_N, int MT_, int NT_> struct Division {
    static constexpr int MT = MT_, NT = NT_, THREADS = WARPS_M * WARPS_N * 32;
    static constexpr int ROWS = WARPS_M * MT * 16, COLUMNS = WARPS_N * NT * 8;
    static_assert(NT == 4, "finish() has a lane for each column of a warp");
    // The first row and column of this thread's warp.
    __device__ static __forceinline__ int row() { return int(threadIdx.x) / 32 / WARPS_N * MT * 16; }
    __device__ static __forceinline__ int column() { return int(threadIdx.x) / 32 % WARPS_N * NT * 8; }
};
using Small = Division<2, 2, 2, 4>; // 64 x 64, 128 threads
using Large = Division<2, 4, 4, 4>; // 128 x 128, 256 threads

constexpr int STAGES = 3, DEPTH = 64; // bytes of a tile along k

// One operand's tile: OUTER rows of A (columns of B). ALONG_K: what lies together in memory runs along k, and so it does here; else
// it runs along the rows.
template <class T, int OUTER, bool ALONG_K_> struct Tile {
    static constexpr bool ALONG_K = ALONG_K_;
    static constexpr int EACH = 16 / int(sizeof(T)), K = DEPTH / int(sizeof(T)), BYTES = OUTER * DEPTH; // EACH: numbers in a chunk
    // Where the chunk that begins with this number lies.
    __device__ static __forceinline__ int place(int outer, int k) {
        if (ALONG_K) return outer * DEPTH + ((k / EACH) ^ (outer / 2 % 4)) * 16;
        const int turned = sizeof(T) == 2 ? k % 8 : k % 4 * 2;
        return k * OUTER * int(sizeof(T)) + ((outer / EACH) ^ turned) * 16;
    }
};

__device__ __forceinline__ void multiply_fragments(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, Half) { mma_f16(d, a, b0, b1); }
__device__ __forceinline__ void multiply_fragments(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, Bfloat) { mma_bf16(d, a, b0, b1); }
__device__ __forceinline__ void multiply_fragments(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, float) { mma_tf32(d, a, b0, b1); }

// Four parts of 8 rows by 16 bytes of k: for A the rows `outer` and the eight below, and again 16 bytes on along k; for B the columns
// `outer`, again 16 bytes on, and the same of the eight columns behind. `k` counts numbers.
template <class T, bool OF_A, class Tiled>
__device__ __forceinline__ void load_fragments(uint32_t (&to)[4], const unsigned char *tile, int outer, int k) {
    const int lane = int(threadIdx.x) % 32, part = lane / 8, within = lane % 8;
    const int outer_part = OF_A ? part % 2 : part / 2, k_part = OF_A ? part / 2 : part % 2;
    if (Tiled::ALONG_K) {
        load_matrices(to, tile + Tiled::place(outer + outer_part * 8 + within, k + k_part * Tiled::EACH));
    } else if (sizeof(T) == 2) {
        load_matrices_transposed(to, tile + Tiled::place(outer + outer_part * 8, k + k_part * Tiled::EACH + within));
    } else {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int o = outer + (OF_A ? i % 2 : i / 2) * 8 + lane / 4, j = k + (OF_A ? i / 2 : i % 2) * 4 + lane % 4;
            to[i] = *reinterpret_cast<const uint32_t *>(tile + Tiled::place(o, j) + o % 4 * 4);
        }
    }
    if (sizeof(T) == 4) {
#pragma unroll
        for (int i = 0; i < 4; i++) to[i] = round_to_tf32(to[i]);
    }
}
template <class T, class D, class A, class B>
__device__ __forceinline__ void multiply_stage(float (&sum)[D::MT][D::NT][4], const unsigned char *a_tile, const unsigned char *b_tile) {
#pragma unroll
    for (int k = 0; k < A::K; k += 2 * A::EACH) {
        uint32_t b[D::NT / 2][4];
#pragma unroll
        for (int n = 0; n < D::NT / 2; n++) load_fragments<T, false, B>(b[n], b_tile, D::column() + n * 16, k);
#pragma unroll
        for (int m = 0; m < D::MT; m++) {
            uint32_t a[4];
            load_fragments<T, true, A>(a, a_tile, D::row() + m * 16, k);
#pragma unroll
            for (int n = 0; n < D::NT; n++) multiply_fragments(sum[m][n], a, b[n / 2][n % 2 * 2], b[n / 2][n % 2 * 2 + 1], T());
        }
    }
}

// One operand by strides. Where what lies together starts at a multiple of 16 bytes in every row it is copied in chunks, else number
// by number.
template <class T, class D, int OUTER, bool ALONG_K> struct Strided {
    using Tiled = Tile<T, OUTER, ALONG_K>;
    const T *data;
    int64_t outer_stride, k_stride;
    int32_t outer, outer_size, k_size; // `outer`: the block's first
    bool whole;

    __device__ __forceinline__ Strided(const T *at, int64_t outer_by, int64_t k_by, int32_t first, int32_t outer_n, int32_t k_n)
        : data(at), outer_stride(outer_by), k_stride(k_by), outer(first), outer_size(outer_n), k_size(k_n) {
        const int64_t within = ALONG_K ? k_by : outer_by, between = ALONG_K ? outer_by : k_by;
        const bool one = (ALONG_K ? outer_n : k_n) == 1;
        whole = within == 1 && (one || between % Tiled::EACH == 0) && reinterpret_cast<uint64_t>(at) % 16 == 0;
    }
    // Begins to copy the tile at k; numbers beyond the edges are zero.
    __device__ __forceinline__ void fetch(unsigned char *tile, int32_t k) const {
#pragma unroll
        for (int i = 0; i < OUTER * 4 / D::THREADS; i++) {
            const int chunk = int(threadIdx.x) + i * D::THREADS, line = OUTER / Tiled::EACH; // chunks of a line along the rows
            const int o = ALONG_K ? chunk / 4 : chunk % line * Tiled::EACH, j = ALONG_K ? chunk % 4 * Tiled::EACH : chunk / line;
            const bool inside = outer + o < outer_size && k + j < k_size;
            const int32_t left = !inside ? 0 : ALONG_K ? k_size - k - j : outer_size - outer - o;
            const T *from = inside ? data + (outer + o) * outer_stride + (k + j) * k_stride : data;
            unsigned char *to = tile + Tiled::place(o, j);
            if (whole) copy_16(to, from, uint32_t(left < Tiled::EACH ? left : Tiled::EACH) * uint32_t(sizeof(T)));
            else copy_scattered(to, from, ALONG_K ? k_stride : outer_stride, left);
        }
    }
    __device__ __forceinline__ void keep(unsigned char *) const {}

  private:
    __device__ static __forceinline__ void copy_scattered(unsigned char *to, const T *from, int64_t step, int32_t left) {
        if (sizeof(T) == 4) {
#pragma unroll
            for (int i = 0; i < 4; i++) copy_4(to + i * 4, i < left ? from + i * step : from, i < left ? 4 : 0);
            return;
        }
        // There is no asynchronous copy of two bytes.
        const uint16_t *bits = reinterpret_cast<const uint16_t *>(from);
        uint32_t word[4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const uint32_t low = i * 2 < left ? bits[i * 2 * step] : 0, high = i * 2 + 1 < left ? bits[(i * 2 + 1) * step] : 0;
            word[i] = low | high << 16;
        }
        *reinterpret_cast<uint4 *>(to) = uint4{word[0], word[1], word[2], word[3]};
    }
};

// The whole loop over k. Every thread of the block calls this; `shared` has STAGES times both tiles, and is free again on return.
template <class T, class D, class A, class B>
__device__ __forceinline__ void multiply_tensor(float (&sum)[D::MT][D::NT][4], A &a, B &b, int32_t k_size, unsigned char *shared) {
    using InA = typename A::Tiled;
    using InB = typename B::Tiled;
    constexpr int STAGE = InA::BYTES + InB::BYTES;
    const int32_t count = (k_size + InA::K - 1) / InA::K;
#pragma unroll 1
    for (int32_t next = 0; next < STAGES - 1; next++) {
        if (next < count) {
            a.fetch(shared + next * STAGE, next * InA::K);
            b.fetch(shared + next * STAGE + InA::BYTES, next * InA::K);
            b.keep(shared + next * STAGE + InA::BYTES);
        }
        copies_group();
    }
    for (int32_t now = 0; now < count; now++) {
        copies_wait<STAGES - 2>(); // the stage that comes now is there,
        __syncthreads();           // what others copied of it too, and the one before was multiplied by all
        const int32_t next = now + STAGES - 1;
        unsigned char *const free = shared + next % STAGES * STAGE, *const full = shared + now % STAGES * STAGE;
        if (next < count) {
            a.fetch(free, next * InA::K);
            b.fetch(free + InA::BYTES, next * InA::K);
        }
        copies_group();
        multiply_stage<T, D, InA, InB>(sum, full, full + InA::BYTES);
        if (next < count) b.keep(free + InA::BYTES);
    }
    __syncthreads();
}

// Words of a row of what finish() exchanges: eight more than there are columns, so that four rows lie in different banks.
constexpr int EXCHANGE_ROW = 32 + 8;

// Gives each lane the results of one column, and writes them: `write.quick(row, value)` where `write.is_quick`, else
// `write.any(row, value)`, which may take long; rows count from the warp's first. `shared` is what multiply_tensor had.
template <class D, class Write>
__device__ __forceinline__ void finish(const float (&sum)[D::MT][D::NT][4], const Write &write, unsigned char *shared) {
    const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32;
    float *exchange = reinterpret_cast<float *>(shared) + warp * 16 * EXCHANGE_ROW;
#pragma unroll
    for (int m = 0; m < D::MT; m++) {
#pragma unroll
        for (int n = 0; n < D::NT; n++) {
            float2 *to = reinterpret_cast<float2 *>(exchange + lane / 4 * EXCHANGE_ROW + n * 8 + lane % 4 * 2);
            to[0] = float2{sum[m][n][0], sum[m][n][1]};
            to[8 * EXCHANGE_ROW / 2] = float2{sum[m][n][2], sum[m][n][3]};
        }
        __syncwarp();
        if (write.is_quick) {
#pragma unroll
            for (int row = 0; row < 16; row++) write.quick(m * 16 + row, exchange[row * EXCHANGE_ROW + lane]);
        } else {
#pragma unroll 1
            for (int row = 0; row < 16; row++) write.any(m * 16 + row, exchange[row * EXCHANGE_ROW + lane]);
        }
        __syncwarp(); // before the next rows are written there
    }
}
