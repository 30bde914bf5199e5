// What all kernels share: element types and their conversions, reductions over a warp and a block, places in tensors.
#pragma once
#include "args.cuh"

#if !defined(GPU_HOST_SHIM)
#define SHARED_DYN(T, name)                                                                                                  \
    extern __shared__ __align__(16) unsigned char dynamic_shared[];                                                          \
    T *name = reinterpret_cast<T *>(dynamic_shared)
#endif

constexpr unsigned FULL_WARP = 0xffffffffu;

struct Half { uint16_t bits; };
struct Bfloat { uint16_t bits; };
struct Bool { uint8_t byte; };

// ---- To and from narrow floats, rounded to nearest even.
__device__ __forceinline__ float half_to_float(uint16_t h) {
#if defined(GPU_HOST_SHIM)
    return shim_half_to_float(h);
#else
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
    return f;
#endif
}
__device__ __forceinline__ uint16_t float_to_half(float f) {
#if defined(GPU_HOST_SHIM)
    return shim_float_to_half(f);
#else
    uint16_t h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f));
    return h;
#endif
}
__device__ __forceinline__ float bfloat_to_float(uint16_t b) { return __uint_as_float(uint32_t(b) << 16); }
__device__ __forceinline__ uint16_t float_to_bfloat(float f) {
    uint32_t bits = __float_as_uint(f);
    if (f != f) return 0x7FFF;
    return uint16_t((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

// ---- Reading an element as a wider number, and writing one.
template <class T> __device__ __forceinline__ float to_float(T v) { return float(v); }
__device__ __forceinline__ float to_float(Half v) { return half_to_float(v.bits); }
__device__ __forceinline__ float to_float(Bfloat v) { return bfloat_to_float(v.bits); }
__device__ __forceinline__ float to_float(Bool v) { return v.byte ? 1.0f : 0.0f; }

// The least and the largest of an integer type of at most 64 bits.
template <class I> __device__ __forceinline__ constexpr I lowest_integer() {
    return I(-1) < I(0) ? I(uint64_t(1) << (sizeof(I) * 8 - 1)) : I(0);
}
template <class I> __device__ __forceinline__ constexpr I largest_integer() { return I(~lowest_integer<I>()); }

// A number as a T: towards zero, held within T's range, 0 for NaN.
template <class T, class F> struct FromFloat {
    __device__ static __forceinline__ T of(F x) {
        if (x != x) return T(0);
        // The largest of a wide type is rounded up here, to the first number that does not fit.
        if (x >= F(largest_integer<T>())) return largest_integer<T>();
        if (x <= F(lowest_integer<T>())) return lowest_integer<T>();
        return T(x);
    }
};
template <class F> struct FromFloat<float, F> { __device__ static __forceinline__ float of(F x) { return float(x); } };
template <class F> struct FromFloat<double, F> { __device__ static __forceinline__ double of(F x) { return double(x); } };
template <class F> struct FromFloat<Half, F> { __device__ static __forceinline__ Half of(F x) { return {float_to_half(float(x))}; } };
template <class F> struct FromFloat<Bfloat, F> { __device__ static __forceinline__ Bfloat of(F x) { return {float_to_bfloat(float(x))}; } };
template <class F> struct FromFloat<Bool, F> { __device__ static __forceinline__ Bool of(F x) { return {uint8_t(x != F(0))}; } };

// Reading and writing in a compute type C: float, double or int64_t.
template <class C> struct Compute {
    template <class T> __device__ static __forceinline__ C read(T v) { return C(v); }
    __device__ static __forceinline__ C read(Half v) { return C(half_to_float(v.bits)); }
    __device__ static __forceinline__ C read(Bfloat v) { return C(bfloat_to_float(v.bits)); }
    __device__ static __forceinline__ C read(Bool v) { return C(v.byte != 0); }
    template <class T> __device__ static __forceinline__ T write(C v) { return FromFloat<T, C>::of(v); }
};
template <class T> struct FromInteger { __device__ static __forceinline__ T of(int64_t x) { return T(x); } };
template <> struct FromInteger<Half> { __device__ static __forceinline__ Half of(int64_t x) { return {float_to_half(float(x))}; } };
template <> struct FromInteger<Bfloat> { __device__ static __forceinline__ Bfloat of(int64_t x) { return {float_to_bfloat(float(x))}; } };
template <> struct FromInteger<Bool> { __device__ static __forceinline__ Bool of(int64_t x) { return {uint8_t(x != 0)}; } };
template <> struct Compute<int64_t> {
    template <class T> __device__ static __forceinline__ int64_t read(T v) { return int64_t(v); }
    __device__ static __forceinline__ int64_t read(float v) { return FromFloat<int64_t, float>::of(v); }
    __device__ static __forceinline__ int64_t read(double v) { return FromFloat<int64_t, double>::of(v); }
    __device__ static __forceinline__ int64_t read(Half v) { return FromFloat<int64_t, float>::of(half_to_float(v.bits)); }
    __device__ static __forceinline__ int64_t read(Bfloat v) { return FromFloat<int64_t, float>::of(bfloat_to_float(v.bits)); }
    __device__ static __forceinline__ int64_t read(Bool v) { return v.byte != 0; }
    template <class T> __device__ static __forceinline__ T write(int64_t v) { return FromInteger<T>::of(v); }
};

// Element `at` of a tensor whose type is known at run time only.
template <class C> __device__ __forceinline__ C load(const void *data, int64_t at, int32_t type) {
    switch (type) {
    case TYPE_F32: return Compute<C>::read(static_cast<const float *>(data)[at]);
    case TYPE_F16: return Compute<C>::read(static_cast<const Half *>(data)[at]);
    case TYPE_BF16: return Compute<C>::read(static_cast<const Bfloat *>(data)[at]);
    case TYPE_F64: return Compute<C>::read(static_cast<const double *>(data)[at]);
    case TYPE_I32: return Compute<C>::read(static_cast<const int32_t *>(data)[at]);
    case TYPE_I64: return Compute<C>::read(static_cast<const int64_t *>(data)[at]);
    case TYPE_U8: return Compute<C>::read(static_cast<const uint8_t *>(data)[at]);
    case TYPE_BOOL: return Compute<C>::read(static_cast<const Bool *>(data)[at]);
    case TYPE_I8: return Compute<C>::read(static_cast<const int8_t *>(data)[at]);
    case TYPE_U32: return Compute<C>::read(static_cast<const uint32_t *>(data)[at]);
    case TYPE_U64: return Compute<C>::read(static_cast<const uint64_t *>(data)[at]);
    case TYPE_I16: return Compute<C>::read(static_cast<const int16_t *>(data)[at]);
    default: return Compute<C>::read(static_cast<const uint16_t *>(data)[at]);
    }
}
template <class C> __device__ __forceinline__ void store(void *data, int64_t at, int32_t type, C v) {
    switch (type) {
    case TYPE_F32: static_cast<float *>(data)[at] = Compute<C>::template write<float>(v); break;
    case TYPE_F16: static_cast<Half *>(data)[at] = Compute<C>::template write<Half>(v); break;
    case TYPE_BF16: static_cast<Bfloat *>(data)[at] = Compute<C>::template write<Bfloat>(v); break;
    case TYPE_F64: static_cast<double *>(data)[at] = Compute<C>::template write<double>(v); break;
    case TYPE_I32: static_cast<int32_t *>(data)[at] = Compute<C>::template write<int32_t>(v); break;
    case TYPE_I64: static_cast<int64_t *>(data)[at] = Compute<C>::template write<int64_t>(v); break;
    case TYPE_U8: static_cast<uint8_t *>(data)[at] = Compute<C>::template write<uint8_t>(v); break;
    case TYPE_BOOL: static_cast<Bool *>(data)[at] = Compute<C>::template write<Bool>(v); break;
    case TYPE_I8: static_cast<int8_t *>(data)[at] = Compute<C>::template write<int8_t>(v); break;
    case TYPE_U32: static_cast<uint32_t *>(data)[at] = Compute<C>::template write<uint32_t>(v); break;
    case TYPE_U64: static_cast<uint64_t *>(data)[at] = Compute<C>::template write<uint64_t>(v); break;
    case TYPE_I16: static_cast<int16_t *>(data)[at] = Compute<C>::template write<int16_t>(v); break;
    default: static_cast<uint16_t *>(data)[at] = Compute<C>::template write<uint16_t>(v); break;
    }
}
__device__ __forceinline__ bool is_float(int32_t type) { return type <= TYPE_F64; }

// ---- Copying an element of 1, 2, 4 or 8 bytes, and zero in its place.
__device__ __forceinline__ uint64_t load_bits(const void *data, int64_t at, int32_t bytes) {
    switch (bytes) {
    case 1: return static_cast<const uint8_t *>(data)[at];
    case 2: return static_cast<const uint16_t *>(data)[at];
    case 4: return static_cast<const uint32_t *>(data)[at];
    default: return static_cast<const uint64_t *>(data)[at];
    }
}
__device__ __forceinline__ void store_bits(void *data, int64_t at, int32_t bytes, uint64_t bits) {
    switch (bytes) {
    case 1: static_cast<uint8_t *>(data)[at] = uint8_t(bits); break;
    case 2: static_cast<uint16_t *>(data)[at] = uint16_t(bits); break;
    case 4: static_cast<uint32_t *>(data)[at] = uint32_t(bits); break;
    default: static_cast<uint64_t *>(data)[at] = bits; break;
    }
}

// ---- Grid-stride loops: the first element of a thread, and the step to its next.
__device__ __forceinline__ int64_t first_of_thread() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ __forceinline__ int64_t grid_step() { return int64_t(gridDim.x) * blockDim.x; }

// Takes the innermost index out of `rest`. Division of 32-bit numbers is several times faster, and nearly all tensors fit.
__device__ __forceinline__ int32_t take_index(int64_t &rest, int32_t size) {
    int64_t next = rest <= 0xffffffffLL ? int64_t(uint32_t(rest) / uint32_t(size)) : rest / size;
    int32_t index = int32_t(rest - next * size);
    rest = next;
    return index;
}

// ---- Reductions. All threads of the warp must call these, none having left.
// Integers wrap around.
struct Sum {
    template <class T> __device__ __forceinline__ T operator()(T a, T b) const { return a + b; }
    __device__ __forceinline__ int64_t operator()(int64_t a, int64_t b) const { return int64_t(uint64_t(a) + uint64_t(b)); }
};
struct Product {
    template <class T> __device__ __forceinline__ T operator()(T a, T b) const { return a * b; }
    __device__ __forceinline__ int64_t operator()(int64_t a, int64_t b) const { return int64_t(uint64_t(a) * uint64_t(b)); }
};
// NaN wins.
struct Max { template <class T> __device__ __forceinline__ T operator()(T a, T b) const { return a > b || a != a ? a : b; } };
struct Min { template <class T> __device__ __forceinline__ T operator()(T a, T b) const { return a < b || a != a ? a : b; } };

template <class T, class F> __device__ __forceinline__ T warp_reduce(T v, F f) {
#pragma unroll
    for (int distance = 16; distance > 0; distance >>= 1) v = f(v, __shfl_xor_sync(FULL_WARP, v, distance));
    return v;
}
// Over a block whose size is a multiple of 32. `scratch`: one T for each warp, free to be written on entry and on return.
// Every thread gets the result.
template <class T, class F> __device__ __forceinline__ T block_reduce(T v, F f, T *scratch) {
    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    v = warp_reduce(v, f);
    if (warps == 1) return v;
    if (lane == 0) scratch[warp] = v;
    __syncthreads();
    v = scratch[0];
    for (unsigned w = 1; w < warps; w++) v = f(v, scratch[w]);
    __syncthreads(); // nobody may write the next value into `scratch` while some still read
    return v;
}
