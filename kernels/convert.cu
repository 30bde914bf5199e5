// convert: the same numbers in another element type.
//
// Integers go by way of 64 bits, floats by way of f64, so nothing is lost before the last rounding (f64 to f16 and bf16 round
// to f32 first, as ONNX Runtime does).
//
// Launch: any grid, block 256, no shared memory; one dimension, grid-stride over `count`.
#include "common.cuh"

// u64 needs its own way: as an int64_t its upper half would be negative.
__device__ __forceinline__ void convert_u64(const ConvertArgs &args, int64_t i) {
    const uint64_t v = static_cast<const uint64_t *>(args.from)[i];
    switch (args.to_type) {
    case TYPE_F32: static_cast<float *>(args.to)[i] = float(v); break;
    case TYPE_F64: static_cast<double *>(args.to)[i] = double(v); break;
    case TYPE_F16: case TYPE_BF16: store<float>(args.to, i, args.to_type, float(v)); break;
    default: store<int64_t>(args.to, i, args.to_type, int64_t(v)); break;
    }
}

extern "C" __global__ void __launch_bounds__(256) convert(const __grid_constant__ ConvertArgs args) {
    for (int64_t i = first_of_thread(); i < args.count; i += grid_step()) {
        if (is_float(args.from_type)) store<double>(args.to, i, args.to_type, load<double>(args.from, i, args.from_type));
        else if (args.from_type == TYPE_U64) convert_u64(args, i);
        else store<int64_t>(args.to, i, args.to_type, load<int64_t>(args.from, i, args.from_type));
    }
}
