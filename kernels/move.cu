// move: strided copies; fill: one value many times; pad: edges, reflections, wrapping.
//
// Launch: any grid, block 256, no shared memory; one dimension, grid-stride over the elements of `to`.
#include "common.cuh"

// to[i] = from[i] for every index i of `size`, each side with its own strides.
extern "C" __global__ void __launch_bounds__(256) move(const MoveArgs args) {
    for (int64_t i = first_of_thread(); i < args.count; i += grid_step()) {
        int64_t rest = i, from = 0, to = 0;
#pragma unroll
        for (int d = MAX_RANK - 1; d >= 0; d--) {
            if (d >= args.rank) continue;
            int64_t index = take_index(rest, args.size[d]);
            from += index * args.from_stride[d];
            to += index * args.to_stride[d];
        }
        store_bits(args.to, to, args.bytes, load_bits(args.from, from, args.bytes));
    }
}

extern "C" __global__ void __launch_bounds__(256) fill(const FillArgs args) {
    for (int64_t i = first_of_thread(); i < args.count; i += grid_step()) store_bits(args.to, i, args.bytes, args.pattern);
}

// Where an index that may lie outside of 0..size takes its element from.
__device__ __forceinline__ int64_t inside(int64_t index, int64_t size, int32_t mode) {
    if (index >= 0 && index < size) return index;
    if (mode == 1) return index < 0 ? 0 : size - 1;
    const int64_t period = mode == 2 ? (size > 1 ? 2 * (size - 1) : 1) : size;
    int64_t at = index % period;
    if (at < 0) at += period;
    return mode == 2 && at >= size ? period - at : at;
}
extern "C" __global__ void __launch_bounds__(256) pad(const __grid_constant__ PadArgs args) {
    for (int64_t i = first_of_thread(); i < args.count; i += grid_step()) {
        int64_t rest = i, from = 0, stride = 1;
#pragma unroll
        for (int d = MAX_RANK - 1; d >= 0; d--) {
            if (d >= args.rank) continue;
            const int64_t index = take_index(rest, args.to_size[d]);
            from += inside(index - args.before[d], args.from_size[d], args.mode) * stride;
            stride *= args.from_size[d];
        }
        store_bits(args.to, i, args.bytes, load_bits(args.from, from, args.bytes));
    }
}
