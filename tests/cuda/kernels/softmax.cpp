// Tests of kernels/softmax.cu.
#include "harness.h"

#include "softmax.cu"

struct Shape {
    int64_t outer, axis, inner;
    bool log;
    int64_t mask_repeat; // 0 = no mask
    int32_t mask_rows;
    float scale;
};

template <class T> static void try_softmax(const Shape &s, unsigned blocks, bool extremes = false) {
    const size_t count = size_t(s.outer * s.axis * s.inner);
    const int64_t mask_rows = s.mask_repeat ? (s.mask_rows ? s.mask_rows : (s.outer + s.mask_repeat - 1) / s.mask_repeat) : 0;
    Random random(count);
    Buffer<T> from(count, 1), to(count, 1), mask(size_t(mask_rows * s.axis), 1);
    fill_random(from, random, -3, 9);
    for (size_t i = 0; i < mask.size; i++) mask[i] = element<T>(random.whole(0, 3) ? random.real(-1, 1) : -INFINITY);
    if (extremes) {
        for (size_t i = 0; i < count; i++) if (random.whole(0, 2) == 0) from[i] = element<T>(-INFINITY);
        for (int64_t i = 0; i < s.axis; i++) from[size_t(i)] = element<T>(-INFINITY); // a row of nothing else
        from[size_t(s.axis + 1)] = element<T>(NAN);
        from[size_t(2 * s.axis)] = element<T>(INFINITY);
        from[size_t(3 * s.axis + 1)] = element<T>(60000);
    }
    SoftmaxArgs args{from.data, s.mask_repeat ? mask.data : nullptr, to.data, s.outer, s.axis, s.inner, s.mask_repeat ? s.mask_repeat : 1,
                     s.scale, TypeOf<T>::value, s.log, s.mask_rows};
    run(softmax, blocks, 256, 0, args);
    const double unit = precision<T>() < 6e-8 ? precision<T>() : 6e-8;
    for (int64_t row = 0; row < s.outer * s.inner; row++) {
        const int64_t o = row / s.inner, start = o * s.axis * s.inner + row % s.inner;
        int64_t mask_row = s.mask_repeat ? o / s.mask_repeat : 0;
        if (s.mask_rows) mask_row %= s.mask_rows;
        auto at = [&](int64_t i) {
            return value_of(from[size_t(start + i * s.inner)]) * double(s.scale) + (s.mask_repeat ? value_of(mask[size_t(mask_row * s.axis + i)]) : 0);
        };
        double largest = -INFINITY, sum = 0;
        for (int64_t i = 0; i < s.axis; i++) largest = at(i) > largest || at(i) != at(i) ? at(i) : largest;
        for (int64_t i = 0; i < s.axis; i++) sum += exp(at(i) - largest);
        for (int64_t i = 0; i < s.axis; i++) {
            const double expected = s.log ? at(i) - largest - log(sum) : exp(at(i) - largest) / sum;
            expect_close(value_of(to[size_t(start + i * s.inner)]), expected, 2 * precision<T>() + 200 * unit, s.log ? 100 * unit : 4 * unit, "y", start + i * s.inner);
        }
    }
}

CASE(rows_of_a_matrix) {
    for (int64_t axis : {1, 2, 31, 32, 33, 100}) try_softmax<float>({19, axis, 1, false, 0, 0, 1}, 2);
}
CASE(a_block_for_a_long_row) {
    try_softmax<float>({5, 1500, 1, false, 0, 0, 0.5f}, 2);
    try_softmax<double>({2, 1025, 3, true, 0, 0, 1}, 3);
    try_softmax<Half>({3, 1200, 1, true, 0, 0, 1}, 2);
    try_softmax<Bfloat>({3, 1200, 1, true, 0, 0, 1}, 2);
}
CASE(another_axis_and_logarithms) {
    try_softmax<float>({3, 17, 5, true, 0, 0, 1}, 1);
    try_softmax<Half>({4, 40, 3, false, 0, 0, 1}, 1);
    try_softmax<Bfloat>({4, 40, 1, true, 0, 0, 1}, 1);
}
CASE(masks_of_attention) {
    try_softmax<float>({12, 33, 1, false, 4, 0, 0.125f}, 1);
    try_softmax<float>({12, 33, 1, false, 1, 3, 0.125f}, 1);
    try_softmax<Half>({12, 20, 1, false, 2, 3, 0.25f}, 1);
    try_softmax<double>({6, 20, 1, true, 3, 0, 0.25f}, 1);
}
CASE(infinities_and_not_numbers) {
    try_softmax<float>({9, 37, 1, false, 0, 0, 1}, 1, true);
    try_softmax<float>({9, 37, 1, true, 0, 0, 1}, 1, true);
    try_softmax<float>({5, 1100, 1, false, 0, 0, 1}, 1, true);
    try_softmax<double>({9, 70, 1, false, 0, 0, 1}, 2, true);
}
CASE(nothing) {
    try_softmax<float>({0, 5, 1, false, 0, 0, 1}, 1);
    try_softmax<float>({5, 0, 1, false, 0, 0, 1}, 1);
}
