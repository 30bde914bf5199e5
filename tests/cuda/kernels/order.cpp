// Tests of kernels/order.cu.
#include "harness.h"

#include "order.cu"

#include <algorithm>
#include <numeric>

// Few different numbers, so that there are ties; now and then one that is none.
template <class T> static void fill_with_ties(Buffer<T> &buffer, uint64_t seed) {
    Random random(seed);
    const bool floats = precision<T>() > 0;
    for (size_t i = 0; i < buffer.size; i++) {
        const int64_t v = random.whole(0, 12);
        buffer[i] = element<T>(floats && v == 0 ? -0.0 : floats && v == 1 ? INFINITY : floats && v == 2 ? -INFINITY : floats && v == 3 && i % 5 == 0 ? NAN
                               : T(-1) < T(0) || floats ? double(v - 6) * 0.5 : double(v));
    }
}
template <> void fill_with_ties(Buffer<Half> &buffer, uint64_t seed) {
    Random random(seed);
    for (size_t i = 0; i < buffer.size; i++) buffer[i] = element<Half>(double(random.whole(-5, 5)) / 4);
}
// Whether a comes before b where larger ones come first: NaN, then numbers.
static bool before(double a, double b) { return a != a ? b == b : a > b; }

template <class T> static void try_arg(int64_t outer, int64_t axis, int64_t inner, bool min, bool last) {
    context = "arg_reduce type " + std::to_string(int(TypeOf<T>::value)) + (min ? " min" : " max") + (last ? " last" : " first");
    Buffer<T> from(size_t(outer * axis * inner), 1);
    Buffer<int64_t> to(size_t(outer * inner));
    fill_with_ties(from, uint64_t(axis) + 3);
    run(arg_reduce, blocks_for(outer * inner, 8, 1), 256, 0, ArgReduceArgs{from.data, to.data, outer, axis, inner, TypeOf<T>::value, min, last, 0});
    for (int64_t row = 0; row < outer * inner; row++) {
        int64_t best = 0;
        bool nan = false;
        for (int64_t i = 0; i < axis && !nan; i++) {
            const double x = value_of(from[size_t(row / inner * axis * inner + i * inner + row % inner)]);
            const double y = value_of(from[size_t(row / inner * axis * inner + best * inner + row % inner)]);
            if (x != x) nan = true, best = i;
            else if ((min ? x < y : x > y) || (last && x == y)) best = i;
        }
        if (to[size_t(row)] != best) failure("row %lld: %lld, expected %lld", (long long)row, (long long)to[size_t(row)], (long long)best);
    }
}
CASE(places_of_extremes) {
    for (bool min : {false, true}) for (bool last : {false, true}) {
        for (int64_t axis : {1, 7, 32, 33, 100}) try_arg<float>(5, axis, 4, min, last);
        try_arg<double>(3, 40, 1, min, last);
        try_arg<Half>(3, 40, 1, min, last);
        try_arg<int64_t>(20, 40, 1, min, last);
        try_arg<uint8_t>(3, 40, 2, min, last);
        try_arg<int8_t>(3, 40, 2, min, last);
    }
}

