// arg_reduce: the place of an extreme; top_k: the k extremes, sorted; cum_sum: running sums.
//
// arg_reduce: a warp works on a row of [outer, axis, inner].
// Launch: any grid, block 256, no dynamic shared memory; one dimension, 8 rows a block, rows in strides of the grid.
//
// top_k: a block works on a row: it sorts (value, index) pairs in shared memory by a bitonic network (Batcher, 1968), which needs
// no order among equal values, since the index is part of what is compared.
// Launch: grid of up to outer * inner blocks, block 256, dynamic shared memory 12 * P bytes where P is the least power of two
// that is not below `axis` (at most 4096: 48 KiB, which needs no opting in).
//
// cum_sum: a warp works on a row, 32 elements at a time (a scan by shuffles; Hillis and Steele, 1986).
// Launch: as arg_reduce.
#include "common.cuh"

// A number of any type as bits that order as the numbers do, NaN above all. -0 and 0 are one.
__device__ __forceinline__ uint64_t ordered(const void *data, int64_t at, int32_t type) {
    constexpr uint64_t SIGN = uint64_t(1) << 63;
    if (type == TYPE_U64) return static_cast<const uint64_t *>(data)[at];
    if (!is_float(type)) return uint64_t(load<int64_t>(data, at, type)) ^ SIGN;
    const double v = load<double>(data, at, type);
    if (v != v) return ~uint64_t(0);
    const uint64_t bits = uint64_t(__double_as_longlong(v == 0 ? 0.0 : v));
    return bits & SIGN ? ~bits : bits ^ SIGN;
}
// Element `at` of a row, such that the wanted one is largest.
__device__ __forceinline__ uint64_t rank_of(const void *data, int64_t at, int32_t type, bool smallest) {
    const uint64_t bits = ordered(data, at, type);
    return smallest ? ~bits : bits;
}

extern "C" __global__ void __launch_bounds__(256) arg_reduce(const __grid_constant__ ArgReduceArgs args) {
    const unsigned lane = threadIdx.x % 32, warps = blockDim.x / 32;
    const int64_t rows = args.outer * args.inner;
    for (int64_t row = int64_t(blockIdx.x) * warps + threadIdx.x / 32; row < rows; row += int64_t(gridDim.x) * warps) {
        const int64_t start = row / args.inner * args.axis * args.inner + row % args.inner;
        uint64_t best = 0;
        int64_t place = -1;
        // `last` has no say among NaNs: the first one wins, as it stays NaN from there on.
        auto consider = [&](uint64_t rank, int64_t at, bool is_nan) {
            if (at < 0) return;
            const bool later = args.last && !is_nan ? at > place : at < place;
            if (place < 0 || rank > best || (rank == best && later)) {
                best = rank;
                place = at;
            }
        };
        for (int64_t i = lane; i < args.axis; i += 32) {
            const int64_t at = start + i * args.inner;
            const uint64_t bits = ordered(args.from, at, args.type);
            const bool is_nan = is_float(args.type) && bits == ~uint64_t(0);
            consider(is_nan ? bits : args.min ? ~bits : bits, i, is_nan);
        }
        for (int distance = 16; distance > 0; distance >>= 1) {
            const uint64_t rank = __shfl_xor_sync(FULL_WARP, best, distance);
            const int64_t at = __shfl_xor_sync(FULL_WARP, place, distance);
            consider(rank, at, is_float(args.type) && rank == ~uint64_t(0));
        }
        if (lane == 0) args.to[row] = place;
    }
}

extern "C" __global__ void __launch_bounds__(256) top_k(const __grid_constant__ TopKArgs args) {
    SHARED_DYN(uint64_t, ranks);
    int32_t padded = 1;
    while (padded < args.axis) padded *= 2;
    int32_t *places = reinterpret_cast<int32_t *>(ranks + padded);
    const int64_t rows = args.outer * args.inner;
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        const int64_t o = row / args.inner, n = row % args.inner, start = o * args.axis * args.inner + n;
        for (int32_t i = int32_t(threadIdx.x); i < padded; i += int32_t(blockDim.x)) {
            ranks[i] = i < args.axis ? rank_of(args.from, start + i * args.inner, args.type, args.smallest) : 0;
            places[i] = i; // what pads comes behind everything: rank 0, and a larger place
        }
        for (int32_t length = 2; length <= padded; length *= 2) {
            for (int32_t distance = length / 2; distance > 0; distance /= 2) {
                __syncthreads();
                for (int32_t t = int32_t(threadIdx.x); t < padded / 2; t += int32_t(blockDim.x)) {
                    const int32_t i = t / distance * distance * 2 + t % distance, j = i + distance;
                    const bool i_first = ranks[i] > ranks[j] || (ranks[i] == ranks[j] && places[i] < places[j]);
                    if (i_first == ((i & length) == 0)) continue;
                    const uint64_t rank = ranks[i];
                    const int32_t place = places[i];
                    ranks[i] = ranks[j];
                    places[i] = places[j];
                    ranks[j] = rank;
                    places[j] = place;
                }
            }
        }
        __syncthreads();
        const int32_t bytes = args.type == TYPE_F64 || args.type == TYPE_I64 || args.type == TYPE_U64 ? 8
                              : args.type == TYPE_F32 || args.type == TYPE_I32 || args.type == TYPE_U32 ? 4
                              : args.type == TYPE_U8 || args.type == TYPE_I8 || args.type == TYPE_BOOL ? 1 : 2;
        for (int32_t i = int32_t(threadIdx.x); i < args.k; i += int32_t(blockDim.x)) {
            const int64_t to = (o * args.k + i) * args.inner + n;
            if (args.values) store_bits(args.values, to, bytes, load_bits(args.from, start + places[i] * args.inner, bytes));
            if (args.indices) args.indices[to] = places[i];
        }
        // No barrier before the next row is read in: each thread has just read those places that it will write.
    }
}

template <class C> __device__ __forceinline__ void scan_rows(const CumSumArgs &args) {
    const unsigned lane = threadIdx.x % 32, warps = blockDim.x / 32;
    const int64_t rows = args.outer * args.inner;
    for (int64_t row = int64_t(blockIdx.x) * warps + threadIdx.x / 32; row < rows; row += int64_t(gridDim.x) * warps) {
        const int64_t start = row / args.inner * args.axis * args.inner + row % args.inner;
        C before = 0;
        for (int64_t base = 0; base < args.axis; base += 32) {
            const int64_t i = base + lane;
            const bool inside = i < args.axis;
            const int64_t at = start + (args.reverse ? args.axis - 1 - i : i) * args.inner;
            const C own = inside ? load<C>(args.from, at, args.type) : C(0);
            C sum = own;
#pragma unroll
            for (unsigned distance = 1; distance < 32; distance *= 2) {
                const C left = __shfl_up_sync(FULL_WARP, sum, distance);
                if (lane >= distance) sum = Sum()(left, sum);
            }
            const C total = __shfl_sync(FULL_WARP, sum, 31), left = __shfl_up_sync(FULL_WARP, sum, 1u);
            // Not sum - own: an infinity would leave no number.
            if (inside) store<C>(args.to, at, args.type, Sum()(before, !args.exclusive ? sum : lane ? left : C(0)));
            before = Sum()(before, total);
        }
    }
}

extern "C" __global__ void __launch_bounds__(256) cum_sum(const __grid_constant__ CumSumArgs args) {
    if (args.type == TYPE_F64) scan_rows<double>(args);
    else if (is_float(args.type)) scan_rows<float>(args);
    else scan_rows<int64_t>(args);
}
