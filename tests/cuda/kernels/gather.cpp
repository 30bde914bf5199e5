// Tests of kernels/gather.cu.
#include "harness.h"

#include "gather.cu"

template <class T> static T mark(int64_t i) { return T(uint64_t(i + 1) * 0x0102030405060709u); }

template <class T, class I> static void try_gather(int64_t outer, int64_t axis, int64_t inner, std::vector<I> index, int32_t expected_fault) {
    Buffer<T> from(size_t(outer * axis * inner), 1), to(size_t(outer * inner) * index.size(), 1);
    Buffer<I> indices(index.size(), 1);
    Buffer<int32_t> fault(1);
    fault[0] = 0;
    for (size_t i = 0; i < from.size; i++) from[i] = mark<T>(int64_t(i));
    std::copy(index.begin(), index.end(), indices.data);
    run(gather, 2, 256, 0, GatherArgs{from.data, indices.data, to.data, fault.data, outer, axis, int64_t(index.size()), inner, sizeof(T), TypeOf<I>::value});
    for (size_t i = 0; i < to.size; i++) {
        int64_t n = int64_t(i) % inner, at = index[i / size_t(inner) % index.size()], o = int64_t(i) / inner / int64_t(index.size());
        if (at < 0) at += axis;
        const T expected = at >= 0 && at < axis ? from[size_t((o * axis + at) * inner + n)] : T(0);
        if (to[i] != expected) return failure("element %zu", i);
    }
    if (fault[0] != expected_fault) failure("fault is %d, expected %d", fault[0], expected_fault);
}
CASE(gathers) {
    try_gather<uint32_t, int64_t>(3, 5, 7, {4, 0, -1, 2, -5}, 0);
    try_gather<uint8_t, int32_t>(1, 9, 1, {8, 0, -9}, 0);
    try_gather<uint16_t, int32_t>(4, 3, 50, {2, 1, 1, -3}, 0);
    try_gather<uint64_t, int64_t>(2, 2, 3, {1}, 0);
    try_gather<uint32_t, int64_t>(2, 2, 3, {}, 0);
}
CASE(an_index_out_of_range_is_a_fault_and_no_read) {
    try_gather<uint32_t, int64_t>(3, 5, 7, {0, 5, 1}, 2);
    try_gather<uint32_t, int64_t>(1, 5, 2, {0, -6, 1, 2}, 2);
    try_gather<uint32_t, int32_t>(1, 5, 2, {-2000000000, 1, 2000000000, 2}, 3);
    try_gather<uint32_t, int64_t>(1, 5, 1, {INT64_MIN, 0}, 1);
    try_gather<uint32_t, int64_t>(1, 0, 1, {0}, 1);
}

template <class T, class I> static void try_elements(int64_t outer, int64_t from_axis, int64_t to_axis, int64_t inner, int64_t wrong_at) {
    Buffer<T> from(size_t(outer * from_axis * inner), 1), to(size_t(outer * to_axis * inner), 1);
    Buffer<I> index(to.size);
    Buffer<int32_t> fault(1);
    fault[0] = 0;
    Random random(to.size);
    for (size_t i = 0; i < from.size; i++) from[i] = mark<T>(int64_t(i));
    for (size_t i = 0; i < index.size; i++) index[i] = I(int64_t(i) == wrong_at ? from_axis : random.whole(-from_axis, from_axis - 1));
    run(gather_elements, 2, 256, 0,
        GatherElementsArgs{from.data, index.data, to.data, fault.data, outer, from_axis, to_axis, inner, sizeof(T), TypeOf<I>::value});
    for (int64_t i = 0; i < int64_t(to.size); i++) {
        int64_t at = index[size_t(i)];
        if (at < 0) at += from_axis;
        const T expected = i == wrong_at ? T(0) : from[size_t((i / inner / to_axis * from_axis + at) * inner + i % inner)];
        if (to[size_t(i)] != expected) return failure("element %lld", (long long)i);
    }
    CHECK(fault[0] == int32_t(wrong_at) + 1);
}
CASE(gathers_elements) {
    try_elements<uint32_t, int64_t>(3, 5, 8, 6, -1);
    try_elements<uint8_t, int32_t>(2, 5, 3, 100, -1);
    try_elements<uint64_t, int32_t>(2, 1, 3, 1, 4);
    try_elements<uint16_t, int64_t>(0, 5, 3, 1, -1);
}

