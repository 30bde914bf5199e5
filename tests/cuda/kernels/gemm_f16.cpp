// Tests of kernels/gemm_f16.cu.
#include "harness.h"

#include "gemm_f16.cu"

struct Shape {
    int32_t m, n, k;
    bool a_transposed, b_transposed, bias;
    int32_t batch0, batch1, gap, activation;
};
static void try_gemm(const Shape &s, unsigned depth = 65535) {
    const int64_t batches = int64_t(s.batch0) * s.batch1;
    const int64_t a_rows = s.a_transposed ? s.k : s.m, a_line = (s.a_transposed ? s.m : s.k) + s.gap;
    const int64_t b_rows = s.b_transposed ? s.n : s.k, b_line = (s.b_transposed ? s.k : s.n) + s.gap, d_line = s.n + s.gap;
    Random random(size_t(s.m * s.n + s.k));
    Buffer<Half> a(size_t(batches * a_rows * a_line), 1), b(size_t(batches * b_rows * b_line), 1), c(size_t(batches * s.n), 1), d(size_t(batches * s.m * d_line), 1);
    fill_random(a, random, -0.5, 1);
    fill_random(b, random, -0.7, 1);
    fill_random(c, random, -1, 1);
    for (size_t i = 0; i < d.size; i++) d[i] = {0x5A5A};
    GemmArgs args{};
    args.a = a.data; args.b = b.data; args.c = s.bias ? c.data : nullptr; args.d = d.data;
    args.m = s.m; args.n = s.n; args.k = s.k; args.batch0 = s.batch0; args.batch1 = s.batch1; args.activation = s.activation;
    args.a_row = s.a_transposed ? 1 : a_line; args.a_col = s.a_transposed ? a_line : 1;
    args.b_row = s.b_transposed ? 1 : b_line; args.b_col = s.b_transposed ? b_line : 1;
    args.c_col = 1; args.d_row = d_line;
    args.a_batch0 = s.batch1 * a_rows * a_line; args.a_batch1 = a_rows * a_line;
    args.b_batch0 = s.batch1 * b_rows * b_line; args.b_batch1 = b_rows * b_line;
    args.c_batch0 = s.batch1 * s.n; args.c_batch1 = s.n;
    args.d_batch0 = s.batch1 * s.m * d_line; args.d_batch1 = s.m * d_line;
    args.alpha = 0.5f; args.beta = 2; args.slope = 0.25f;
    run(gemm_f16, dim3(unsigned(s.m + 63) / 64, unsigned(s.n + 63) / 64, unsigned(batches < depth ? batches : depth)), 128, 0, args);
    for (int64_t at = 0; at < int64_t(d.size); at++) {
        const int64_t column = at % d_line, row = at / d_line % s.m, batch = at / d_line / s.m, i0 = batch / s.batch1, i1 = batch % s.batch1;
        if (column >= s.n) {
            CHECK(d[size_t(at)].bits == 0x5A5A);
            continue;
        }
        double sum = 0, size = 0;
        for (int64_t k = 0; k < s.k; k++) {
            const double product = value_of(a[size_t(i0 * args.a_batch0 + i1 * args.a_batch1 + row * args.a_row + k * args.a_col)]) *
                                   value_of(b[size_t(i0 * args.b_batch0 + i1 * args.b_batch1 + k * args.b_row + column * args.b_col)]);
            sum += product;
            size += fabs(product);
        }
        sum = sum / 2 + (s.bias ? 2 * value_of(c[size_t(i0 * args.c_batch0 + i1 * args.c_batch1 + column)]) : 0);
        if (s.activation == ACTIVATION_RELU) sum = fmax(sum, 0);
        if (s.activation == ACTIVATION_LEAKY_RELU) sum = sum > 0 ? sum : sum / 4;
        expect_close(value_of(d[size_t(at)]), sum, 5.5e-4, (size + 1) * 1e-6, "d", at);
    }
}
CASE(one_tile) { try_gemm({64, 64, 32, false, false, false, 1, 1, 0, 0}); }
CASE(ragged_and_transposed) {
    try_gemm({70, 67, 45, false, false, true, 1, 1, 3, ACTIVATION_RELU});
    try_gemm({33, 20, 70, true, true, true, 1, 1, 1, ACTIVATION_LEAKY_RELU});
    try_gemm({5, 9, 33, true, false, false, 1, 1, 0, 0});
    try_gemm({1, 3, 1, false, true, false, 1, 1, 0, 0});
    try_gemm({3, 2, 0, false, true, true, 1, 1, 0, 0});
}
CASE(batches) {
    try_gemm({6, 10, 20, false, true, true, 3, 2, 2, 0});
    try_gemm({6, 10, 40, false, true, false, 5, 2, 0, 0}, 4);
}
