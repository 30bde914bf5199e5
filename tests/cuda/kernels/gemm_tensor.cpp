// Tests of kernels/gemm_tensor.cu.
#include "harness.h"

#include "gemm_tensor.cu"

enum Lies { ALONG_K, ALONG_ROWS, APART }; // what lies side by side in an operand; APART: every other number
struct Shape {
    int32_t m, n, k;
    Lies a, b;
    int32_t batch0, batch1, gap; // numbers between the rows of everything
    size_t shift;                // numbers that data lies off its alignment
    int32_t activation;
    bool added;
};
static double after(double x, int32_t activation) {
    switch (activation) {
    case ACTIVATION_RELU: return fmax(x, 0);
    case ACTIVATION_GELU: return x * 0.5 * (1 + erf(x * M_SQRT1_2));
    case ACTIVATION_LEAKY_RELU: return x > 0 ? x : x / 4;
    default: return x;
    }
}
// What a tensor core sees of a number.
static double seen(Half v) { return value_of(v); }
static double seen(Bfloat v) { return value_of(v); }
static double seen(float v) {
    const double scale = ldexp(1, 10 - ilogb(v == 0 ? 1 : v));
    return copysign(floor(fabs(double(v)) * scale + 0.5), v) / scale;
}
// The largest relative step between what is stored and the number itself, and between that and what is multiplied.
struct Unit { double stored, multiplied; };
static Unit unit(Half) { return {ldexp(1, -11), 0}; }
static Unit unit(Bfloat) { return {ldexp(1, -8), 0}; }
static Unit unit(float) { return {ldexp(1, -24), ldexp(1, -11)}; }

