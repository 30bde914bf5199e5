// Tests of kernels/labels.cu.
#include "harness.h"

#include "labels.cu"

template <class T> static void try_scores(int32_t classes, int32_t transform, int32_t binary, std::vector<double> scores, std::vector<double> expected, double tolerance = 4) {
    context = "transform " + std::to_string(transform) + " binary " + std::to_string(binary);
    Buffer<T> from(scores.size(), 1), to(expected.size(), 1);
    for (size_t i = 0; i < scores.size(); i++) from[i] = T(scores[i]);
    const int64_t rows = binary ? int64_t(scores.size()) : int64_t(scores.size()) / classes;
    run(class_scores, 1, 32, 0, ClassScoresArgs{from.data, to.data, rows, classes, transform, binary, TypeOf<T>::value});
    for (size_t i = 0; i < to.size; i++) expect_close(to[i], expected[i], tolerance * precision<T>(), 1e-38, "to", int64_t(i));
}
template <class T> static void try_all() {
    const std::vector<double> s = {1, -2, 0, 3, 0, -1};
    auto logistic = [](double x) { return 1 / (1 + exp(-x)); };
    try_scores<T>(3, 0, 0, s, s);
    std::vector<double> soft, zero, logit;
    for (int row = 0; row < 2; row++) {
        const double *x = &s[size_t(row * 3)];
        double sum = 0, without = 0;
        for (int c = 0; c < 3; c++) sum += exp(x[c]), without += x[c] != 0 ? exp(x[c]) : 0;
        for (int c = 0; c < 3; c++) soft.push_back(exp(x[c]) / sum), zero.push_back(x[c] != 0 ? exp(x[c]) / without : 0), logit.push_back(logistic(x[c]));
    }
    try_scores<T>(3, 1, 0, s, soft, 8);
    try_scores<T>(3, 2, 0, s, logit, 8);
    try_scores<T>(3, 3, 0, s, zero, 8);
    // Two hundred would overflow without the largest being subtracted.
    try_scores<T>(2, 1, 0, {200, 200, -200, 700, 800, 0}, {0.5, 0.5, exp(-900), 1, 1, exp(-800)}, 8);
    // A nearly zero score is weighed by e^-largest, not by e^score.
    try_scores<T>(2, 3, 0, {5e-8, 2}, {5e-8 * exp(-2.0), 1}, 8);
    const double limit = double(0.0000001f);
    try_scores<T>(2, 3, 0, {limit, 2}, {limit * exp(-2.0), 1}, 8);
    try_scores<T>(2, 3, 0, {2e-7, 2}, {exp(2e-7 - 2) / (1 + exp(2e-7 - 2)), 1 / (1 + exp(2e-7 - 2))}, 9);
    try_scores<T>(2, 4, 0, {0.5, 0.9}, {0, 1.2815515655}, 4e-3 / precision<T>());
    try_scores<T>(1, 0, 1, {0.25, 2}, {0.75, 0.25, -1, 2});
    try_scores<T>(1, 2, 1, {0.25}, {0.75, 0.25});
    try_scores<T>(1, 0, 2, {0.25, -3}, {-0.25, 0.25, 3, -3});
    try_scores<T>(1, 2, 2, {0.5, -200}, {logistic(-0.5), logistic(0.5), 1, logistic(-200)}, sizeof(T) == 4 ? 1e9 : 8);
    try_scores<T>(1, 1, 2, {0.5}, {-0.5, 0.5});
}
CASE(scores_of_classes) {
    try_all<float>();
    try_all<double>();
}
CASE(more_rows_than_threads) {
    std::vector<double> s, e;
    for (int i = 0; i < 50; i++) s.push_back(i), s.push_back(i), e.push_back(0.5), e.push_back(0.5);
    try_scores<float>(2, 1, 0, s, e);
}

template <class K, class From, class To, class Kernel>
static void try_map(Kernel kernel, std::vector<K> keys, std::vector<To> values, std::vector<From> from, std::vector<To> expected, To fallback) {
    Buffer<K> k(keys.size());
    Buffer<To> v(values.size()), to(from.size(), 1);
    Buffer<From> f(from.size(), 1);
    std::copy(keys.begin(), keys.end(), k.data);
    std::copy(values.begin(), values.end(), v.data);
    std::copy(from.begin(), from.end(), f.data);
    MapArgs args{f.data, to.data, k.data, v.data, int64_t(from.size()), int32_t(keys.size()), TypeOf<From>::value, TypeOf<To>::value, 0, 0};
    memcpy(&args.fallback, &fallback, sizeof fallback);
    run(kernel, 1, 32, 0, args);
    for (size_t i = 0; i < from.size(); i++)
        if (memcmp(&to[i], &expected[i], sizeof(To)) != 0) failure("element %zu is %g, expected %g", i, double(to[i]), double(expected[i]));
}
CASE(tables) {
    const std::vector<int64_t> keys = {-5, 0, 3, 1000, int64_t(1) << 60};
    try_map<int64_t, int64_t, float>(map_i64, keys, {1, 2, 3, 4, 5}, {3, -5, 1000, 1, (int64_t(1) << 60) + 1, int64_t(1) << 60, 0, -6}, {3, 1, 4, -7, -7, 5, 2, -7}, -7);
    try_map<int64_t, int32_t, int64_t>(map_i64, {7}, {-1}, {7, 8, 6}, {-1, 99, 99}, 99);
    try_map<int64_t, uint8_t, int16_t>(map_i64, {2, 200}, {-3, 300}, {200, 2, 0, 255}, {300, -3, 0, 0}, 0);
    try_map<int64_t, int64_t, double>(map_i64, {}, {}, {1}, {0.5}, 0.5);
    try_map<float, float, int64_t>(map_f32, {-1.5f, 0, 2.5f, NAN}, {10, 20, 30, 40}, {NAN, -0.0f, 2.5f, 2.4f, -1.5f, INFINITY}, {40, 20, 30, -1, 10, -1}, -1);
    try_map<float, double, uint8_t>(map_f32, {0.1f, 7}, {1, 2}, {0.1, 7, NAN}, {1, 2, 9}, 9);
    std::vector<int64_t> many, values, from, expected;
    for (int64_t i = 0; i < 100; i++) many.push_back(i * 2), values.push_back(i * 10), from.push_back(i), expected.push_back(i % 2 ? -1 : i * 5);
    try_map<int64_t, int64_t, int64_t>(map_i64, many, values, from, expected, -1);
}
