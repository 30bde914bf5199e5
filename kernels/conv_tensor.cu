// conv_f16, conv_bf16, conv_tf32: convolution on tensor cores, of one group: the product of the filters with patches of the picture
// that are never written out, as conv_f32. The picture, what is added and y are f32 and NCHW; patches are rounded on their way to
// shared memory. conv_f16_large and so on: the same in tiles of 128 filters x 128 places.
//
// Filters whose length (channels * kernel_h * kernel_w) is a multiple of 16 bytes are copied as the tensor cores are at work.
//
// Launch: grid (ceil(n * out_height * out_width / 64), ceil(filters / 64)), block 128, 24576 bytes of dynamic shared memory. The
// large ones: 128 in place of 64, block 256, 49152 bytes. A picture (channels * height * width) has less than 2^31 numbers.
#include "conv.cuh"
#include "tensor.cuh"

__device__ __forceinline__ uint32_t two(float low, float high, Half) { return float_to_half(low) | uint32_t(float_to_half(high)) << 16; }
__device__ __forceinline__ uint32_t two(float low, float high, Bfloat) { return float_to_bfloat(low) | uint32_t(float_to_bfloat(high)) << 16; }

// The patches as the right operand: columns are places of y, k is (channel, row, column) of the kernel. Two threads share a
// column and bring half of a tile's depth each, by registers, so that they can be rounded.
template <class T, class D> struct Rounded {
    using Tiled = Tile<T, D::COLUMNS, true>;
    static constexpr int MINE = Tiled::K * D::COLUMNS / D::THREADS;
    const ConvArgs &args;
    const float *image; // of this thread's column; null where there is no column
    int32_t top, left, column, first;
    float held[MINE];

    __device__ __forceinline__ Rounded(const ConvArgs &a, int32_t column0) : args(a) {
        column = int32_t(threadIdx.x) % D::COLUMNS;
        first = int32_t(threadIdx.x) / D::COLUMNS * MINE;
        const int32_t plane = args.out_height * args.out_width, at = column0 + column, number = at / plane, place = at % plane;
        image = number < args.n ? args.x + int64_t(number) * args.channels * args.height * args.width : nullptr;
        top = place / args.out_width * args.stride_h - args.pad_top;
        left = place % args.out_width * args.stride_w - args.pad_left;
    }
    __device__ __forceinline__ void fetch(unsigned char *, int32_t k) {
        k += first;
        const int32_t k_plane = args.kernel_h * args.kernel_w;
        int32_t channel = k / k_plane, kh = k % k_plane / args.kernel_w, kw = k % k_plane % args.kernel_w;
#pragma unroll
        for (int j = 0; j < MINE; j++) {
            const int32_t h = top + kh * args.dilation_h, w = left + kw * args.dilation_w;
            const bool inside = image && channel < args.channels && h >= 0 && h < args.height && w >= 0 && w < args.width;
            held[j] = inside ? image[(channel * args.height + h) * args.width + w] : 0.0f;
            if (++kw < args.kernel_w) continue;
            kw = 0;
            if (++kh < args.kernel_h) continue;
            kh = 0;
            channel++;
        }
    }
    __device__ __forceinline__ void keep(unsigned char *tile) const {
#pragma unroll
        for (int chunk = 0; chunk < MINE / Tiled::EACH; chunk++) {
            uint32_t word[4];
#pragma unroll
            for (int i = 0; i < 4; i++) word[i] = packed(chunk * 4 + i, T());
            const int place = Tiled::place(column, first + chunk * Tiled::EACH);
            *reinterpret_cast<uint4 *>(tile + place) = uint4{word[0], word[1], word[2], word[3]};
        }
    }

  private:
    __device__ __forceinline__ uint32_t packed(int word, float) const { return __float_as_uint(held[word]); }
    template <class Short> __device__ __forceinline__ uint32_t packed(int word, Short type) const { return two(held[word * 2], held[word * 2 + 1], type); }
};

// Where the results of one place of y go.
struct ToPlace {
    const ConvArgs &args;
    int64_t at, plane; // `at`: of filter 0
    int32_t filter0;
    bool inside, is_quick;

    __device__ __forceinline__ void quick(int32_t row, float value) const {
        const int32_t filter = filter0 + row;
        if (!inside || filter >= args.filters) return;
        const int64_t to = at + filter * plane;
        if (args.bias) value += args.bias[filter];
        if (args.add) value += args.add[to];
        args.y[to] = args.activation == ACTIVATION_RELU && value < 0.0f ? 0.0f : value;
    }
    __device__ __forceinline__ void any(int32_t row, float value) const {
        const int32_t filter = filter0 + row;
        if (inside && filter < args.filters) write_result(args, at + filter * plane, filter, value);
    }
};

template <class T, class D> __device__ __forceinline__ void conv_tensor(const ConvArgs &args, unsigned char *shared) {
    const int32_t row0 = int32_t(blockIdx.y) * D::ROWS, column0 = int32_t(blockIdx.x) * D::COLUMNS;
    const int32_t k_size = args.channels * args.kernel_h * args.kernel_w, plane = args.out_height * args.out_width;
    const Strided<T, D, D::ROWS, true> filters(static_cast<const T *>(args.w), k_size, 1, row0, args.filters, k_size);
    Rounded<T, D> patches(args, column0);
    float sum[D::MT][D::NT][4] = {};
    multiply_tensor<T, D>(sum, filters, patches, k_size, shared);

    const int32_t column = column0 + D::column() + int32_t(threadIdx.x) % 32, image = column / plane;
    const int64_t at = int64_t(image) * args.filters * plane + column % plane;
    finish<D>(sum, ToPlace{args, at, plane, row0 + D::row(), image < args.n, args.activation <= ACTIVATION_RELU}, shared);
}

extern "C" __global__ void __launch_bounds__(128, 4) conv_f16(const __grid_constant__ ConvArgs args) {
    SHARED_DYN(unsigned char, shared);
    conv_tensor<Half, Small>(args, shared);
}
extern "C" __global__ void __launch_bounds__(128, 4) conv_bf16(const __grid_constant__ ConvArgs args) {
    SHARED_DYN(unsigned char, shared);
    conv_tensor<Bfloat, Small>(args, shared);
}
extern "C" __global__ void __launch_bounds__(128, 4) conv_tf32(const __grid_constant__ ConvArgs args) {
    SHARED_DYN(unsigned char, shared);
    conv_tensor<float, Small>(args, shared);
}
extern "C" __global__ void __launch_bounds__(256, 2) conv_f16_large(const __grid_constant__ ConvArgs args) {
    SHARED_DYN(unsigned char, shared);
    conv_tensor<Half, Large>(args, shared);
}
extern "C" __global__ void __launch_bounds__(256, 2) conv_bf16_large(const __grid_constant__ ConvArgs args) {
    SHARED_DYN(unsigned char, shared);
    conv_tensor<Bfloat, Large>(args, shared);
}
extern "C" __global__ void __launch_bounds__(256, 2) conv_tf32_large(const __grid_constant__ ConvArgs args) {
    SHARED_DYN(unsigned char, shared);
    conv_tensor<float, Large>(args, shared);
}
