// Tests of kernels/pointwise.cu: whole programs, broadcasting, element types, integers.
#include "harness.h"

#include "pointwise.cu"

static Instruction step(Op op, int to, int a, int b = 0, int c = 0, double k = 0, double k2 = 0) {
    return {uint8_t(op), uint8_t(to), uint8_t(a), uint8_t(b), uint8_t(c), {}, k, k2};
}
static double bits(int64_t v) { return __longlong_as_double(v); }

// y = relu(a * b + c), z = a - c, with a row, a column and a whole tensor, and results that are transposed or unaligned.
CASE(two_results_of_a_broadcast_chain) {
    const int m = 13, k = 7, n = 37;
    Random random(3);
    Buffer<float> a(m * k * n, 1), b(n), c(k, 1), y(m * k * n, 3), z(m * k * n);
    fill_random(a, random, -1, 2);
    fill_random(b, random, -1, 2);
    fill_random(c, random, -1, 2);
    PointwiseArgs args{};
    args.count = m * k * n;
    args.rank = 3;
    args.inputs = 3;
    args.outputs = 2;
    args.size[0] = m; args.size[1] = k; args.size[2] = n;
    args.in[0] = {a.data, TYPE_F32, {k * n, n, 1}, 0};
    args.in[1] = {b.data, TYPE_F32, {0, 0, 1}, 0};
    args.in[2] = {c.data, TYPE_F32, {0, 1, 0}, 0};
    args.out[0] = {y.data, TYPE_F32, {1, m, m * k}, 0};
    args.out[1] = {z.data, TYPE_F32, {k * n, n, 1}, 0};
    args.instructions = 4;
    args.program[0] = step(OP_MUL, 3, 0, 1);
    args.program[1] = step(OP_ADD, 3, 3, 2);
    args.program[2] = step(OP_RELU, 15, 3);
    args.program[3] = step(OP_SUB, 0, 0, 2);
    args.result[0] = 15;
    args.result[1] = 0;
    run(pointwise_f32, 5, 256, 0, args);
    for (int i = 0; i < m; i++) for (int j = 0; j < k; j++) for (int l = 0; l < n; l++) {
        double x = a[size_t(i * k * n + j * n + l)];
        expect_close(y[size_t(l * m * k + j * m + i)], fmax(0, x * b[size_t(l)] + c[size_t(j)]), 1e-6, 1e-6, "y", i);
        expect_close(z[size_t(i * k * n + j * n + l)], x - c[size_t(j)], 1e-6, 0, "z", i);
    }
}
CASE(every_register_input_and_output) {
    const int n = 300;
    Buffer<float> in(n * 8), out(n * 4);
    for (size_t i = 0; i < in.size; i++) in[i] = float(i % 97);
    PointwiseArgs args{};
    args.count = n;
    args.rank = 1;
    args.inputs = 8;
    args.outputs = 4;
    args.size[0] = n;
    for (int i = 0; i < 8; i++) args.in[i] = {in.data + i, TYPE_F32, {8}, 0};
    for (int i = 0; i < 4; i++) args.out[i] = {out.data + i, TYPE_F32, {4}, 0};
    args.instructions = MAX_INSTRUCTIONS;
    for (int i = 0; i < MAX_INSTRUCTIONS; i++) args.program[i] = i < 8 ? step(OP_ADD, 8 + i, i, (i + 1) % 8) : step(OP_ADD, 8 + i % 8, 8 + i % 8, i % 8);
    for (int i = 0; i < 4; i++) args.result[i] = uint8_t(15 - i);
    run(pointwise_f32, 1, 256, 0, args);
    for (size_t r = 0; r < n; r++)
        for (size_t i = 0; i < 4; i++) {
            size_t j = 7 - i;
            CHECK(out[r * 4 + i] == 3 * in[r * 8 + j] + in[r * 8 + (j + 1) % 8]);
        }
}
// Six dimensions, none of which can be joined, and more elements than threads.
CASE(six_dimensions) {
    const int32_t size[6] = {2, 3, 2, 3, 5, 4};
    Buffer<float> a(720), to(720);
    for (size_t i = 0; i < 720; i++) a[i] = float(i);
    PointwiseArgs args{};
    args.count = 720;
    args.rank = 6;
    args.inputs = args.outputs = 1;
    args.in[0] = {a.data, TYPE_F32, {}, 0};
    args.out[0] = {to.data, TYPE_F32, {}, 0};
    for (int d = 5, forward = 1, backward = 360; d >= 0; d--) {
        args.size[d] = size[d];
        args.in[0].stride[d] = forward;
        forward *= size[d];
        args.out[0].stride[5 - d] = 0;
        (void)backward;
    }
    for (int d = 0, stride = 1; d < 6; stride *= size[d++]) args.out[0].stride[d] = stride;
    run(pointwise_f32, 1, 256, 0, args);
    for (int i = 0; i < 720; i++) {
        int at = 0;
        for (int d = 5, rest = i; d >= 0; rest /= size[d--]) at += rest % size[d] * args.out[0].stride[d];
        CHECK(to[size_t(at)] == float(i));
    }
}

