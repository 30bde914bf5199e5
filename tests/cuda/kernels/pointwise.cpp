// Tests of kernels/pointwise.cu: operators, one by one, on f32 and f64.
#include "harness.h"

#include <cfloat>

#include "pointwise.cu"

static const double INF = INFINITY;
static const std::vector<double> SPECIAL = {0.0, -0.0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 3, -3, 6, -6, 0.1, -0.7, 1e-30, 1e-40, 20, -20, 100,
                                            -100, 1e30, -1e30, INF, -INF, NAN, 7.25, -7.25, 2, -2, 0.25, 0.99};

static double clip(double x, double low, double high) { return x != x ? x : fmin(fmax(x, low), high); }
static double reference_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double reference_softplus(double x) { return x > 30 ? x : log1p(exp(x)); }
// Python's %: fmod, and one divisor more where the signs differ.
static double reference_mod(double a, double b) {
    double r = fmod(a, b);
    return r * b < 0 || (r != 0 && fabs(b) == INF && (r < 0) != (b < 0)) ? r + b : r;
}

struct Tested {
    Op op;
    int operands;
    double k, k2;
    double (*expected)(double a, double b, double c, double k, double k2);
    double tolerance; // in units of the type's precision
};
#define OPERATOR(op, operands, k, k2, tolerance, formula)                                                                    \
    Tested { op, operands, k, k2, [](double a, double b, double c, double alpha, double beta) -> double {                    \
        (void)a; (void)b; (void)c; (void)alpha; (void)beta; return formula; }, tolerance }

