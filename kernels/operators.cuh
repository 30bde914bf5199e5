// The elementwise operators of pointwise.cu, in floating point and on integers.
#pragma once
#include "common.cuh"

// 1 / (1 + e^-x), without overflow.
template <class C> __device__ __forceinline__ C sigmoid(C x) {
    C e = exp(-fabs(x));
    return x < C(0) ? e / (C(1) + e) : C(1) / (C(1) + e);
}
// log(1 + e^x), without overflow.
template <class C> __device__ __forceinline__ C softplus(C x) { return (x < C(0) ? C(0) : x) + log1p(exp(-fabs(x))); }
template <class C> __device__ __forceinline__ C gelu(C x) { return C(0.5) * x * (C(1) + erf(x * C(0.70710678118654752440))); }
template <class C> __device__ __forceinline__ C gelu_tanh(C x) {
    return C(0.5) * x * (C(1) + tanh(C(0.79788456080286535588) * (x + C(0.044715) * x * x * x)));
}
// Towards the divisor's sign, as Python's %.
template <class C> __device__ __forceinline__ C floor_mod(C a, C b) {
    C r = fmod(a, b);
    return r != C(0) && (r < C(0)) != (b < C(0)) ? r + b : r;
}
// sqrt(2) * erfinv(2 p - 1) as ONNX Runtime computes probit: Winitzki's approximation (2008), in single precision's constants.
template <class C> __device__ __forceinline__ C probit(C p) {
    C x = C(2) * p - C(1), sign = x < C(0) ? C(-1) : C(1);
    C l = log((C(1) - x) * (C(1) + x));
    C v = C(2) / C(3.14159f * 0.147f) + C(0.5) * l;
    C w = C(1) / C(0.147f) * l;
    return C(1.41421356f) * sign * sqrt(-v + sqrt(v * v - w));
}
template <class C> __device__ __forceinline__ C sign_of(C x) { return x != x ? x : C(x > C(0)) - C(x < C(0)); }

// What compares, chooses, and computes with two or three operands. False where `op` is none of these.
template <class C> __device__ __forceinline__ bool apply_several(int op, C a, C b, C c, C &result) {
    switch (op) {
    case OP_ADD: result = a + b; break;
    case OP_SUB: result = a - b; break;
    case OP_MUL: result = a * b; break;
    case OP_DIV: result = a / b; break;
    case OP_POW: result = pow(a, b); break;
    case OP_MOD: result = floor_mod(a, b); break;
    case OP_FMOD: result = fmod(a, b); break;
    case OP_MIN: result = Min()(a, b); break;
    case OP_MAX: result = Max()(a, b); break;
    case OP_EQ: result = a == b; break;
    case OP_LT: result = a < b; break;
    case OP_LE: result = a <= b; break;
    case OP_GT: result = a > b; break;
    case OP_GE: result = a >= b; break;
    case OP_NE: result = a != b; break;
    case OP_AND: result = a != C(0) && b != C(0); break;
    case OP_OR: result = a != C(0) || b != C(0); break;
    case OP_XOR: result = (a != C(0)) != (b != C(0)); break;
    case OP_NOT: result = a == C(0); break;
    case OP_WHERE: result = a != C(0) ? b : c; break;
    default: return false;
    }
    return true;
}
// Functions of one number from the mathematical library.
template <class C> __device__ __forceinline__ bool apply_function(int op, C a, C &result) {
    switch (op) {
    case OP_NEG: result = -a; break;
    case OP_ABS: result = fabs(a); break;
    case OP_SIGN: result = sign_of(a); break;
    case OP_CEIL: result = ceil(a); break;
    case OP_FLOOR: result = floor(a); break;
    case OP_ROUND: result = rint(a); break;
    case OP_TRUNC: result = trunc(a); break;
    case OP_SQRT: result = sqrt(a); break;
    case OP_RECIPROCAL: result = C(1) / a; break;
    case OP_EXP: result = exp(a); break;
    case OP_LOG: result = log(a); break;
    case OP_SIN: result = sin(a); break;
    case OP_COS: result = cos(a); break;
    case OP_TAN: result = tan(a); break;
    case OP_ASIN: result = asin(a); break;
    case OP_ACOS: result = acos(a); break;
    case OP_ATAN: result = atan(a); break;
    case OP_SINH: result = sinh(a); break;
    case OP_COSH: result = cosh(a); break;
    case OP_TANH: result = tanh(a); break;
    case OP_ASINH: result = asinh(a); break;
    case OP_ACOSH: result = acosh(a); break;
    case OP_ATANH: result = atanh(a); break;
    case OP_ERF: result = erf(a); break;
    case OP_INV_SQRT_2ERF: result = probit(a); break;
    default: return false;
    }
    return true;
}
// Activations. k and k2 are the instruction's constants.
template <class C> __device__ __forceinline__ C apply_activation(int op, C a, C k, C k2) {
    switch (op) {
    case OP_RELU: return a < C(0) ? C(0) : a;
    case OP_LEAKY_RELU: return a < C(0) ? k * a : a;
    case OP_ELU: return a < C(0) ? k * expm1(a) : a;
    case OP_SELU: return k2 * (a < C(0) ? k * expm1(a) : a);
    case OP_CELU: return a < C(0) ? k * expm1(a / k) : a;
    case OP_SIGMOID: return sigmoid(a);
    case OP_HARD_SIGMOID: {
        C y = k * a + k2;
        return y < C(0) ? C(0) : y > C(1) ? C(1) : y;
    }
    case OP_HARD_SWISH: {
        C y = a / C(6) + C(0.5);
        return a * (y < C(0) ? C(0) : y > C(1) ? C(1) : y);
    }
    case OP_SOFTPLUS: return softplus(a);
    case OP_SOFTSIGN: return a / (C(1) + fabs(a));
    case OP_THRESHOLDED_RELU: return a > k || a != a ? a : C(0);
    case OP_MISH: return a * tanh(softplus(a));
    case OP_SWISH: return a * sigmoid(k * a);
    case OP_GELU: return gelu(a);
    case OP_GELU_TANH: return gelu_tanh(a);
    case OP_CLIP: {
        C y = a < k ? k : a;
        return y > k2 ? k2 : y;
    }
    case OP_IS_NAN: return a != a;
    case OP_IS_INF: {
        bool infinite = a == a && fabs(a) > C(sizeof(C) == 4 ? 3.4028234663852886e38 : 1.7976931348623157e308);
        return infinite && (int(k) >> (a > C(0)) & 1);
    }
    case OP_CONSTANT: return k;
    default: return a; // OP_COPY
    }
}
template <class C> __device__ __forceinline__ C apply(const Instruction &i, C a, C b, C c) {
    C result = C(0);
    if (apply_several(i.op, a, b, c, result) || apply_function(i.op, a, result)) return result;
    return apply_activation(i.op, a, C(i.constant), C(i.constant2));
}

