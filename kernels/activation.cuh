// What may follow a product or a convolution, in the same pass.
#pragma once
#include "operators.cuh"

// Not inlined: a thread of gemm.cu calls it for 16 elements, and the code is long.
template <class C> __device__ __noinline__ C activate_by(C x, int32_t activation, C slope, C low, C high) {
    switch (activation) {
    case ACTIVATION_GELU: return gelu(x);
    case ACTIVATION_GELU_TANH: return gelu_tanh(x);
    case ACTIVATION_SIGMOID: return sigmoid(x);
    case ACTIVATION_TANH: return tanh(x);
    case ACTIVATION_LEAKY_RELU: return x < C(0) ? slope * x : x;
    case ACTIVATION_HARD_SIGMOID: {
        const C y = slope * x + low;
        return y < C(0) ? C(0) : y > C(1) ? C(1) : y;
    }
    default: { // ACTIVATION_CLIP
        const C y = x < low ? low : x;
        return y > high ? high : y;
    }
    }
}
template <class C> __device__ __forceinline__ C activate(C x, int32_t activation, float slope, float low = 0, float high = 0) {
    if (activation == ACTIVATION_NONE) return x;
    if (activation == ACTIVATION_RELU) return x < C(0) ? C(0) : x;
    return activate_by(x, activation, C(slope), C(low), C(high));
}
