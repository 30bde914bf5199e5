// pool_f32: MaxPool and AveragePool (global pools are windows as large as the picture); resample_f32: Resize along one axis.
//
// Launch: any grid, block 256, no shared memory; one dimension, grid-stride over the elements of y (or `to`).
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(256) pool_f32(const __grid_constant__ PoolArgs args) {
    const int64_t count = int64_t(args.planes) * args.out_height * args.out_width;
    for (int64_t i = first_of_thread(); i < count; i += grid_step()) {
        const int32_t ow = int32_t(i % args.out_width), oh = int32_t(i / args.out_width % args.out_height);
        const int64_t plane = i / args.out_width / args.out_height * args.height * args.width;
        const int32_t top = oh * args.stride_h - args.pad_top, left = ow * args.stride_w - args.pad_left;
        float largest = -INFINITY, sum = 0.0f;
        int64_t place = -1;
        int32_t cells = 0;
        for (int32_t kh = 0; kh < args.kernel_h; kh++) {
            const int32_t h = top + kh * args.dilation_h;
            for (int32_t kw = 0; kw < args.kernel_w; kw++) {
                const int32_t w = left + kw * args.dilation_w;
                if (h < 0 || h >= args.height || w < 0 || w >= args.width) {
                    cells += args.count_pad && h < args.height + args.pad_bottom && w < args.width + args.pad_right;
                    continue;
                }
                const int64_t at = plane + int64_t(h) * args.width + w;
                const float x = args.x[at];
                if (place < 0 || x > largest || (x != x && largest == largest)) {
                    largest = x;
                    place = at;
                }
                sum += x;
                cells++;
            }
        }
        args.y[i] = args.kind == 0 ? largest : sum / float(cells);
        if (args.indices) args.indices[i] = place;
    }
}

extern "C" __global__ void __launch_bounds__(256) resample_f32(const __grid_constant__ ResampleArgs args) {
    const int64_t count = args.outer * args.to_axis * args.inner;
    for (int64_t i = first_of_thread(); i < count; i += grid_step()) {
        const int64_t n = i % args.inner, rest = i / args.inner, j = rest % args.to_axis, o = rest / args.to_axis;
        float sum = 0.0f;
        for (int32_t t = 0; t < args.taps; t++) {
            const int64_t tap = j * args.taps + t;
            sum += args.weight[tap] * args.from[(o * args.from_axis + args.index[tap]) * args.inner + n];
        }
        args.to[i] = sum;
    }
}
