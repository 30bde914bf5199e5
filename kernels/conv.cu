// conv_f32: convolution as a product of the filters with patches of the picture that are never written out (implicit GEMM;
// Chetlur et al., cuDNN, 2014); conv_direct_f32: a thread for each output; conv_transpose_f32: the transposed convolution.
//
// conv_f32 works on tiles of 64 filters of a group x 64 places of y. With fewer than about 8 filters in a group conv_direct_f32
// is quicker; the results are the same but for the order of additions.
// Launch of conv_f32: grid (ceil(n * out_height * out_width / 64), ceil(filters / groups / 64), groups), block 256, no dynamic
// shared memory.
// Launch of conv_direct_f32, conv_transpose_f32: any grid, block 256; one dimension, grid-stride over the elements of y.
#include "conv.cuh"
#include "tile.cuh"

// The patches as the right operand of a product: columns are places of y, k is (channel, row, column) of the kernel.
struct Patches {
    const ConvArgs &args;
    int32_t k_size, k_plane;
    int64_t start[4]; // of the group's first channel in the image of this thread's four columns; -1 where there is no column
    int32_t top[4], left[4];

    __device__ __forceinline__ Patches(const ConvArgs &a, int32_t column, int32_t group) : args(a), k_plane(a.kernel_h * a.kernel_w) {
        const int32_t channels = args.channels / args.groups, plane = args.out_height * args.out_width;
        k_size = channels * k_plane;
        column += int32_t(threadIdx.x) % 16 * 4;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int32_t at = column + j, image = at / plane, place = at % plane;
            start[j] = image < args.n ? (int64_t(image) * args.channels + int64_t(group) * channels) * args.height * args.width : -1;
            top[j] = place / args.out_width * args.stride_h - args.pad_top;
            left[j] = place % args.out_width * args.stride_w - args.pad_left;
        }
    }
    __device__ __forceinline__ Four<float> fetch(int32_t, int32_t k) const {
        Four<float> four;
        k += int32_t(threadIdx.x) / 16;
        const int32_t channel = k / k_plane, cell = k % k_plane;
        const int32_t down = cell / args.kernel_w * args.dilation_h, right = cell % args.kernel_w * args.dilation_w;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int32_t h = top[j] + down, w = left[j] + right;
            const bool inside = k < k_size && start[j] >= 0 && h >= 0 && h < args.height && w >= 0 && w < args.width;
            four.v[j] = inside ? args.x[start[j] + (int64_t(channel) * args.height + h) * args.width + w] : 0.0f;
        }
        return four;
    }
    __device__ __forceinline__ void keep(float *tile, const Four<float> &four) const {
        *reinterpret_cast<Four<float> *>(tile + threadIdx.x / 16 * TILE_ROW + threadIdx.x % 16 * 4) = four;
    }
};

extern "C" __global__ void __launch_bounds__(256) conv_f32(const __grid_constant__ ConvArgs args) {
    __shared__ __align__(16) float tiles[2 * TILE_SIZE];
    const int32_t group = int32_t(blockIdx.z), filters = args.filters / args.groups, plane = args.out_height * args.out_width;
    const int32_t row0 = int32_t(blockIdx.y) * TILE, column0 = int32_t(blockIdx.x) * TILE;
    const Patches patches(args, column0, group);
    const Side<float> w(static_cast<const float *>(args.w) + int64_t(group) * filters * patches.k_size, patches.k_size, 1, filters, patches.k_size);
    float sum[4][4] = {};
    multiply(sum, w, patches, row0, column0, patches.k_size, tiles, tiles + TILE_SIZE);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int32_t row = row0 + int32_t(threadIdx.x) / 16 * 4 + i;
        if (row >= filters) break;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int32_t column = column0 + int32_t(threadIdx.x) % 16 * 4 + j, image = column / plane, filter = group * filters + row;
            if (image >= args.n) break;
            write_result(args, (int64_t(image) * args.filters + filter) * plane + column % plane, filter, sum[i][j]);
        }
    }
}

extern "C" __global__ void __launch_bounds__(256) conv_direct_f32(const __grid_constant__ ConvArgs args) {
    const int64_t plane = int64_t(args.out_height) * args.out_width, count = int64_t(args.n) * args.filters * plane;
    const int32_t channels = args.channels / args.groups, filters = args.filters / args.groups;
    for (int64_t i = first_of_thread(); i < count; i += grid_step()) {
        const int32_t ow = int32_t(i % args.out_width), oh = int32_t(i / args.out_width % args.out_height);
        const int32_t filter = int32_t(i / plane % args.filters);
        const int64_t image = i / plane / args.filters, first = image * args.channels + int64_t(filter / filters) * channels;
        float sum = 0.0f;
        for (int32_t c = 0; c < channels; c++) {
            const float *x = args.x + (first + c) * args.height * args.width;
            const float *w = static_cast<const float *>(args.w) + (int64_t(filter) * channels + c) * args.kernel_h * args.kernel_w;
            for (int32_t kh = 0; kh < args.kernel_h; kh++) {
                const int32_t h = oh * args.stride_h - args.pad_top + kh * args.dilation_h;
                if (h < 0 || h >= args.height) continue;
                for (int32_t kw = 0; kw < args.kernel_w; kw++) {
                    const int32_t at = ow * args.stride_w - args.pad_left + kw * args.dilation_w;
                    if (at >= 0 && at < args.width) sum += w[kh * args.kernel_w + kw] * x[int64_t(h) * args.width + at];
                }
            }
        }
        write_result(args, i, filter, sum);
    }
}

// The place of x that kernel cell `cell` brings to place `out` of y, or -1: out = in * stride - pad + cell * dilation.
__device__ __forceinline__ int32_t source(int32_t out, int32_t cell, int32_t stride, int32_t pad, int32_t dilation, int32_t size) {
    const int32_t scaled = out + pad - cell * dilation;
    return scaled >= 0 && scaled % stride == 0 && scaled / stride < size ? scaled / stride : -1;
}
extern "C" __global__ void __launch_bounds__(256) conv_transpose_f32(const __grid_constant__ ConvArgs args) {
    const int64_t plane = int64_t(args.out_height) * args.out_width, count = int64_t(args.n) * args.filters * plane;
    const int32_t channels = args.channels / args.groups, filters = args.filters / args.groups;
    for (int64_t i = first_of_thread(); i < count; i += grid_step()) {
        const int32_t ow = int32_t(i % args.out_width), oh = int32_t(i / args.out_width % args.out_height);
        const int32_t filter = int32_t(i / plane % args.filters), channel0 = filter / filters * channels;
        const int64_t image = i / plane / args.filters;
        float sum = 0.0f;
        for (int32_t kh = 0; kh < args.kernel_h; kh++) {
            const int32_t h = source(oh, kh, args.stride_h, args.pad_top, args.dilation_h, args.height);
            if (h < 0) continue;
            for (int32_t kw = 0; kw < args.kernel_w; kw++) {
                const int32_t at = source(ow, kw, args.stride_w, args.pad_left, args.dilation_w, args.width);
                if (at < 0) continue;
                for (int32_t c = channel0; c < channel0 + channels; c++) {
                    const float x = args.x[((image * args.channels + c) * args.height + h) * args.width + at];
                    sum += x * static_cast<const float *>(args.w)[((int64_t(c) * filters + filter % filters) * args.kernel_h + kh) * args.kernel_w + kw];
                }
            }
        }
        write_result(args, i, filter, sum);
    }
}