// ---- Integers. Sums and products wrap around, as they do in ONNX Runtime.
__device__ __forceinline__ int64_t wrap(uint64_t v) { return int64_t(v); }
__device__ __forceinline__ int64_t divide(int64_t a, int64_t b) { return b == 0 ? 0 : b == -1 ? wrap(0 - uint64_t(a)) : a / b; }
__device__ __forceinline__ int64_t remainder_of(int64_t a, int64_t b) { return b == 0 || b == -1 ? 0 : a % b; }
__device__ __forceinline__ int64_t power(int64_t base, int64_t exponent) {
    if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent & 1 ? -1 : 1) : 0;
    uint64_t result = 1, square = uint64_t(base);
    for (uint64_t e = uint64_t(exponent); e; e >>= 1, square *= square)
        if (e & 1) result *= square;
    return wrap(result);
}
__device__ __forceinline__ bool apply_bits(const Instruction &i, int64_t a, int64_t b, int64_t &result) {
    switch (i.op) {
    case OP_BIT_AND: result = a & b; break;
    case OP_BIT_OR: result = a | b; break;
    case OP_BIT_XOR: result = a ^ b; break;
    case OP_BIT_NOT: result = ~a; break;
    case OP_SHIFT_LEFT: result = uint64_t(b) > 63 ? 0 : wrap(uint64_t(a) << b); break;
    case OP_SHIFT_RIGHT: {
        int64_t width = __double_as_longlong(i.constant);
        uint64_t bits = width > 0 && width < 64 ? uint64_t(a) & ((uint64_t(1) << width) - 1) : uint64_t(a);
        result = uint64_t(b) > 63 ? 0 : wrap(bits >> b);
        break;
    }
    default: return false;
    }
    return true;
}
template <> __device__ __forceinline__ int64_t apply<int64_t>(const Instruction &i, int64_t a, int64_t b, int64_t c) {
    const int64_t k = __double_as_longlong(i.constant), k2 = __double_as_longlong(i.constant2);
    int64_t result = 0;
    if (apply_bits(i, a, b, result)) return result;
    switch (i.op) {
    case OP_ADD: return wrap(uint64_t(a) + uint64_t(b));
    case OP_SUB: return wrap(uint64_t(a) - uint64_t(b));
    case OP_MUL: return wrap(uint64_t(a) * uint64_t(b));
    case OP_DIV: return divide(a, b);
    case OP_POW: return power(a, b);
    case OP_FMOD: return remainder_of(a, b);
    case OP_MOD: {
        int64_t r = remainder_of(a, b);
        return r != 0 && (r < 0) != (b < 0) ? r + b : r;
    }
    case OP_NEG: return wrap(0 - uint64_t(a));
    case OP_ABS: return a < 0 ? wrap(0 - uint64_t(a)) : a;
    case OP_SIGN: return (a > 0) - (a < 0);
    case OP_RELU: return a < 0 ? 0 : a;
    case OP_CLIP: {
        int64_t y = a < k ? k : a;
        return y > k2 ? k2 : y;
    }
    case OP_CONSTANT: return k;
    case OP_COPY: case OP_CEIL: case OP_FLOOR: case OP_ROUND: case OP_TRUNC: return a;
    case OP_MIN: return a < b ? a : b;
    case OP_MAX: return a > b ? a : b;
    case OP_EQ: return a == b;
    case OP_LT: return a < b;
    case OP_LE: return a <= b;
    case OP_GT: return a > b;
    case OP_GE: return a >= b;
    case OP_NE: return a != b;
    case OP_AND: return a != 0 && b != 0;
    case OP_OR: return a != 0 || b != 0;
    case OP_XOR: return (a != 0) != (b != 0);
    case OP_NOT: return a == 0;
    case OP_WHERE: return a != 0 ? b : c;
    default: return 0;
    }
}