template <class T> static void try_top_k(int64_t outer, int64_t axis, int64_t inner, int32_t k, bool smallest) {
    context = "top_k type " + std::to_string(int(TypeOf<T>::value)) + " axis " + std::to_string(axis) + (smallest ? " smallest" : " largest");
    Buffer<T> from(size_t(outer * axis * inner), 1), values(size_t(outer * k * inner), 1);
    Buffer<int64_t> indices(size_t(outer * k * inner));
    fill_with_ties(from, uint64_t(axis) + 9);
    unsigned padded = 1;
    while (padded < unsigned(axis)) padded *= 2;
    run(top_k, 2, 256, 12 * padded, TopKArgs{from.data, values.data, indices.data, outer, axis, inner, k, TypeOf<T>::value, smallest, 0});
    for (int64_t row = 0; row < outer * inner; row++) {
        const int64_t start = row / inner * axis * inner + row % inner, to = row / inner * k * inner + row % inner;
        auto at = [&](int64_t i) { return value_of(from[size_t(start + i * inner)]); };
        std::vector<int64_t> order(static_cast<size_t>(axis));
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return smallest ? before(at(b), at(a)) : before(at(a), at(b)); });
        for (int32_t i = 0; i < k; i++) {
            const size_t n = size_t(to + i * inner);
            if (indices[n] != order[size_t(i)]) return failure("row %lld, %d: %lld, expected %lld", (long long)row, i, (long long)indices[n], (long long)order[size_t(i)]);
            expect_close(value_of(values[n]), at(order[size_t(i)]), 0, 0, "values", int64_t(n));
        }
    }
}
CASE(the_k_first) {
    for (bool smallest : {false, true}) {
        for (int64_t axis : {1, 2, 5, 32, 100}) try_top_k<float>(3, axis, 2, int32_t((axis + 1) / 2), smallest);
        try_top_k<float>(2, 600, 1, 600, smallest);
        try_top_k<double>(2, 20, 1, 20, smallest);
        try_top_k<int64_t>(2, 20, 3, 3, smallest);
        try_top_k<int32_t>(2, 20, 3, 3, smallest);
        try_top_k<Half>(2, 20, 1, 3, smallest);
        try_top_k<int16_t>(2, 20, 1, 3, smallest);
        try_top_k<uint8_t>(2, 20, 1, 20, smallest);
        try_top_k<uint32_t>(2, 9, 1, 9, smallest);
    }
    try_top_k<float>(2, 9, 1, 0, false);
}
CASE(wide_integers_are_not_rounded) {
    Buffer<uint64_t> from(3), values(3);
    Buffer<int64_t> indices(3);
    from[0] = UINT64_MAX - 1; from[1] = UINT64_MAX; from[2] = 5;
    run(top_k, 1, 256, 48, TopKArgs{from.data, values.data, indices.data, 1, 3, 1, 3, TYPE_U64, 0, 0});
    CHECK(indices[0] == 1 && indices[1] == 0 && indices[2] == 2 && values[0] == UINT64_MAX);
    run(top_k, 1, 256, 48, TopKArgs{from.data, nullptr, indices.data, 1, 3, 1, 1, TYPE_I64, 0, 0}); // the same bits: -2, -1, 5
    CHECK(indices[0] == 2);
    run(top_k, 1, 256, 48, TopKArgs{from.data, values.data, nullptr, 1, 3, 1, 2, TYPE_I64, 1, 0});
    CHECK(values[0] == UINT64_MAX - 1 && values[1] == UINT64_MAX);
}

template <class T> static void try_cum_sum(int64_t outer, int64_t axis, int64_t inner, bool exclusive, bool reverse) {
    context = "cum_sum type " + std::to_string(int(TypeOf<T>::value)) + (exclusive ? " exclusive" : "") + (reverse ? " reverse" : "");
    Buffer<T> from(size_t(outer * axis * inner), 1), to(size_t(outer * axis * inner), 1);
    Random random(size_t{5} + size_t(axis));
    fill_random(from, random, precision<T>() > 0 ? -1 : -9, precision<T>() > 0 ? 2 : 9);
    run(cum_sum, blocks_for(outer * inner, 8, 1), 256, 0, CumSumArgs{from.data, to.data, outer, axis, inner, TypeOf<T>::value, exclusive, reverse, 0});
    for (int64_t row = 0; row < outer * inner; row++) {
        double sum = 0;
        for (int64_t n = 0; n < axis; n++) {
            const size_t at = size_t(row / inner * axis * inner + (reverse ? axis - 1 - n : n) * inner + row % inner);
            const double with = sum + value_of(from[at]);
            expect_close(value_of(to[at]), exclusive ? sum : with, 3 * precision<T>(), precision<T>() > 0 ? 1e-4 * precision<T>() / 6e-8 * 0.2 : 0, "y", int64_t(at));
            sum = with;
        }
    }
}
CASE(running_sums) {
    for (bool exclusive : {false, true}) for (bool reverse : {false, true}) {
        for (int64_t axis : {1, 31, 33, 70}) try_cum_sum<float>(3, axis, 5, exclusive, reverse);
        try_cum_sum<double>(20, 40, 1, exclusive, reverse);
        try_cum_sum<int32_t>(3, 40, 2, exclusive, reverse);
        try_cum_sum<int64_t>(3, 40, 2, exclusive, reverse);
    }
    try_cum_sum<Half>(2, 9, 1, false, false);
}
CASE(an_infinity_is_only_ahead) {
    Buffer<float> from(5), to(5);
    for (size_t i = 0; i < 5; i++) from[i] = i == 2 ? INFINITY : 1;
    run(cum_sum, 1, 256, 0, CumSumArgs{from.data, to.data, 1, 5, 1, TYPE_F32, 1, 0, 0});
    const double expected[] = {0, 1, 2, INFINITY, INFINITY};
    for (size_t i = 0; i < 5; i++) expect_close(to[i], expected[i], 0, 0, "y", int64_t(i));
}
