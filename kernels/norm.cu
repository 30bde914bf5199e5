// layer_norm: LayerNormalization, SkipLayerNormalization and their simplified (RMS) forms; lp_normalize: division by a norm.
//
// layer_norm: a warp works on a row; it reads the row for the mean, for the variance about that mean (two passes: no
// cancellation), and for the result. In-place (to == from, sum == from) is allowed. f16 and bf16 are computed in f32.
// Launch: any grid, block 256, no dynamic shared memory; one dimension, 8 rows a block, rows in strides of the grid.
//
// lp_normalize: a warp works on a row of [outer, axis, inner].
// Launch: as layer_norm, rows = outer * inner.
#include "common.cuh"

template <class T, class C> struct NormRow {
    const T *from, *skip, *bias;
    __device__ __forceinline__ NormRow(const LayerNormArgs &args, int64_t row)
        : from(static_cast<const T *>(args.from) + row * args.columns), skip(nullptr), bias(static_cast<const T *>(args.bias)) {
        if (args.skip) skip = static_cast<const T *>(args.skip) + row % args.skip_rows * args.columns;
    }
    __device__ __forceinline__ C at(int64_t i) const {
        C z = Compute<C>::read(from[i]);
        if (skip) z += Compute<C>::read(skip[i]);
        if (bias) z += Compute<C>::read(bias[i]);
        return z;
    }
};

template <class T, class C> __device__ __forceinline__ void norm_rows(const LayerNormArgs &args) {
    const T *gamma = static_cast<const T *>(args.gamma), *beta = static_cast<const T *>(args.beta);
    const unsigned lane = threadIdx.x % 32, warps = blockDim.x / 32;
    const int64_t first = int64_t(blockIdx.x) * warps + threadIdx.x / 32, step = int64_t(gridDim.x) * warps;
    for (int64_t row = first; row < args.rows; row += step) {
        const NormRow<T, C> z(args, row);
        C total = 0, squares = 0, mean = 0;
        if (!args.simplified) {
            for (int64_t i = lane; i < args.columns; i += 32) total += z.at(i);
            mean = warp_reduce(total, Sum()) / C(args.columns);
        }
        for (int64_t i = lane; i < args.columns; i += 32) {
            const C off = z.at(i) - mean;
            squares += off * off;
        }
        const C scale = C(1) / sqrt(warp_reduce(squares, Sum()) / C(args.columns) + C(args.epsilon));
        for (int64_t i = lane; i < args.columns; i += 32) {
            const C value = z.at(i);
            if (args.sum) static_cast<T *>(args.sum)[row * args.columns + i] = Compute<C>::template write<T>(value);
            C y = (value - mean) * scale * Compute<C>::read(gamma[i]);
            if (beta) y += Compute<C>::read(beta[i]);
            static_cast<T *>(args.to)[row * args.columns + i] = Compute<C>::template write<T>(y);
        }
    }
}

extern "C" __global__ void __launch_bounds__(256) layer_norm(const __grid_constant__ LayerNormArgs args) {
    switch (args.type) {
    case TYPE_F32: norm_rows<float, float>(args); break;
    case TYPE_F16: norm_rows<Half, float>(args); break;
    case TYPE_BF16: norm_rows<Bfloat, float>(args); break;
    default: norm_rows<double, double>(args); break;
    }
}

template <class T, class C> __device__ __forceinline__ void normalize_rows(const LpNormalizeArgs &args) {
    const unsigned lane = threadIdx.x % 32, warps = blockDim.x / 32;
    const int64_t rows = args.outer * args.inner, step = int64_t(gridDim.x) * warps;
    for (int64_t row = int64_t(blockIdx.x) * warps + threadIdx.x / 32; row < rows; row += step) {
        const int64_t start = row / args.inner * args.axis * args.inner + row % args.inner;
        const T *from = static_cast<const T *>(args.from) + start;
        T *to = static_cast<T *>(args.to) + start;
        C norm = args.kind == 0 ? C(-INFINITY) : C(0);
        for (int64_t i = lane; i < args.axis; i += 32) {
            const C x = Compute<C>::read(from[i * args.inner]);
            norm = args.kind == 0 ? Max()(norm, x) : args.kind == 1 ? norm + fabs(x) : norm + x * x;
        }
        norm = args.kind == 0 ? warp_reduce(norm, Max()) : warp_reduce(norm, Sum());
        if (args.kind == 2) norm = sqrt(norm);
        for (int64_t i = lane; i < args.axis; i += 32) {
            const C x = Compute<C>::read(from[i * args.inner]);
            const C y = norm != C(0) ? x / norm : args.zero ? C(0) : x;
            to[i * args.inner] = Compute<C>::template write<T>(y);
        }
    }
}

extern "C" __global__ void __launch_bounds__(256) lp_normalize(const __grid_constant__ LpNormalizeArgs args) {
    switch (args.type) {
    case TYPE_F32: normalize_rows<float, float>(args); break;
    case TYPE_F16: normalize_rows<Half, float>(args); break;
    case TYPE_BF16: normalize_rows<Bfloat, float>(args); break;
    default: normalize_rows<double, double>(args); break;
    }
}
