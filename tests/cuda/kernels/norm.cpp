// Tests of kernels/norm.cu.
#include "harness.h"

#include "norm.cu"

struct Shape {
    int64_t rows, columns, skip_rows; // skip_rows 0 = no skip
    bool bias, beta, sum, simplified, in_place;
    double epsilon;
};

template <class T> static void try_layer_norm(const Shape &s, double middle = 3) {
    Random random(uint64_t(s.rows * 31 + s.columns));
    const size_t count = size_t(s.rows * s.columns), columns = size_t(s.columns);
    Buffer<T> from(count, 1), skip(size_t(s.skip_rows) * columns), bias(columns, 1), gamma(columns), beta(columns, 1), to(count, 1), sum(count);
    fill_random(from, random, middle - 1, middle + 2);
    fill_random(skip, random, -1, 2);
    fill_random(bias, random, -1, 2);
    fill_random(gamma, random, 0.5, 2);
    fill_random(beta, random, -1, 2);
    const std::vector<T> x(from.data, from.data + count);
    LayerNormArgs args{from.data, s.skip_rows ? skip.data : nullptr, s.bias ? bias.data : nullptr, gamma.data, s.beta ? beta.data : nullptr,
                       s.in_place ? from.data : to.data, s.sum ? sum.data : nullptr, s.rows, s.columns, s.skip_rows ? s.skip_rows : 1,
                       s.epsilon, TypeOf<T>::value, s.simplified};
    run(layer_norm, blocks_for(s.rows, 8, 2), 256, 0, args);
    const T *got = s.in_place ? from.data : to.data;
    const double unit = precision<T>() < 6e-8 ? precision<T>() : 6e-8;
    for (int64_t row = 0; row < s.rows; row++) {
        auto z = [&](int64_t i) {
            double v = value_of(x[size_t(row * s.columns + i)]);
            if (s.skip_rows) v += value_of(skip[size_t(row % s.skip_rows * s.columns + i)]);
            return s.bias ? v + value_of(bias[size_t(i)]) : v;
        };
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < s.columns; i++) mean += z(i) / double(s.columns);
        if (s.simplified) mean = 0;
        for (int64_t i = 0; i < s.columns; i++) variance += (z(i) - mean) * (z(i) - mean) / double(s.columns);
        for (int64_t i = 0; i < s.columns; i++) {
            const size_t at = size_t(row * s.columns + i);
            const double y = (z(i) - mean) / sqrt(variance + s.epsilon) * value_of(gamma[size_t(i)]) + (s.beta ? value_of(beta[size_t(i)]) : 0);
            // What is left of the mean's digits counts too.
            expect_close(value_of(got[at]), y, 2 * precision<T>() + 40 * unit, (40 + 20 * fabs(mean) / sqrt(variance + s.epsilon)) * unit + precision<T>(), "y", int64_t(at));
            if (s.sum) expect_close(value_of(sum[at]), z(i), 2 * precision<T>(), 4 * unit, "sum", int64_t(at));
        }
    }
}

CASE(plain_rows) {
    for (int64_t columns : {1, 5, 32, 33, 70}) try_layer_norm<float>({19, columns, 0, false, true, false, false, false, 1e-5});
}
CASE(skip_bias_and_sum) {
    try_layer_norm<float>({10, 45, 10, true, true, true, false, false, 1e-12});
    try_layer_norm<float>({10, 45, 4, false, false, true, false, true, 0.1});
    try_layer_norm<Half>({9, 37, 3, true, true, true, false, false, 1e-5});
    try_layer_norm<Bfloat>({9, 37, 3, true, true, false, false, false, 1e-5});
    try_layer_norm<double>({9, 37, 3, true, true, true, false, false, 1e-5});
}
CASE(simplified) {
    try_layer_norm<float>({17, 40, 0, false, false, false, true, false, 1e-6});
    try_layer_norm<double>({17, 40, 5, true, true, true, true, true, 0.25});
    try_layer_norm<Half>({3, 64, 0, false, false, false, true, false, 1e-6});
}
// A mean of 1000 with a spread of 1: the variance must not be the difference of two large numbers.
CASE(no_cancellation) { try_layer_norm<float>({9, 100, 0, false, true, false, false, false, 1e-5}, 1000); }
CASE(a_constant_row_is_beta) {
    Buffer<float> x(8), gamma(8), beta(8), y(8);
    for (size_t i = 0; i < 8; i++) { x[i] = 7; gamma[i] = 3; beta[i] = float(i); }
    run(layer_norm, 1, 256, 0, LayerNormArgs{x.data, nullptr, nullptr, gamma.data, beta.data, y.data, nullptr, 1, 8, 1, 1e-5, TYPE_F32, 0});
    for (size_t i = 0; i < 8; i++) CHECK(y[i] == float(i));
    x[3] = NAN;
    run(layer_norm, 1, 256, 0, LayerNormArgs{x.data, nullptr, nullptr, gamma.data, beta.data, y.data, nullptr, 1, 8, 1, 1e-5, TYPE_F32, 0});
    for (size_t i = 0; i < 8; i++) CHECK(y[i] != y[i]);
}
CASE(no_rows) { try_layer_norm<float>({0, 5, 0, false, false, false, false, false, 1e-5}); }

template <class T> static void try_lp(int64_t outer, int64_t axis, int64_t inner, int32_t kind, int32_t zero, double low, double high) {
    const size_t count = size_t(outer * axis * inner);
    Random random(count + uint64_t(kind));
    Buffer<T> from(count, 1), to(count, 1);
    fill_random(from, random, low, high);
    for (int64_t i = 0; i < axis; i++) from[size_t(i * inner)] = element<T>(i == 2 && kind == 0 ? -3 : 0); // a first row of zeros
    LpNormalizeArgs args{from.data, to.data, outer, axis, inner, TypeOf<T>::value, kind, zero, 0};
    run(lp_normalize, blocks_for(outer * inner, 8, unsigned(1 + kind % 2)), 256, 0, args);
    const double unit = precision<T>() < 6e-8 ? precision<T>() : 6e-8;
    for (int64_t row = 0; row < outer * inner; row++) {
        const int64_t start = row / inner * axis * inner + row % inner;
        double norm = kind == 0 ? -INFINITY : 0;
        for (int64_t i = 0; i < axis; i++) {
            const double x = value_of(from[size_t(start + i * inner)]);
            norm = kind == 0 ? (x != x || norm != norm ? NAN : fmax(norm, x)) : kind == 1 ? norm + fabs(x) : norm + x * x;
        }
        if (kind == 2) norm = sqrt(norm);
        for (int64_t i = 0; i < axis; i++) {
            const double x = value_of(from[size_t(start + i * inner)]);
            expect_close(value_of(to[size_t(start + i * inner)]), norm == 0 ? (zero ? 0 : x) : x / norm, 2 * precision<T>() + 20 * unit, 0, "y", start + i * inner);
        }
    }
}
CASE(norms) {
    for (int32_t kind : {0, 1, 2})
        for (int32_t zero : {0, 1}) {
            try_lp<float>(9, 37, 2, kind, zero, -2, 1);
            try_lp<double>(3, 70, 1, kind, zero, -2, -1);
            try_lp<Half>(3, 8, 4, kind, zero, -2, 2);
            try_lp<Bfloat>(2, 40, 1, kind, zero, 1, 2);
        }
    try_lp<float>(2, 1, 1, 2, 0, NAN, NAN);
}
