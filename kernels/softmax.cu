// softmax: softmax and log-softmax over one axis, with an optional scale and mask, e.g. of attention.
//
// Two passes: the largest value and the sum of exponentials together (Milakov and Gimelshein, "Online normalizer calculation
// for softmax", 2018), then the results. A warp works on a row where axis <= 1024, else the whole block.
//
// Launch: any grid, block 256, no dynamic shared memory; one dimension, rows (outer * inner) in strides of the grid: 8 rows a
// block where axis <= 1024, else 1.
#include "common.cuh"

// The largest value so far, and the sum of e^(x - largest).
template <class C> struct Running {
    C largest, sum;
};
// Joins two. -inf - -inf would be NaN: a side that saw nothing, or nothing but -inf, adds what it has.
template <class C> __device__ __forceinline__ Running<C> join(Running<C> a, Running<C> b) {
    Running<C> r;
    r.largest = Max()(a.largest, b.largest);
    r.sum = (a.largest == r.largest ? a.sum : a.sum * exp(a.largest - r.largest)) +
            (b.largest == r.largest ? b.sum : b.sum * exp(b.largest - r.largest));
    return r;
}
template <class C> __device__ __forceinline__ Running<C> warp_join(Running<C> r) {
#pragma unroll
    for (int distance = 16; distance > 0; distance >>= 1) {
        Running<C> other;
        other.largest = __shfl_xor_sync(FULL_WARP, r.largest, distance);
        other.sum = __shfl_xor_sync(FULL_WARP, r.sum, distance);
        r = join(r, other);
    }
    return r;
}

template <class T, class C> struct Row {
    const SoftmaxArgs &args;
    const T *from, *mask;
    T *to;
    __device__ __forceinline__ Row(const SoftmaxArgs &a, int64_t row) : args(a) {
        const int64_t o = row / a.inner, n = row % a.inner, start = o * a.axis * a.inner + n;
        from = static_cast<const T *>(a.from) + start;
        to = static_cast<T *>(a.to) + start;
        mask = static_cast<const T *>(a.mask);
        if (!mask) return;
        int64_t mask_row = o / a.mask_repeat;
        if (a.mask_rows > 0) mask_row %= a.mask_rows;
        mask += mask_row * a.axis;
    }
    __device__ __forceinline__ C at(int64_t i) const {
        C x = Compute<C>::read(from[i * args.inner]) * C(args.scale);
        return mask ? x + Compute<C>::read(mask[i]) : x;
    }
    // What the threads `first`, `first + step`, ... see of the row.
    __device__ __forceinline__ Running<C> look(int64_t first, int64_t step) const {
        Running<C> r{C(-INFINITY), C(0)};
        for (int64_t i = first; i < args.axis; i += step) r = join(r, Running<C>{at(i), C(1)});
        return r;
    }
    __device__ __forceinline__ void write(Running<C> r, int64_t first, int64_t step) const {
        // inf - inf: as everywhere else, one infinity leaves no number in the row.
        const C shift = r.largest == C(INFINITY) ? C(NAN) : args.log ? log(r.sum) : C(1) / r.sum;
        for (int64_t i = first; i < args.axis; i += step) {
            const C x = at(i) - r.largest;
            to[i * args.inner] = Compute<C>::template write<T>(args.log ? x - shift : exp(x) * shift);
        }
    }
};

template <class T, class C> __device__ __forceinline__ void softmax_rows(const SoftmaxArgs &args, C *largest, C *sums) {
    const int64_t rows = args.outer * args.inner;
    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    if (args.axis <= 1024) {
        for (int64_t row = int64_t(blockIdx.x) * warps + warp; row < rows; row += int64_t(gridDim.x) * warps) {
            const Row<T, C> here(args, row);
            here.write(warp_join(here.look(lane, 32)), lane, 32);
        }
        return;
    }
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        const Row<T, C> here(args, row);
        Running<C> r = warp_join(here.look(threadIdx.x, blockDim.x));
        if (lane == 0) {
            largest[warp] = r.largest;
            sums[warp] = r.sum;
        }
        __syncthreads();
        r = {largest[0], sums[0]};
        for (unsigned w = 1; w < warps; w++) r = join(r, Running<C>{largest[w], sums[w]});
        __syncthreads(); // before the next row's are written
        here.write(r, threadIdx.x, blockDim.x);
    }
}

extern "C" __global__ void __launch_bounds__(256) softmax(const __grid_constant__ SoftmaxArgs args) {
    __shared__ double scratch[16];
    float *narrow = reinterpret_cast<float *>(scratch);
    switch (args.type) {
    case TYPE_F32: softmax_rows<float, float>(args, narrow, narrow + 8); break;
    case TYPE_F16: softmax_rows<Half, float>(args, narrow, narrow + 8); break;
    case TYPE_BF16: softmax_rows<Bfloat, float>(args, narrow, narrow + 8); break;
    default: softmax_rows<double, double>(args, scratch, scratch + 8); break;
    }
}
