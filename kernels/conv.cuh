// What convolutions share.
#pragma once
#include "activation.cuh"

// Writes the result of a filter at a place of y.
__device__ __forceinline__ void write_result(const ConvArgs &args, int64_t at, int32_t filter, float sum) {
    if (args.bias) sum += args.bias[filter];
    if (args.add) sum += args.add[at];
    args.y[at] = activate(sum, args.activation, args.slope, args.low, args.high);
}
