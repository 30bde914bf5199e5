// Tests of kernels/gemm.cu and kernels/gemm_f64.cu.
#include "harness.h"

#include "gemm.cu"
#include "gemm_f64.cu"

enum Bias { NO_BIAS, SCALAR, ROW, COLUMN, FULL };
struct Shape {
    int32_t m, n, k;
    bool a_transposed, b_transposed;
    Bias bias;
    int32_t batch0, batch1, activation;
    size_t shift; // elements that data lies off its alignment
    int32_t gap;  // elements between the rows of everything
    float alpha, beta;
};

static double after(double x, int32_t activation, double slope) {
    switch (activation) {
    case ACTIVATION_RELU: return fmax(x, 0);
    case ACTIVATION_GELU: return x * 0.5 * (1 + erf(x * M_SQRT1_2));
    case ACTIVATION_GELU_TANH: return x * 0.5 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case ACTIVATION_SIGMOID: return 1 / (1 + exp(-x));
    case ACTIVATION_TANH: return tanh(x);
    case ACTIVATION_LEAKY_RELU: return x > 0 ? x : slope * x;
    default: return x;
    }
}

template <class T> static void try_gemm(void (*kernel)(const GemmArgs), const Shape &s, unsigned depth = 65535) {
    const int64_t batches = int64_t(s.batch0) * s.batch1, a_rows = s.a_transposed ? s.k : s.m, b_rows = s.b_transposed ? s.n : s.k;
    const int64_t a_line = (s.a_transposed ? s.m : s.k) + s.gap, b_line = (s.b_transposed ? s.k : s.n) + s.gap, d_line = s.n + s.gap;
    Random random(uint64_t(s.m * 7 + s.n * 3 + s.k));
    Buffer<T> a(size_t(batches * a_rows * a_line), s.shift), b(size_t(batches * b_rows * b_line), s.shift);
    Buffer<T> c(size_t(batches * s.m * d_line), s.shift), d(size_t(batches * s.m * d_line), s.shift);
    fill_random(a, random, -0.5, 1);
    fill_random(b, random, -0.7, 1);
    fill_random(c, random, -2, 2);
    memset(static_cast<void *>(d.data), 0x5A, d.size * sizeof(T));
    const std::vector<T> before(d.data, d.data + d.size);
    GemmArgs args{};
    args.a = a.data; args.b = b.data; args.d = d.data;
    args.c = s.bias == NO_BIAS ? nullptr : c.data;
    args.m = s.m; args.n = s.n; args.k = s.k;
    args.batch0 = s.batch0; args.batch1 = s.batch1; args.activation = s.activation;
    args.a_row = s.a_transposed ? 1 : a_line; args.a_col = s.a_transposed ? a_line : 1;
    args.b_row = s.b_transposed ? 1 : b_line; args.b_col = s.b_transposed ? b_line : 1;
    args.c_row = s.bias == COLUMN ? 1 : s.bias == FULL ? d_line : 0;
    args.c_col = s.bias == ROW || s.bias == FULL ? 1 : 0;
    args.d_row = d_line;
    // Batches lie i0 outermost, so that mixing the two indices up shows.
    args.a_batch0 = s.batch1 * a_rows * a_line; args.a_batch1 = a_rows * a_line;
    args.b_batch0 = s.batch1 * b_rows * b_line; args.b_batch1 = b_rows * b_line;
    args.c_batch0 = s.bias == FULL ? s.batch1 * s.m * d_line : 0; args.c_batch1 = s.bias == FULL ? s.m * d_line : 0;
    args.d_batch0 = s.batch1 * s.m * d_line; args.d_batch1 = s.m * d_line;
    args.alpha = s.alpha; args.beta = s.beta; args.slope = 0.125f;
    unsigned z = unsigned(batches < depth ? batches : depth);
    run(kernel, dim3(unsigned(s.m + 63) / 64, unsigned(s.n + 63) / 64, z), 256, 0, args);

    const double unit = precision<T>();
    for (int64_t at = 0; at < batches * s.m * d_line; at++) {
        const int64_t column = at % d_line, row = at / d_line % s.m, batch = at / d_line / s.m, i0 = batch / s.batch1, i1 = batch % s.batch1;
        if (column >= s.n) {
            if (memcmp(&d[size_t(at)], &before[size_t(at)], sizeof(T)) != 0) return failure("what lies between two rows was written");
            continue;
        }
        double sum = 0, size = 0;
        for (int64_t k = 0; k < s.k; k++) {
            double x = a[size_t(i0 * args.a_batch0 + i1 * args.a_batch1 + row * args.a_row + k * args.a_col)];
            double y = b[size_t(i0 * args.b_batch0 + i1 * args.b_batch1 + k * args.b_row + column * args.b_col)];
            sum += x * y;
            size += fabs(x * y);
        }
        sum *= s.alpha;
        if (s.bias != NO_BIAS) sum += double(s.beta) * c[size_t(i0 * args.c_batch0 + i1 * args.c_batch1 + row * args.c_row + column * args.c_col)];
        expect_close(d[size_t(at)], after(sum, s.activation, 0.125), 8 * unit, (size + 1) * 16 * unit, "d", at);
    }
}
static void try_both(const Shape &s, const char *name) {
    context = std::string(name) + " f32";
    try_gemm<float>(gemm_f32, s);
    context = std::string(name) + " f64";
    try_gemm<double>(gemm_f64, s);
}

