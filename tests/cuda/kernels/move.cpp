// Tests of kernels/move.cu.
#include "harness.h"

#include "move.cu"

struct Layout {
    std::vector<int32_t> size;
    std::vector<int64_t> from_stride, to_stride;
    int64_t from_start, to_start;  // elements before the first one that is addressed
    int64_t from_room, to_room;    // elements of the whole buffers
};

template <class T> static void try_move(const Layout &layout, size_t shift) {
    MoveArgs args{};
    args.rank = int32_t(layout.size.size());
    args.bytes = sizeof(T);
    args.count = 1;
    for (int d = 0; d < args.rank; d++) {
        args.count *= layout.size[size_t(d)];
        args.size[d] = layout.size[size_t(d)];
        args.from_stride[d] = layout.from_stride[size_t(d)];
        args.to_stride[d] = layout.to_stride[size_t(d)];
    }
    Buffer<T> from(size_t(layout.from_room), shift), to(size_t(layout.to_room), shift);
    std::vector<T> expected(to.data, to.data + to.size);
    for (size_t i = 0; i < from.size; i++) from[i] = T((i + 1) * 0x0102030405060709ull);
    for (int64_t i = 0; i < args.count; i++) {
        int64_t rest = i, f = layout.from_start, t = layout.to_start;
        for (int d = args.rank - 1; d >= 0; d--) {
            f += rest % args.size[d] * args.from_stride[d];
            t += rest % args.size[d] * args.to_stride[d];
            rest /= args.size[d];
        }
        expected[size_t(t)] = from[size_t(f)];
    }
    args.from = from.data + layout.from_start;
    args.to = to.data + layout.to_start;
    run(move, blocks_for(args.count, 256), 256, 0, args);
    for (size_t i = 0; i < to.size; i++)
        if (to[i] != expected[i]) return failure("move of %d bytes: element %zu", int(sizeof(T)), i);
}
static void try_all(const Layout &layout) {
    try_move<uint8_t>(layout, 1);
    try_move<uint16_t>(layout, 1);
    try_move<uint32_t>(layout, 0);
    try_move<uint64_t>(layout, 1);
}

CASE(transposes) {
    try_all({{5, 7, 3}, {1, 15, 5}, {21, 3, 1}, 0, 0, 105, 105});
    try_all({{2, 3, 2, 3, 2, 5}, {180, 60, 30, 10, 5, 1}, {1, 2, 6, 12, 36, 72}, 0, 0, 360, 360});
}
CASE(slices_backwards_and_into_the_middle) {
    try_all({{4, 6}, {-20, -2}, {9, 1}, 75, 10, 80, 60});
    try_all({{3}, {-1}, {2}, 2, 0, 3, 5});
}
CASE(expands_one_element) { try_all({{9, 70}, {0, 0}, {70, 1}, 0, 0, 1, 630}); }
CASE(more_elements_than_threads) { try_all({{1800}, {1}, {1}, 0, 0, 1800, 1800}); }
CASE(nothing_and_a_scalar) {
    try_all({{0, 5}, {5, 1}, {5, 1}, 0, 0, 1, 1});
    try_all({{}, {}, {}, 0, 0, 1, 1});
}