// `from` is [batches, 3, 4, slice]; tuples of two indices, or of one.
template <class I> static void try_nd(int64_t batches, int64_t tuples, int64_t slice, int32_t depth, int64_t wrong_at) {
    GatherNdArgs args{};
    const int64_t part = depth == 2 ? slice : 4 * slice; // what one tuple selects
    Buffer<uint32_t> from(size_t(batches * 12 * slice), 1), to(size_t(batches * tuples * part));
    Buffer<I> index(size_t(batches * tuples * depth));
    Buffer<int32_t> fault(1);
    fault[0] = 0;
    Random random(from.size);
    for (size_t i = 0; i < from.size; i++) from[i] = mark<uint32_t>(int64_t(i));
    const int64_t size[2] = {3, 4};
    for (size_t i = 0; i < index.size; i++) {
        const int64_t limit = size[i % size_t(depth)];
        index[i] = I(int64_t(i) == wrong_at ? -limit - 1 : random.whole(-limit, limit - 1));
    }
    args.from = from.data; args.index = index.data; args.to = to.data; args.fault = fault.data;
    args.batches = batches; args.tuples = tuples; args.slice = part; args.from_batch = 12 * slice;
    args.depth = depth; args.bytes = 4; args.index_type = TypeOf<I>::value;
    args.size[0] = 3; args.size[1] = 4; args.stride[0] = 4 * slice; args.stride[1] = slice;
    run(gather_nd, 2, 256, 0, args);
    for (int64_t i = 0; i < int64_t(to.size); i++) {
        const int64_t tuple = i / part;
        int64_t at = tuple / tuples * 12 * slice + i % part;
        bool found = true;
        for (int32_t d = 0; d < depth; d++) {
            int64_t v = index[size_t(tuple * depth + d)];
            found &= tuple * depth + d != wrong_at;
            at += (v < 0 ? v + size[d] : v) * args.stride[d];
        }
        if (to[size_t(i)] != (found ? from[size_t(at)] : 0)) return failure("element %lld", (long long)i);
    }
    CHECK(fault[0] == int32_t(wrong_at) + 1);
}
CASE(gathers_slices) {
    try_nd<int64_t>(1, 5, 7, 2, -1);
    try_nd<int32_t>(3, 4, 2, 2, -1);
    try_nd<int64_t>(2, 9, 20, 1, -1);
    try_nd<int64_t>(2, 3, 2, 2, 7);
    try_nd<int64_t>(2, 3, 2, 2, 0);
}

template <class T, class I> static void try_one_hot(int64_t outer, int64_t depth, int64_t inner, std::vector<I> index) {
    Buffer<I> indices(index.size(), 1);
    Buffer<T> off_on(2), to(size_t(outer * depth * inner), 1);
    std::copy(index.begin(), index.end(), indices.data);
    off_on[0] = T(3);
    off_on[1] = T(77);
    run(one_hot, 2, 256, 0, OneHotArgs{indices.data, off_on.data, to.data, outer, depth, inner, TypeOf<I>::value, sizeof(T)});
    for (int64_t i = 0; i < int64_t(to.size); i++) {
        const int64_t d = i / inner % depth, v = int64_t(index[size_t(i / inner / depth * inner + i % inner)]);
        CHECK(to[size_t(i)] == ((v < 0 ? v + depth : v) == d ? T(77) : T(3)));
    }
}
CASE(one_hots) {
    try_one_hot<float, int64_t>(2, 5, 3, {0, 4, -1, -5, 5, -6});
    try_one_hot<uint8_t, int32_t>(4, 200, 1, {0, 199, -200, 100});
    try_one_hot<int64_t, float>(3, 4, 1, {1.9f, -1.0f, 4.0f});
    try_one_hot<uint16_t, uint8_t>(1, 1, 2, {0, 1});
    try_one_hot<float, int64_t>(0, 5, 3, {});
}
