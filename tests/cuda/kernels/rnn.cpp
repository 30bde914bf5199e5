// Tests of kernels/rnn.cu.
#include "harness.h"

#include "rnn.cu"

static double logistic(double x) { return 1 / (1 + exp(-x)); }
struct Setup {
    int32_t batch, hidden;
    bool peephole_or_bias, lengths, y;
    int64_t x_gap, y_gap;
};

static void try_lstm(const Setup &s) {
    const int32_t n = s.hidden;
    const int64_t x_row = 4 * n + s.x_gap, y_row = n + s.y_gap;
    Random random(size_t(s.batch * 10 + n));
    Buffer<float> x(size_t(s.batch * x_row), 1), hg(size_t(s.batch * 4 * n)), p(size_t(3 * n)), h(size_t(s.batch * n), 1), c(size_t(s.batch * n)), y(size_t(s.batch * y_row), 1);
    Buffer<int32_t> lengths(size_t(s.batch));
    for (Buffer<float> *b : {&x, &hg, &p, &h, &c}) fill_random(*b, random, -1.5, 2);
    for (size_t i = 0; i < y.size; i++) y[i] = 99;
    for (size_t i = 0; i < lengths.size; i++) lengths[i] = int32_t(i % 4); // at time 2, a length of 3 goes on
    const std::vector<float> h0(h.data, h.data + h.size), c0(c.data, c.data + c.size);
    run(lstm_cell_f32, 2, 64, 0,
        LstmCellArgs{x.data, hg.data, s.peephole_or_bias ? p.data : nullptr, s.lengths ? lengths.data : nullptr, h.data, c.data, s.y ? y.data : nullptr, s.batch, n, 2, 0, x_row, y_row});
    for (int32_t b = 0; b < s.batch; b++) for (int32_t j = 0; j < n; j++) {
        const size_t at = size_t(b * n + j);
        auto gate = [&](int g) { return double(x[size_t(b * x_row + g * n + j)]) + double(hg[size_t((b * 4 + g) * n + j)]); };
        auto peep = [&](int g) { return s.peephole_or_bias ? double(p[size_t(g * n + j)]) : 0.0; };
        const bool over = s.lengths && b % 4 <= 2;
        const double i = logistic(gate(0) + peep(0) * c0[at]), f = logistic(gate(2) + peep(2) * c0[at]), c1 = f * c0[at] + i * tanh(gate(3));
        const double o = logistic(gate(1) + peep(1) * c1), h1 = o * tanh(c1);
        expect_close(c[at], over ? c0[at] : c1, 1e-6, 1e-6, "c", int64_t(at));
        expect_close(h[at], over ? h0[at] : h1, 1e-6, 1e-6, "h", int64_t(at));
        expect_close(y[size_t(b * y_row + j)], !s.y ? 99 : over ? 0 : h1, 1e-6, 1e-6, "y", int64_t(at));
    }
    for (size_t i = 0; i < y.size; i++) if (int64_t(i) % y_row >= n) CHECK(y[i] == 99);
}
CASE(lstm_cells) {
    try_lstm({9, 17, false, false, true, 0, 0});
    try_lstm({9, 17, true, true, true, 3, 5});
    try_lstm({2, 3, true, false, false, 1, 0});
    try_lstm({5, 1, false, true, false, 0, 0});
}

static void try_gru(const Setup &s, bool linear) {
    const int32_t n = s.hidden;
    const int64_t x_row = 3 * n + s.x_gap, y_row = n + s.y_gap;
    Random random(size_t(s.batch * 10 + n));
    Buffer<float> x(size_t(s.batch * x_row), 1), hg(size_t(s.batch * 3 * n)), rb(static_cast<size_t>(n)), h(size_t(s.batch * n), 1), rh(size_t(s.batch * n)), y(size_t(s.batch * y_row), 1);
    Buffer<int32_t> lengths(size_t(s.batch));
    for (Buffer<float> *b : {&x, &hg, &rb, &h}) fill_random(*b, random, -1.5, 2);
    for (size_t i = 0; i < y.size; i++) y[i] = 99;
    for (size_t i = 0; i < lengths.size; i++) lengths[i] = int32_t(i % 4);
    const std::vector<float> h0(h.data, h.data + h.size), hg0(hg.data, hg.data + hg.size);
    GruCellArgs args{x.data, hg.data, s.peephole_or_bias ? rb.data : nullptr, s.lengths ? lengths.data : nullptr, h.data, rh.data, s.y ? y.data : nullptr, s.batch, n, 2, linear, 0, 0, x_row, y_row};
    auto gate = [&](int b, int g, int j) { return double(x[size_t(b * x_row + g * n + j)]) + double(hg0[size_t((b * 3 + g) * n + j)]); };
    if (!linear) {
        run(gru_cell_f32, 2, 64, 0, args);
        for (int32_t b = 0; b < s.batch; b++) for (int32_t j = 0; j < n; j++) {
            expect_close(rh[size_t(b * n + j)], logistic(gate(b, 1, j)) * h0[size_t(b * n + j)], 1e-6, 1e-6, "rh", j);
            hg[size_t((b * 3 + 2) * n + j)] = float(b + j) * 0.125f; // what the product between would write
        }
    }
    args.kind = 1;
    run(gru_cell_f32, 2, 64, 0, args);
    for (int32_t b = 0; b < s.batch; b++) for (int32_t j = 0; j < n; j++) {
        const size_t at = size_t(b * n + j);
        const double inner = double(hg[size_t((b * 3 + 2) * n + j)]) + (s.peephole_or_bias ? double(rb[size_t(j)]) : 0.0);
        const double z = logistic(gate(b, 0, j)), r = logistic(gate(b, 1, j));
        const double next = tanh(double(x[size_t(b * x_row + 2 * n + j)]) + (linear ? r * inner : inner)), h1 = (1 - z) * next + z * h0[at];
        const bool over = s.lengths && b % 4 <= 2;
        expect_close(h[at], over ? h0[at] : h1, 1e-6, 1e-6, "h", int64_t(at));
        expect_close(y[size_t(b * y_row + j)], !s.y ? 99 : over ? 0 : h1, 1e-6, 1e-6, "y", int64_t(at));
    }
}
CASE(gru_cells) {
    for (bool linear : {false, true}) {
        try_gru({9, 17, false, false, true, 0, 0}, linear);
        try_gru({9, 17, true, true, true, 3, 5}, linear);
        try_gru({5, 1, true, true, false, 0, 0}, linear);
    }
}