template <class From, class To, class Kernel> static void try_types(Kernel kernel, std::vector<std::pair<double, double>> pairs, const char *name) {
    context = name;
    Buffer<From> from(pairs.size(), 1);
    Buffer<To> to(pairs.size(), 1);
    for (size_t i = 0; i < pairs.size(); i++) from[i] = element<From>(pairs[i].first);
    PointwiseArgs args{};
    args.count = int64_t(pairs.size());
    args.rank = args.inputs = args.outputs = args.instructions = 1;
    args.size[0] = int32_t(pairs.size());
    args.in[0] = {from.data, TypeOf<From>::value, {1}, 0};
    args.out[0] = {to.data, TypeOf<To>::value, {1}, 0};
    args.program[0] = step(OP_COPY, 0, 0);
    run(kernel, 1, 256, 0, args);
    for (size_t i = 0; i < pairs.size(); i++) expect_close(value_of(to[i]), pairs[i].second, 0, 0, name, int64_t(i));
}
CASE(types_are_converted_on_the_way) {
    try_types<float, int32_t>(pointwise_f32, {{1.9, 1}, {-1.9, -1}, {3e9, 2147483647}, {-3e9, -2147483648.0}, {NAN, 0}}, "f32 to i32");
    try_types<float, uint8_t>(pointwise_f32, {{255.9, 255}, {256, 255}, {-1, 0}, {INFINITY, 255}}, "f32 to u8");
    try_types<float, int64_t>(pointwise_f32, {{-2.5, -2}, {16777216, 16777216}}, "f32 to i64");
    try_types<double, int64_t>(pointwise_f64, {{1e15 + 1, 1e15 + 1}, {-INFINITY, -9223372036854775808.0}}, "f64 to i64");
    try_types<double, uint64_t>(pointwise_f64, {{-3, 0}, {1e19, 1e19}}, "f64 to u64");
    try_types<float, Bool>(pointwise_f32, {{0, 0}, {-0.0, 0}, {0.1, 1}, {NAN, 1}}, "f32 to bool");
    try_types<float, Half>(pointwise_f32, {{1.00048828125, 1}, {1e6, INFINITY}, {6e-8, 5.9604644775390625e-8}}, "f32 to f16");
    try_types<Half, float>(pointwise_f32, {{0.333251953125, 0.333251953125}, {NAN, NAN}}, "f16 to f32");
    try_types<float, Bfloat>(pointwise_f32, {{1.00390625, 1}, {1.01171875, 1.015625}}, "f32 to bf16");
    try_types<Bfloat, double>(pointwise_f64, {{-2.5, -2.5}}, "bf16 to f64");
    try_types<int8_t, float>(pointwise_f32, {{-128, -128}, {127, 127}}, "i8 to f32");
    try_types<uint16_t, float>(pointwise_f32, {{65535, 65535}}, "u16 to f32");
    try_types<int64_t, int16_t>(pointwise_i64, {{65537, 1}, {-1, -1}, {40000, -25536}}, "i64 to i16");
    try_types<uint32_t, int64_t>(pointwise_i64, {{4294967295.0, 4294967295.0}}, "u32 to i64");
    try_types<int32_t, Bool>(pointwise_i64, {{256, 1}, {0, 0}}, "i32 to bool");
    try_types<Bool, int64_t>(pointwise_i64, {{1, 1}, {0, 0}}, "bool to i64");
    try_types<Bool, float>(pointwise_f32, {{1, 1}, {0, 0}}, "bool to f32");
    try_types<Bool, double>(pointwise_f64, {{1, 1}, {0, 0}}, "bool to f64");
    try_types<float, int64_t>(pointwise_i64, {{-7.9, -7}, {NAN, 0}}, "f32 to i64 by i64");
    try_types<int64_t, Half>(pointwise_i64, {{2049, 2048}}, "i64 to f16");
    try_types<int64_t, Bfloat>(pointwise_i64, {{257, 256}}, "i64 to bf16");
}