struct Way {
    int64_t row, col, batch, size;
};
// Strides of rows x columns in so many batches; `by_columns`: a column lies together.
static Way lies(int64_t rows, int64_t columns, int64_t batches, bool by_columns, int64_t apart, int64_t gap) {
    const int64_t line = (by_columns ? rows : columns) * apart + gap, lines = by_columns ? columns : rows;
    return {by_columns ? apart : line, by_columns ? line : apart, lines * line, batches * lines * line};
}
template <class T> static void try_gemm(void (*kernel)(const GemmArgs), const Shape &s, bool large, unsigned depth = 65535) {
    const int64_t batches = int64_t(s.batch0) * s.batch1;
    const Way in_a = lies(s.m, s.k, batches, s.a == ALONG_ROWS, s.a == APART ? 2 : 1, s.gap);
    const Way in_b = lies(s.k, s.n, batches, s.b != ALONG_ROWS, s.b == APART ? 2 : 1, s.gap);
    const Way in_d = lies(s.m, s.n, batches, false, 1, s.gap);
    Random random(uint64_t(s.m * 7 + s.n * 3 + s.k));
    // Nothing lies behind the last line of what is read.
    Buffer<T> a(size_t(in_a.size - s.gap), s.shift), b(size_t(in_b.size - s.gap), s.shift), c(size_t(batches * s.n), s.shift), d(size_t(in_d.size), s.shift);
    fill_random(a, random, -0.5, 1);
    fill_random(b, random, -0.7, 1);
    fill_random(c, random, -1, 1);
    memset(static_cast<void *>(d.data), 0x5A, d.size * sizeof(T));
    const std::vector<T> before(d.data, d.data + d.size);
    GemmArgs args{};
    args.a = a.data; args.b = b.data; args.c = s.added ? c.data : nullptr; args.d = d.data;
    args.m = s.m; args.n = s.n; args.k = s.k; args.batch0 = s.batch0; args.batch1 = s.batch1; args.activation = s.activation;
    args.a_row = in_a.row; args.a_col = in_a.col; args.b_row = in_b.row; args.b_col = in_b.col; args.c_col = 1; args.d_row = in_d.row;
    // Batches lie i0 outermost, so that mixing the two indices up shows.
    args.a_batch0 = s.batch1 * in_a.batch; args.a_batch1 = in_a.batch;
    args.b_batch0 = s.batch1 * in_b.batch; args.b_batch1 = in_b.batch;
    args.c_batch0 = s.batch1 * s.n; args.c_batch1 = s.n;
    args.d_batch0 = s.batch1 * in_d.batch; args.d_batch1 = in_d.batch;
    args.alpha = 0.5f; args.beta = 2; args.slope = 0.25f;
    const unsigned tile = large ? 128 : 64;
    const dim3 grid((unsigned(s.m) + tile - 1) / tile, (unsigned(s.n) + tile - 1) / tile, unsigned(batches < depth ? batches : depth));
    run(kernel, grid, large ? 256 : 128, large ? 49152 : 24576, args);
    const Unit u = unit(T());
    for (int64_t at = 0; at < int64_t(d.size); at++) {
        const int64_t line = in_d.row, column = at % line, row = at / line % s.m, batch = at / line / s.m, i0 = batch / s.batch1, i1 = batch % s.batch1;
        if (column >= s.n) {
            if (memcmp(&d[size_t(at)], &before[size_t(at)], sizeof(T))) return failure("what lies between two rows was written");
            continue;
        }
        double exact = 0, sum = 0, size = 0;
        for (int64_t k = 0; k < s.k; k++) {
            const T x = a[size_t(i0 * args.a_batch0 + i1 * args.a_batch1 + row * args.a_row + k * args.a_col)];
            const T y = b[size_t(i0 * args.b_batch0 + i1 * args.b_batch1 + k * args.b_row + column * args.b_col)];
            exact += value_of(x) * value_of(y);
            sum += seen(x) * seen(y);
            size += fabs(value_of(x) * value_of(y));
        }
        const double more = s.added ? 2 * value_of(c[size_t(i0 * args.c_batch0 + i1 * args.c_batch1 + column)]) : 0;
        const double summed = (double(s.k) + 4) * ldexp(1, -24) * (size + fabs(more)), shortened = (2 + u.multiplied) * u.multiplied * size / 2;
        // Against what the tensor core was given, and against what was meant.
        expect_close(value_of(d[size_t(at)]), after(sum / 2 + more, s.activation), u.stored, summed + 1e-7, "d", at);
        expect_close(value_of(d[size_t(at)]), after(exact / 2 + more, s.activation), u.stored, 1.13 * shortened + summed + 1e-7, "d (exactly)", at);
    }
}
static void try_all(const Shape &s, const std::string &name, unsigned depth = 65535) {
    context = name + ", f16";
    try_gemm<Half>(gemm_f16, s, false, depth);
    context = name + ", bf16";
    try_gemm<Bfloat>(gemm_bf16, s, false, depth);
    context = name + ", tf32";
    try_gemm<float>(gemm_tf32, s, false, depth);
    context = name + ", f16 large";
    try_gemm<Half>(gemm_f16_large, s, true, depth);
    context = name + ", bf16 large";
    try_gemm<Bfloat>(gemm_bf16_large, s, true, depth);
    context = name + ", tf32 large";
    try_gemm<float>(gemm_tf32_large, s, true, depth);
}
static void try_two(const Shape &s, const std::string &name, unsigned depth = 65535) {
    context = name + ", f16";
    try_gemm<Half>(gemm_f16, s, false, depth);
    context = name + ", tf32";
    try_gemm<float>(gemm_tf32, s, false, depth);
}
CASE(whole_tiles_every_way_they_lie) {
    for (Lies a : {ALONG_K, ALONG_ROWS}) for (Lies b : {ALONG_K, ALONG_ROWS}) {
        const int32_t k = a == ALONG_K ? 160 : 32;
        try_two({64, 64, k, a, b, 1, 1, 0, 0, 0, false}, std::string("whole ") + char('0' + a) + char('0' + b));
    }
}
CASE(every_kernel) { try_all({33, 40, 40, ALONG_K, ALONG_ROWS, 1, 1, 0, 0, ACTIVATION_RELU, true}, "edges"); }
CASE(edges) {
    try_two({17, 15, 33, ALONG_ROWS, ALONG_K, 1, 1, 7, 0, ACTIVATION_LEAKY_RELU, true}, "edges the other way");
    try_two({1, 1, 1, ALONG_K, ALONG_K, 1, 1, 0, 0, 0, false}, "one");
    try_two({3, 2, 0, ALONG_K, ALONG_K, 1, 1, 0, 0, 0, true}, "nothing to sum");
}
CASE(more_than_a_large_tile) {
    context = "f16";
    try_gemm<Half>(gemm_f16_large, {129, 136, 40, ALONG_K, ALONG_ROWS, 1, 1, 0, 0, ACTIVATION_GELU, true}, true);
    context = "tf32";
    try_gemm<float>(gemm_tf32_large, {20, 129, 20, ALONG_K, ALONG_K, 1, 1, 0, 0, ACTIVATION_GELU, true}, true);
    context = "tf32, small";
    try_gemm<float>(gemm_tf32, {65, 63, 20, ALONG_K, ALONG_ROWS, 1, 1, 3, 0, 0, true}, false);
}
CASE(a_second_tile_that_ends_within_a_chunk) { try_two({9, 70, 33, ALONG_K, ALONG_ROWS, 1, 1, 2, 0, 0, false}, "70 columns"); }
CASE(not_aligned) {
    try_two({18, 21, 35, ALONG_K, ALONG_K, 1, 1, 1, 1, 0, false}, "odd lines");
    try_two({18, 21, 19, ALONG_ROWS, ALONG_ROWS, 1, 1, 0, 0, ACTIVATION_RELU, true}, "odd lines, along rows");
    try_two({16, 24, 32, ALONG_K, ALONG_ROWS, 1, 1, 0, 2, 0, true}, "aligned lines, unaligned start");
    try_two({9, 10, 37, APART, APART, 1, 1, 0, 0, 0, false}, "every other number");
}
// Lines that overlap, as windows over a series do: they begin where nothing is aligned, though the first does.
template <class T> static void try_windows(void (*kernel)(const GemmArgs), const char *name) {
    context = name;
    const int32_t m = 20, n = 18, k = 24;
    const int64_t a_line = 2, b_line = 3;
    Buffer<T> a(size_t((m - 1) * a_line + k)), b(size_t((n - 1) * b_line + k)), d(size_t(m * n));
    for (size_t i = 0; i < a.size; i++) a[i] = element<T>(double(i % 7));
    for (size_t i = 0; i < b.size; i++) b[i] = element<T>(double(i % 5));
    GemmArgs args{};
    args.a = a.data; args.b = b.data; args.d = d.data;
    args.m = m; args.n = n; args.k = k; args.batch0 = args.batch1 = 1;
    args.a_row = a_line; args.a_col = 1; args.b_row = 1; args.b_col = b_line; args.d_row = n; args.alpha = 1;
    run(kernel, dim3(1, 1, 1), 128, 24576, args);
    for (int64_t at = 0; at < m * n; at++) {
        double sum = 0;
        for (int64_t i = 0; i < k; i++) sum += double((at / n * a_line + i) % 7) * double((at % n * b_line + i) % 5);
        expect_close(value_of(d[size_t(at)]), sum, 0, 0, "d", at);
    }
}
CASE(windows) {
    try_windows<Half>(gemm_f16, "f16");
    try_windows<float>(gemm_tf32, "tf32");
}
CASE(batches) {
    try_two({9, 17, 24, ALONG_K, ALONG_K, 3, 2, 8, 0, ACTIVATION_GELU, true}, "heads");
    try_two({6, 10, 40, ALONG_K, ALONG_ROWS, 3, 2, 0, 0, 0, true}, "deep", 4);
}
CASE(shapes_by_chance) {
    const int32_t sizes[] = {1, 15, 16, 17, 63, 64, 65, 129};
    Random random(shim::seed + 5);
    auto size = [&](uint64_t most) { return sizes[random.bits() % most]; };
    auto way = [&] { return Lies(random.bits() % 3); };
    const Shape s{size(7), size(7), size(8), way(), way(), 1, int32_t(random.whole(1, 2)), int32_t(random.whole(0, 1)) * 8, random.bits() % 2 * 3, ACTIVATION_RELU, random.bits() % 2 == 0};
    context = std::to_string(s.m) + " x " + std::to_string(s.n) + " x " + std::to_string(s.k) + ", " + std::to_string(s.a) + std::to_string(s.b);
    switch (shim::seed % 3) {
    case 0: try_gemm<Half>(gemm_f16, s, false); break;
    case 1: try_gemm<Bfloat>(gemm_bf16_large, s, true); break;
    default: try_gemm<float>(gemm_tf32, s, false);
    }
}
// A NaN or an infinity stays in its row and column.
template <class T> static void try_not_numbers(void (*kernel)(const GemmArgs)) {
    Buffer<T> a(24 * 32), b(32 * 16), d(24 * 16);
    for (size_t i = 0; i < a.size; i++) a[i] = element<T>(1);
    for (size_t i = 0; i < b.size; i++) b[i] = element<T>(2);
    memset(static_cast<void *>(&a[3 * 32 + 30]), 0x7F, sizeof(T)); // a NaN of each type
    if (sizeof(T) == 4) memset(static_cast<void *>(&a[3 * 32 + 30]), 0xFF, sizeof(T));
    b[9 * 16 + 4] = element<T>(INFINITY);
    GemmArgs args{};
    args.a = a.data; args.b = b.data; args.d = d.data;
    args.m = 24; args.n = 16; args.k = 32; args.batch0 = args.batch1 = 1;
    args.a_row = 32; args.b_row = 16; args.d_row = 16; args.a_col = args.b_col = 1; args.alpha = 1;
    run(kernel, dim3(1, 1, 1), 128, 24576, args);
    for (size_t i = 0; i < d.size; i++)
        expect_close(value_of(d[i]), i / 16 == 3 ? NAN : i % 16 == 4 ? INFINITY : 64, 0, 0, "d", int64_t(i));
}
CASE(not_numbers) {
    context = "f16";
    try_not_numbers<Half>(gemm_f16);
    context = "tf32";
    try_not_numbers<float>(gemm_tf32);
}
