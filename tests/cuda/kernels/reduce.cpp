// Tests of kernels/reduce.cu.
#include "harness.h"

#include "reduce.cu"

struct Layout {
    std::vector<int32_t> kept, reduced;
    std::vector<int64_t> kept_stride, reduced_stride;
    int64_t start = 0; // where index 0 lies, for negative strides
};
static int64_t product(const std::vector<int32_t> &size) {
    int64_t n = 1;
    for (int32_t s : size) n *= s;
    return n;
}
static int64_t place(int64_t i, const std::vector<int32_t> &size, const std::vector<int64_t> &stride) {
    int64_t at = 0;
    for (size_t d = size.size(); d-- > 0; i /= size[d]) at += i % size[d] * stride[d];
    return at;
}
static double reference(const std::vector<double> &x, int32_t kind) {
    long double sum = 0, prod = 1, squares = 0, magnitudes = 0, exps = 0;
    double largest = -INFINITY, smallest = INFINITY;
    bool nan = false;
    for (double v : x) {
        sum += v; prod *= v; squares += v * v; magnitudes += fabs(v); exps += exp(v);
        largest = fmax(largest, v);
        smallest = fmin(smallest, v);
        nan |= v != v;
    }
    switch (kind) {
    case REDUCE_SUM: return double(sum);
    case REDUCE_MEAN: return double(sum) / double(x.size());
    case REDUCE_MAX: return nan ? NAN : largest;
    case REDUCE_MIN: return nan ? NAN : smallest;
    case REDUCE_PROD: return double(prod);
    case REDUCE_SUM_SQUARE: return double(squares);
    case REDUCE_L1: return double(magnitudes);
    case REDUCE_L2: return sqrt(double(squares));
    case REDUCE_LOG_SUM: return log(double(sum));
    default: return log(double(exps));
    }
}
template <class T> static ReduceArgs arguments(const Layout &l, const T *from, T *to, int32_t kind) {
    ReduceArgs args{};
    args.from = from;
    args.to = to;
    args.outputs = product(l.kept);
    args.reduced = product(l.reduced);
    args.type = TypeOf<T>::value;
    args.kind = kind;
    args.kept_rank = int32_t(l.kept.size());
    args.reduced_rank = int32_t(l.reduced.size());
    for (size_t d = 0; d < l.kept.size(); d++) { args.kept_size[d] = l.kept[d]; args.kept_stride[d] = l.kept_stride[d]; }
    for (size_t d = 0; d < l.reduced.size(); d++) { args.reduced_size[d] = l.reduced[d]; args.reduced_stride[d] = l.reduced_stride[d]; }
    return args;
}
template <class T> static void try_reduce(void (*kernel)(const ReduceArgs), const Layout &l, int32_t kind, double low, double high, size_t room) {
    context = "kind " + std::to_string(kind) + " type " + std::to_string(int(TypeOf<T>::value));
    Random random(room + uint64_t(kind));
    Buffer<T> from(room, 1), to(size_t(product(l.kept)), 1);
    fill_random(from, random, low, high);
    const ReduceArgs args = arguments(l, from.data + l.start, to.data, kind);
    run(kernel, blocks_for(args.outputs, args.reduced <= 1024 ? 8 : 1, 1), 256, 0, args);
    for (int64_t o = 0; o < args.outputs; o++) {
        std::vector<double> x;
        for (int64_t i = 0; i < args.reduced; i++)
            x.push_back(value_of(from[size_t(l.start + place(o, l.kept, l.kept_stride) + place(i, l.reduced, l.reduced_stride))]));
        double expected = reference(x, kind), unit = precision<T>() < 6e-8 ? precision<T>() : 6e-8;
        if (precision<T>() == 0) expected = trunc(expected), unit = 0;
        // A product rounds once for each factor; a sum is compensated.
        const double roundings = kind == REDUCE_PROD ? 20 + double(args.reduced) / 8 : 20;
        expect_close(value_of(to[size_t(o)]), value_of(element<T>(expected)), precision<T>() * 2 + roundings * unit, 8 * unit, "y", o);
    }
}

static const Layout ROWS{{37}, {21}, {21}, {1}}, COLUMNS{{21}, {37}, {1}, {21}}, LONG{{3}, {1500}, {1500}, {1}},
    MIDDLE{{3, 5}, {4, 7}, {140, 1}, {35, 5}}, BACKWARDS{{4}, {6}, {-6}, {-1}, 23}, ALL{{}, {50}, {}, {1}}, ONE{{9}, {}, {1}, {}};