static int64_t whole(Op op, int64_t a, int64_t b = 0, int64_t c = 0, int64_t k = 0, int64_t k2 = 0) {
    Buffer<int64_t> in(3), to(1);
    in[0] = a; in[1] = b; in[2] = c;
    PointwiseArgs args{};
    args.count = args.outputs = args.instructions = 1;
    args.inputs = 3;
    for (int i = 0; i < 3; i++) args.in[i] = {in.data + i, TYPE_I64, {}, 0};
    args.out[0] = {to.data, TYPE_I64, {}, 0};
    args.program[0] = step(op, 0, 0, 1, 2, bits(k), bits(k2));
    run(pointwise_i64, 1, 32, 0, args);
    return to[0];
}
static void expect_whole(int line, int64_t actual, int64_t expected) {
    if (actual != expected) failure("line %d: %lld, expected %lld", line, static_cast<long long>(actual), static_cast<long long>(expected));
}
#define WHOLE(expected, ...) expect_whole(__LINE__, whole(__VA_ARGS__), expected)
CASE(integers) {
    if (shim::seed > 1) return;
    const int64_t least = INT64_MIN, most = INT64_MAX;
    WHOLE(least, OP_ADD, most, 1);
    WHOLE(most, OP_SUB, least, 1);
    WHOLE(-6, OP_MUL, 2, -3);
    WHOLE(-2, OP_MUL, most, 2);
    WHOLE(-2, OP_DIV, -7, 3);
    WHOLE(0, OP_DIV, 5, 0);
    WHOLE(least, OP_DIV, least, -1);
    WHOLE(-5, OP_DIV, 5, -1);
    WHOLE(2, OP_MOD, -7, 3);
    WHOLE(-2, OP_MOD, 7, -3);
    WHOLE(0, OP_MOD, 6, -3);
    WHOLE(1, OP_MOD, 7, 3);
    WHOLE(-1, OP_FMOD, -7, 3);
    WHOLE(0, OP_FMOD, 7, 0);
    WHOLE(0, OP_MOD, least, -1);
    WHOLE(243, OP_POW, 3, 5);
    WHOLE(1, OP_POW, 0, 0);
    WHOLE(0, OP_POW, 2, -1);
    WHOLE(1, OP_POW, 1, -1);
    WHOLE(-1, OP_POW, -1, -3);
    WHOLE(1, OP_POW, -1, -2);
    WHOLE(-4, OP_MIN, 3, -4);
    WHOLE(3, OP_MAX, 3, -4);
    for (int64_t a : {3, 4, 5}) {
        WHOLE(a == 4, OP_EQ, a, 4); WHOLE(a < 4, OP_LT, a, 4); WHOLE(a <= 4, OP_LE, a, 4);
        WHOLE(a > 4, OP_GT, a, 4); WHOLE(a >= 4, OP_GE, a, 4); WHOLE(a != 4, OP_NE, a, 4);
    }
    WHOLE(1, OP_GT, most, most - 1); // a difference that doubles do not see
    for (int64_t a : {0, 2}) for (int64_t b : {0, 5}) {
        WHOLE(a && b, OP_AND, a, b); WHOLE(a || b, OP_OR, a, b); WHOLE(!a != !b, OP_XOR, a, b);
        WHOLE(!a, OP_NOT, a, b); WHOLE(a ? b : 9, OP_WHERE, a, b, 9);
    }
    WHOLE(-5, OP_NEG, 5);
    WHOLE(5, OP_ABS, -5);
    WHOLE(5, OP_ABS, 5);
    WHOLE(-1, OP_SIGN, -9); WHOLE(1, OP_SIGN, 9); WHOLE(0, OP_SIGN, 0);
    WHOLE(0, OP_RELU, -9); WHOLE(9, OP_RELU, 9);
    WHOLE(-2, OP_CLIP, -9, 0, 0, -2, 4); WHOLE(4, OP_CLIP, 9, 0, 0, -2, 4); WHOLE(3, OP_CLIP, 3, 0, 0, -2, 4);
    WHOLE(most, OP_CONSTANT, 1, 2, 3, most); WHOLE(7, OP_COPY, 7); WHOLE(7, OP_FLOOR, 7);
    WHOLE(8, OP_BIT_AND, 12, 10); WHOLE(14, OP_BIT_OR, 12, 10); WHOLE(6, OP_BIT_XOR, 12, 10); WHOLE(-13, OP_BIT_NOT, 12);
    WHOLE(48, OP_SHIFT_LEFT, 12, 2); WHOLE(0, OP_SHIFT_LEFT, 12, 64); WHOLE(least, OP_SHIFT_LEFT, 1, 63);
    WHOLE(3, OP_SHIFT_RIGHT, 12, 2); WHOLE(0, OP_SHIFT_RIGHT, 12, 64); WHOLE(1, OP_SHIFT_RIGHT, -1, 63);
    WHOLE(15, OP_SHIFT_RIGHT, -1, 4, 0, 8); WHOLE(1, OP_SHIFT_RIGHT, -1, 63, 0, 64); WHOLE(0, OP_SIN, 3);
}
CASE(nothing_to_do) {
    Buffer<float> to(1);
    to[0] = 5;
    PointwiseArgs args{};
    args.rank = args.outputs = args.instructions = 1;
    args.out[0] = {to.data, TYPE_F32, {1}, 0};
    args.program[0] = step(OP_CONSTANT, 0, 0, 0, 0, 9);
    run(pointwise_f32, 1, 256, 0, args);
    CHECK(to[0] == 5);
}