CASE(plain_tiles) { try_both({64, 64, 32, false, false, NO_BIAS, 1, 1, 0, 0, 0, 1, 0}, "64 x 64 x 32"); }
CASE(ragged_edges) { try_both({67, 70, 37, false, false, ROW, 1, 1, ACTIVATION_RELU, 0, 0, 1, 1}, "ragged"); }
CASE(both_transposed_with_gaps) { try_both({66, 35, 20, true, true, COLUMN, 1, 1, 0, 0, 4, 0.5f, 2}, "transposed"); }
CASE(unaligned) {
    try_both({33, 66, 19, true, false, FULL, 1, 1, ACTIVATION_SIGMOID, 1, 0, 1, 0.25f}, "A transposed, unaligned");
    try_both({33, 66, 19, false, true, SCALAR, 1, 1, ACTIVATION_TANH, 3, 1, 1, 1}, "B transposed, unaligned");
    try_both({20, 24, 20, false, true, NO_BIAS, 1, 1, 0, 2, 0, 1, 1}, "aligned lines, unaligned start");
}
CASE(attention_heads) { try_both({9, 17, 8, false, true, FULL, 3, 2, ACTIVATION_GELU, 0, 3, 0.35f, 1}, "heads"); }
CASE(more_batches_than_the_grid_is_deep) {
    context = "deep";
    try_gemm<float>(gemm_f32, {5, 6, 20, false, false, ROW, 3, 5, 0, 0, 0, 1, 1}, 4);
}
CASE(one_row_one_column_nothing_to_add) {
    try_both({1, 3, 70, false, false, ROW, 1, 1, ACTIVATION_LEAKY_RELU, 0, 0, 1, 1}, "one row");
    try_both({5, 1, 16, false, false, ROW, 1, 1, ACTIVATION_GELU_TANH, 0, 0, 1, 1}, "one column");
    try_both({3, 4, 0, false, false, ROW, 1, 1, 0, 0, 0, 1, 1}, "k = 0");
}
// Views in which nothing lies together: every second element of lines that are a multiple of four apart. And lines that overlap, as windows
// over a series do: they begin where nothing is aligned.
CASE(views) {
    const int32_t m = 70, n = 66, k = 36;
    for (const int64_t step : {2, 1}) {
        context = step == 2 ? "every second element" : "lines that overlap";
        const int64_t a_line = step == 2 ? 4 * k : 2, b_line = step == 2 ? 4 * n : 3;
        Buffer<float> a(size_t((m - 1) * a_line + (k - 1) * step + 1)), b(size_t((k - 1) * b_line + (n - 1) * step + 1)), d(size_t(m * n));
        Random random(7);
        fill_random(a, random, -0.5, 1);
        fill_random(b, random, -0.7, 1);
        GemmArgs args{};
        args.a = a.data; args.b = b.data; args.d = d.data;
        args.m = m; args.n = n; args.k = k; args.batch0 = args.batch1 = 1;
        args.a_row = a_line; args.b_row = b_line; args.d_row = n; args.a_col = args.b_col = step; args.alpha = 1;
        run(gemm_f32, dim3(2, 2, 1), 256, 0, args);
        for (int64_t at = 0; at < m * n; at++) {
            double sum = 0;
            for (int64_t i = 0; i < k; i++) sum += double(a[size_t(at / n * a_line + i * step)]) * b[size_t(i * b_line + at % n * step)];
            expect_close(d[size_t(at)], sum, 1e-5, 1e-5, "d", at);
        }
    }
}
// A NaN or an infinity stays in its row and column.
CASE(not_numbers) {
    Buffer<float> a(3 * 5), b(5 * 4), d(3 * 4);
    for (size_t i = 0; i < a.size; i++) a[i] = 1;
    for (size_t i = 0; i < b.size; i++) b[i] = 2;
    a[1 * 5 + 4] = NAN;
    b[3 * 4 + 2] = INFINITY;
    GemmArgs args{};
    args.a = a.data; args.b = b.data; args.d = d.data;
    args.m = 3; args.n = 4; args.k = 5; args.batch0 = args.batch1 = 1;
    args.a_row = 5; args.b_row = 4; args.d_row = 4; args.a_col = args.b_col = 1; args.alpha = 1;
    run(gemm_f32, dim3(1, 1, 1), 256, 0, args);
    for (size_t i = 0; i < 12; i++)
        expect_close(d[i], i / 4 == 1 ? NAN : i % 4 == 2 ? INFINITY : 10, 0, 0, "d", int64_t(i));
}
