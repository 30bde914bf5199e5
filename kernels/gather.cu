// gather, gather_elements, gather_nd: elements by index; one_hot: an index as a row of `off` with one `on`.
//
// An index out of range never leads to a read: the element becomes zero, and *fault says which index it was.
//
// Launch: any grid, block 256, no shared memory; one dimension, grid-stride over the elements of `to`.
#include "common.cuh"

// Index `at`, counted from the end where it is negative. False where it is not within 0..size; then *fault is set.
__device__ __forceinline__ bool take(const void *indices, int64_t at, int32_t type, int64_t size, int32_t *fault, int64_t &index) {
    index = type == TYPE_I32 ? static_cast<const int32_t *>(indices)[at] : static_cast<const int64_t *>(indices)[at];
    if (index < 0) index += size;
    if (index >= 0 && index < size) return true;
    atomicMax(fault, at < 0x7ffffffe ? int32_t(at) + 1 : 0x7fffffff);
    return false;
}

extern "C" __global__ void __launch_bounds__(256) gather(const __grid_constant__ GatherArgs args) {
    const int64_t count = args.outer * args.indices * args.inner;
    for (int64_t i = first_of_thread(); i < count; i += grid_step()) {
        const int64_t n = i % args.inner, rest = i / args.inner, at = rest % args.indices, o = rest / args.indices;
        int64_t index;
        const bool found = take(args.index, at, args.index_type, args.axis, args.fault, index);
        store_bits(args.to, i, args.bytes, found ? load_bits(args.from, (o * args.axis + index) * args.inner + n, args.bytes) : 0);
    }
}

extern "C" __global__ void __launch_bounds__(256) gather_elements(const __grid_constant__ GatherElementsArgs args) {
    const int64_t count = args.outer * args.to_axis * args.inner;
    for (int64_t i = first_of_thread(); i < count; i += grid_step()) {
        const int64_t n = i % args.inner, o = i / args.inner / args.to_axis;
        int64_t index;
        const bool found = take(args.index, i, args.index_type, args.from_axis, args.fault, index);
        store_bits(args.to, i, args.bytes, found ? load_bits(args.from, (o * args.from_axis + index) * args.inner + n, args.bytes) : 0);
    }
}

extern "C" __global__ void __launch_bounds__(256) gather_nd(const __grid_constant__ GatherNdArgs args) {
    const int64_t count = args.batches * args.tuples * args.slice;
    for (int64_t i = first_of_thread(); i < count; i += grid_step()) {
        const int64_t s = i % args.slice, tuple = i / args.slice, batch = tuple / args.tuples;
        int64_t from = batch * args.from_batch + s;
        bool found = true;
        for (int32_t d = 0; d < args.depth; d++) {
            int64_t index;
            if (take(args.index, tuple * args.depth + d, args.index_type, args.size[d], args.fault, index)) from += index * args.stride[d];
            else found = false;
        }
        store_bits(args.to, i, args.bytes, found ? load_bits(args.from, from, args.bytes) : 0);
    }
}

extern "C" __global__ void __launch_bounds__(256) one_hot(const __grid_constant__ OneHotArgs args) {
    const uint64_t off = load_bits(args.off_on, 0, args.bytes), on = load_bits(args.off_on, 1, args.bytes);
    const int64_t count = args.outer * args.depth * args.inner;
    for (int64_t i = first_of_thread(); i < count; i += grid_step()) {
        const int64_t n = i % args.inner, rest = i / args.inner, d = rest % args.depth, o = rest / args.depth;
        int64_t index = load<int64_t>(args.index, o * args.inner + n, args.index_type);
        if (index < 0) index += args.depth;
        store_bits(args.to, i, args.bytes, index == d ? on : off);
    }
}
