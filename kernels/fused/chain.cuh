// What kernels stand on that are made for a model: chains of elementwise operators (src/engine/cuda/fused/chain.rs writes them).
//
// Compiled when a model is loaded, by NVRTC, with the texts of common.cuh and operators.cuh: so each operator is the same
// expression as in pointwise.cu.
#pragma once
#include "operators.cuh"

// The stand-in for NVRTC makes an entry of each kernel here.
#if !defined(FUSED_KERNEL)
#define FUSED_KERNEL(name, Args)
#endif

// N addresses, and the elements of the output shape. Everything else is written into the kernel.
template <int N> struct ChainArgs {
    int64_t count;
    void *at[N];
};

// The value, which the compiler may not join with what comes before or after. The assembler behind it sees through that; what it
// may join are products and sums without a word on rounding, so `step` has those rounded to nearest by name.
#if defined(GPU_HOST_SHIM)
__device__ __forceinline__ float kept(float v) { asm("" : "+x"(v)); return v; }
__device__ __forceinline__ double kept(double v) { asm("" : "+x"(v)); return v; }
__device__ __forceinline__ int64_t kept(int64_t v) { asm("" : "+r"(v)); return v; }
#else
__device__ __forceinline__ float kept(float v) { asm("" : "+f"(v)); return v; }
__device__ __forceinline__ double kept(double v) { asm("" : "+d"(v)); return v; }
__device__ __forceinline__ int64_t kept(int64_t v) { asm("" : "+l"(v)); return v; }
#endif

// A sum, a difference or a product in two operators is rounded twice, as in pointwise.cu, and never becomes one FMA.
template <int OP> __device__ __forceinline__ float rounded(float a, float b) {
    return OP == OP_ADD ? __fadd_rn(a, b) : OP == OP_SUB ? __fsub_rn(a, b) : __fmul_rn(a, b);
}
template <int OP> __device__ __forceinline__ double rounded(double a, double b) {
    return OP == OP_ADD ? __dadd_rn(a, b) : OP == OP_SUB ? __dsub_rn(a, b) : __dmul_rn(a, b);
}
template <int OP> __device__ __forceinline__ int64_t rounded(int64_t a, int64_t b) {
    const Instruction i = {uint8_t(OP), 0, 0, 0, 0, {0, 0, 0}, 0, 0};
    return apply<int64_t>(i, a, b, 0);
}

// One operator by its number (Op), with the bits of its constants. Not forced inline: each is then made small once, before it is
// put where it is used.
template <int OP, class C>
__device__ C step(C a, C b = C(0), C c = C(0), uint64_t constant = 0, uint64_t constant2 = 0) {
    if (OP == OP_ADD || OP == OP_SUB || OP == OP_MUL) return kept(rounded<OP>(a, b));
    const Instruction i = {uint8_t(OP), 0, 0, 0, 0, {0, 0, 0}, __longlong_as_double(int64_t(constant)), __longlong_as_double(int64_t(constant2))};
    return kept(apply<C>(i, a, b, c));
}
// An element, in memory as a T.
template <class T, class C> __device__ __forceinline__ C read(const void *from, int64_t at) {
    return Compute<C>::read(static_cast<const T *>(from)[at]);
}
template <class T, class C> __device__ __forceinline__ void write(void *to, int64_t at, C v) {
    static_cast<T *>(to)[at] = Compute<C>::template write<T>(v);
}
// What would come back if it had been written as a T, by an operator that computes in C, and read by one that computes in D.
template <class T, class C, class D> __device__ __forceinline__ D by_way_of(C v) {
    return kept(Compute<D>::read(Compute<C>::template write<T>(v)));
}