static const std::vector<Tested> TESTED = {
    OPERATOR(OP_ADD, 2, 0, 0, 2, a + b), OPERATOR(OP_SUB, 2, 0, 0, 2, a - b), OPERATOR(OP_MUL, 2, 0, 0, 2, a * b),
    OPERATOR(OP_DIV, 2, 0, 0, 2, a / b), OPERATOR(OP_POW, 2, 0, 0, 40, pow(a, b)),
    OPERATOR(OP_MOD, 2, 0, 0, 100, reference_mod(a, b)), OPERATOR(OP_FMOD, 2, 0, 0, 2, fmod(a, b)),
    OPERATOR(OP_MIN, 2, 0, 0, 0, a != a || b != b ? NAN : fmin(a, b)), OPERATOR(OP_MAX, 2, 0, 0, 0, a != a || b != b ? NAN : fmax(a, b)),
    OPERATOR(OP_EQ, 2, 0, 0, 0, a == b), OPERATOR(OP_LT, 2, 0, 0, 0, a < b), OPERATOR(OP_LE, 2, 0, 0, 0, a <= b),
    OPERATOR(OP_GT, 2, 0, 0, 0, a > b), OPERATOR(OP_GE, 2, 0, 0, 0, a >= b), OPERATOR(OP_NE, 2, 0, 0, 0, a != b),
    OPERATOR(OP_AND, 2, 0, 0, 0, a && b), OPERATOR(OP_OR, 2, 0, 0, 0, a || b), OPERATOR(OP_XOR, 2, 0, 0, 0, !a != !b),
    OPERATOR(OP_NOT, 1, 0, 0, 0, !a), OPERATOR(OP_WHERE, 3, 0, 0, 0, a ? b : c),
    OPERATOR(OP_NEG, 1, 0, 0, 0, -a), OPERATOR(OP_ABS, 1, 0, 0, 0, a < 0 ? -a : a == 0 ? 0 : a),
    OPERATOR(OP_SIGN, 1, 0, 0, 0, a != a ? a : a > 0 ? 1 : a < 0 ? -1 : 0), OPERATOR(OP_CEIL, 1, 0, 0, 0, ceil(a)),
    OPERATOR(OP_FLOOR, 1, 0, 0, 0, floor(a)), OPERATOR(OP_ROUND, 1, 0, 0, 0, nearbyint(a)), OPERATOR(OP_TRUNC, 1, 0, 0, 0, trunc(a)),
    OPERATOR(OP_SQRT, 1, 0, 0, 2, sqrt(a)), OPERATOR(OP_RECIPROCAL, 1, 0, 0, 2, 1 / a), OPERATOR(OP_EXP, 1, 0, 0, 9, exp(a)),
    OPERATOR(OP_LOG, 1, 0, 0, 9, log(a)), OPERATOR(OP_SIN, 1, 0, 0, 9, sin(a)), OPERATOR(OP_COS, 1, 0, 0, 9, cos(a)),
    OPERATOR(OP_TAN, 1, 0, 0, 20, tan(a)), OPERATOR(OP_ASIN, 1, 0, 0, 9, asin(a)), OPERATOR(OP_ACOS, 1, 0, 0, 9, acos(a)),
    OPERATOR(OP_ATAN, 1, 0, 0, 9, atan(a)), OPERATOR(OP_SINH, 1, 0, 0, 9, sinh(a)), OPERATOR(OP_COSH, 1, 0, 0, 9, cosh(a)),
    OPERATOR(OP_TANH, 1, 0, 0, 9, tanh(a)), OPERATOR(OP_ASINH, 1, 0, 0, 9, asinh(a)), OPERATOR(OP_ACOSH, 1, 0, 0, 9, acosh(a)),
    OPERATOR(OP_ATANH, 1, 0, 0, 9, atanh(a)), OPERATOR(OP_ERF, 1, 0, 0, 9, erf(a)),
    OPERATOR(OP_RELU, 1, 0, 0, 0, a != a ? a : fmax(a, 0)), OPERATOR(OP_LEAKY_RELU, 1, 0.125, 0, 2, a >= 0 ? a : alpha * a),
    OPERATOR(OP_ELU, 1, 1.5, 0, 9, a > 0 ? a : alpha * expm1(a)), OPERATOR(OP_SELU, 1, 1.625, 1.0625, 9, beta * (a > 0 ? a : alpha * expm1(a))),
    OPERATOR(OP_CELU, 1, 2, 0, 9, a > 0 ? a : alpha * expm1(a / alpha)), OPERATOR(OP_SIGMOID, 1, 0, 0, 30, reference_sigmoid(a)),
    OPERATOR(OP_HARD_SIGMOID, 1, 0.25, 0.5625, 4, clip(alpha * a + beta, 0, 1)), OPERATOR(OP_HARD_SWISH, 1, 0, 0, 9, a * clip(a / 6 + 0.5, 0, 1)),
    OPERATOR(OP_SOFTPLUS, 1, 0, 0, 20, reference_softplus(a)), OPERATOR(OP_SOFTSIGN, 1, 0, 0, 9, a / (1 + fabs(a))),
    OPERATOR(OP_THRESHOLDED_RELU, 1, 1.5, 0, 0, a <= alpha ? 0 : a), OPERATOR(OP_MISH, 1, 0, 0, 40, a * tanh(reference_softplus(a))),
    OPERATOR(OP_SWISH, 1, 1.75, 0, 40, a * reference_sigmoid(alpha * a)), OPERATOR(OP_GELU, 1, 0, 0, 60, a * 0.5 * (1 + erf(a * M_SQRT1_2))),
    OPERATOR(OP_GELU_TANH, 1, 0, 0, 60, a * 0.5 * (1 + tanh(sqrt(2 / M_PI) * (a + 0.044715 * a * a * a)))),
    OPERATOR(OP_CLIP, 1, -0.75, 2.25, 0, clip(a, alpha, beta)), OPERATOR(OP_IS_NAN, 1, 0, 0, 0, a != a),
    OPERATOR(OP_IS_INF, 1, 1, 0, 0, a == -INF), OPERATOR(OP_IS_INF, 1, 2, 0, 0, a == INF), OPERATOR(OP_IS_INF, 1, 3, 0, 0, fabs(a) == INF),
    OPERATOR(OP_CONSTANT, 1, 3.25, 0, 0, alpha), OPERATOR(OP_COPY, 1, 0, 0, 0, a),
};

