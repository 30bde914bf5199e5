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
