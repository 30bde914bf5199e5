// The arithmetic that device code names and C++ does not have, for host_shim.h.
#pragma once

static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline double rsqrt(double x) { return 1.0 / sqrt(x); }
// One operation each, which no compiler joins with another.
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dsub_rn(double a, double b) { return a - b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __ffs(int v) { return __builtin_ffs(v); }
static inline int __clz(int v) { return v ? __builtin_clz(unsigned(v)) : 32; }
static inline int __float_as_int(float v) { int r; memcpy(&r, &v, 4); return r; }
static inline unsigned __float_as_uint(float v) { unsigned r; memcpy(&r, &v, 4); return r; }
static inline float __int_as_float(int v) { float r; memcpy(&r, &v, 4); return r; }
static inline float __uint_as_float(unsigned v) { float r; memcpy(&r, &v, 4); return r; }
static inline long long __double_as_longlong(double v) { long long r; memcpy(&r, &v, 8); return r; }
static inline double __longlong_as_double(long long v) { double r; memcpy(&r, &v, 8); return r; }

// ---- f16 in software, rounded to nearest even. kernels/common.cuh names these on the host and PTX on the device.
static inline float shim_half_to_float(uint16_t h) {
    uint32_t sign = uint32_t(h & 0x8000u) << 16, exponent = h >> 10 & 31, mantissa = h & 0x3FF, bits;
    if (exponent == 31) bits = sign | 0x7F800000 | mantissa << 13;
    else if (exponent) bits = sign | (exponent + 112) << 23 | mantissa << 13;
    else bits = sign | __float_as_uint(float(mantissa) * 5.9604644775390625e-8f);
    return __uint_as_float(bits);
}
static inline uint16_t shim_float_to_half(float f) {
    uint32_t x = __float_as_uint(f), sign = x >> 16 & 0x8000;
    x &= 0x7FFFFFFF;
    if (x > 0x7F800000) return uint16_t(0x7FFF); // as cvt.rn.f16.f32 does
    if (x >= 0x477FF000) return uint16_t(sign | 0x7C00);
    // Below the smallest normal number: adding 0.5 leaves the rounded mantissa in the low bits.
    if (x < 0x38800000) return uint16_t(sign | (__float_as_uint(__uint_as_float(x) + 0.5f) - 0x3F000000));
    uint32_t odd = x >> 13 & 1;
    return uint16_t(sign | (x + 0xC8000FFF + odd) >> 13);
}