CASE(every_kind_and_type) {
    for (int32_t kind = 0; kind <= REDUCE_LOG_SUM_EXP; kind++) {
        for (const Layout *l : {&ROWS, &MIDDLE, &BACKWARDS}) try_reduce<float>(reduce_f32, *l, kind, 0.5, 1.5, 777);
        try_reduce<double>(reduce_f64, COLUMNS, kind, 0.5, 1.5, 777);
        try_reduce<Half>(reduce_f32, ROWS, kind, 0.75, 1.25, 777);
        try_reduce<Bfloat>(reduce_f32, ONE, kind, 0.5, 1.5, 9);
        try_reduce<int64_t>(reduce_i64, MIDDLE, kind, 1, 3.9, 420);
        try_reduce<int32_t>(reduce_i64, ALL, kind, 1, 1.9, 50);
    }
}
CASE(signs) {
    for (int32_t kind : {REDUCE_SUM, REDUCE_MAX, REDUCE_MIN, REDUCE_SUM_SQUARE, REDUCE_L1, REDUCE_L2, REDUCE_LOG_SUM_EXP}) {
        try_reduce<float>(reduce_f32, COLUMNS, kind, -3, -1, 777);
        try_reduce<int32_t>(reduce_i64, ROWS, kind == REDUCE_LOG_SUM_EXP ? REDUCE_MAX : kind, -9, -1, 777);
        try_reduce<int8_t>(reduce_i64, ONE, kind == REDUCE_LOG_SUM_EXP ? REDUCE_MIN : kind, -9, -1, 9);
    }
}
CASE(a_block_for_a_long_one) {
    for (int32_t kind : {REDUCE_SUM, REDUCE_MEAN, REDUCE_MAX, REDUCE_MIN, REDUCE_L2, REDUCE_LOG_SUM_EXP}) {
        try_reduce<float>(reduce_f32, LONG, kind, 1, 2, 4500);
        try_reduce<double>(reduce_f64, LONG, kind, -1, 2, 4500);
    }
    try_reduce<int64_t>(reduce_i64, LONG, REDUCE_SUM, -50, 100, 4500);
    try_reduce<int64_t>(reduce_i64, LONG, REDUCE_LOG_SUM_EXP, 0, 3.9, 4500);
    try_reduce<float>(reduce_f32, LONG, REDUCE_PROD, 0.99, 1.01, 4500);
}
static float reduced(int32_t kind, std::vector<float> x) {
    Buffer<float> from(x.size()), to(1);
    for (size_t i = 0; i < x.size(); i++) from[i] = x[i];
    run(reduce_f32, 1, 256, 0, arguments(Layout{{}, {int32_t(x.size())}, {}, {1}}, from.data, to.data, kind));
    return to[0];
}
CASE(infinities_and_not_numbers) {
    for (std::vector<float> x : {std::vector<float>{1, NAN, 2}, {NAN, 1, INFINITY}, {1, 2, INFINITY}, {-INFINITY, INFINITY, 3}, {-INFINITY, -INFINITY, -INFINITY},
                                 {-0.0f, 0, 0}, {3e38f, 3e38f, -3e38f}, {700, 720, -5}}) {
        for (int32_t kind = 0; kind <= REDUCE_LOG_SUM_EXP; kind++) {
            if (x[0] == 700 || x[0] == 3e38f) continue;
            std::vector<double> wide(x.begin(), x.end());
            expect_close(reduced(kind, x), reference(wide, kind), 1e-6, 0, "kind", kind);
        }
    }
    expect_close(reduced(REDUCE_LOG_SUM_EXP, {700, 720, -5}), 720.000000002, 1e-6, 0, "log_sum_exp", 0);
    expect_close(reduced(REDUCE_LOG_SUM_EXP, {-700, -700}), -699.30685, 1e-6, 0, "log_sum_exp", 1);
    CHECK(signbit(reduced(REDUCE_MAX, {-3, -2})) && reduced(REDUCE_SUM, {}) == 0 && reduced(REDUCE_PROD, {}) == 1 && reduced(REDUCE_MEAN, {}) != 0);
}
// A thousand and one small numbers beside a large one, all in one thread's hands.
CASE(small_numbers_are_not_lost) {
    const int32_t n = 32 * 32;
    Buffer<float> from(n), to(1);
    for (size_t i = 0; i < n; i++) from[i] = i == 0 ? 16777216.0f : i % 32 == 0 ? 1.0f : 0.0f;
    run(reduce_f32, 1, 256, 0, arguments(Layout{{}, {n}, {}, {1}}, from.data, to.data, REDUCE_SUM));
    CHECK(to[0] == 16777216.0f + 31 || to[0] == 16777216.0f + 32); // every second number is a float up there
}
CASE(integers_wrap_around) {
    Buffer<int64_t> from(3), to(1);
    from[0] = INT64_MAX; from[1] = 2; from[2] = -1;
    Layout l{{}, {3}, {}, {1}};
    run(reduce_i64, 1, 256, 0, arguments(l, from.data, to.data, REDUCE_SUM));
    CHECK(to[0] == INT64_MIN);
    run(reduce_i64, 1, 256, 0, arguments(l, from.data, to.data, REDUCE_PROD));
    CHECK(to[0] == 2);
    run(reduce_i64, 1, 256, 0, arguments(l, from.data, to.data, REDUCE_MAX));
    CHECK(to[0] == INT64_MAX);
    from[0] = INT64_MAX - 1; from[1] = INT64_MAX; from[2] = INT64_MAX;
    run(reduce_i64, 1, 256, 0, arguments(l, from.data, to.data, REDUCE_MIN));
    CHECK(to[0] == INT64_MAX - 1);
}