template <class T, class Kernel> static void try_operators(Kernel kernel) {
    std::vector<double> numbers = SPECIAL;
    Random random(5);
    for (int i = 0; i < 8; i++) numbers.push_back(random.real(-4, 4));
    for (const Tested &t : TESTED) {
        context = "operator " + std::to_string(int(t.op)) + (sizeof(T) == 4 ? " f32" : " f64");
        // One operand: each number. More: every pair, the third going round.
        size_t n = numbers.size(), count = t.operands == 1 ? n : n * n;
        Buffer<T> a(count, 1), b(count), c(count), to(count, 1);
        for (size_t i = 0; i < count; i++) {
            a[i] = T(numbers[i % n]);
            b[i] = T(numbers[i / n]);
            c[i] = T(numbers[(i + i / n) % n]);
        }
        PointwiseArgs args{};
        args.count = int64_t(count);
        args.rank = args.outputs = args.instructions = 1;
        args.inputs = 3;
        args.size[0] = int32_t(count);
        args.result[0] = 5;
        T *data[] = {a.data, b.data, c.data};
        for (int i = 0; i < 3; i++) args.in[i] = {data[i], TypeOf<T>::value, {1}, 0};
        args.out[0] = {to.data, TypeOf<T>::value, {1}, 0};
        args.program[0] = {uint8_t(t.op), 5, 0, 1, 2, {}, t.k, t.k2};
        run(kernel, 2, 256, 0, args);
        for (size_t i = 0; i < count; i++) {
            double expected = double(T(t.expected(double(a[i]), double(b[i]), double(c[i]), t.k, t.k2)));
            // Below the smallest normal number and near a function's zero only the absolute difference says something.
            double absolute = t.tolerance * precision<T>() * (t.op == OP_MOD ? fabs(double(b[i])) : t.tolerance > 2 ? 1 : 1e-30);
            if (!close(double(to[i]), expected, t.tolerance * precision<T>(), absolute))
                failure("f(%g, %g, %g) is %.9g, expected %.9g", double(a[i]), double(b[i]), double(c[i]), double(to[i]), expected);
        }
    }
}

CASE(operators_on_f32) { if (shim::seed < 2) try_operators<float>(pointwise_f32); }
CASE(operators_on_f64) { if (shim::seed < 2) try_operators<double>(pointwise_f64); }
// Against scipy.special.erfinv, as far as Winitzki's approximation goes (two parts in a thousand).
CASE(probit) {
    const double p[] = {0.01, 0.1, 0.25, 0.5, 0.6, 0.9, 0.975}, expected[] = {-2.3263478740, -1.2815515655, -0.6744897502, 0, 0.2533471031, 1.2815515655, 1.9599639845};
    Instruction i{OP_INV_SQRT_2ERF, 0, 0, 0, 0, {}, 0, 0};
    for (int n = 0; n < 7; n++) expect_close(apply<double>(i, p[n], 0, 0), expected[n], 4e-3, 1e-9, "probit", n);
    CHECK(apply<float>(i, 1.0f, 0, 0) == INFINITY && apply<float>(i, 0.0f, 0, 0) == -INFINITY);
}
// What an approximation cannot show: that -0 keeps its sign where it should, and that large arguments do not overflow.
CASE(signs_of_zero_and_extremes) {
    auto f = [](Op op, float a, double k = 0) { return apply<float>({uint8_t(op), 0, 0, 0, 0, {}, k, 0}, a, a, a); };
    CHECK(signbit(f(OP_NEG, 0.0f)) && !signbit(f(OP_ABS, -0.0f)) && signbit(f(OP_CEIL, -0.5f)) && signbit(f(OP_COPY, -0.0f)));
    CHECK(f(OP_SIGMOID, -200.0f) == 0 && f(OP_SIGMOID, 200.0f) == 1 && f(OP_SOFTPLUS, 200.0f) == 200 && f(OP_SOFTPLUS, -200.0f) == 0);
    CHECK(f(OP_SIGMOID, -88.0f) > 0 && f(OP_SOFTPLUS, -88.0f) > 0);
    CHECK(f(OP_IS_INF, FLT_MAX, 3) == 0 && apply<double>({OP_IS_INF, 0, 0, 0, 0, {}, 3, 0}, DBL_MAX, 0, 0) == 0);
}
