// Tests of kernels/pool.cu.
#include "harness.h"

#include "pool.cu"

struct Shape {
    int32_t planes, height, width, kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, pad_bottom, pad_right, dilation_h, dilation_w;
    bool ceil;
};
static void try_pool(const Shape &s, int32_t kind, bool count_pad, bool indices) {
    auto out = [&](int32_t size, int32_t pads, int32_t kernel, int32_t stride, int32_t dilation, int32_t pad_before) {
        const int32_t room = size + pads - (kernel - 1) * dilation - 1;
        int32_t n = (s.ceil ? (room + stride - 1) / stride : room / stride) + 1;
        return s.ceil && (n - 1) * stride >= size + pad_before ? n - 1 : n;
    };
    PoolArgs args{};
    args.planes = s.planes; args.height = s.height; args.width = s.width;
    args.out_height = out(s.height, s.pad_top + s.pad_bottom, s.kernel_h, s.stride_h, s.dilation_h, s.pad_top);
    args.out_width = out(s.width, s.pad_left + s.pad_right, s.kernel_w, s.stride_w, s.dilation_w, s.pad_left);
    args.kernel_h = s.kernel_h; args.kernel_w = s.kernel_w; args.stride_h = s.stride_h; args.stride_w = s.stride_w;
    args.pad_top = s.pad_top; args.pad_left = s.pad_left; args.dilation_h = s.dilation_h; args.dilation_w = s.dilation_w;
    args.kind = kind; args.count_pad = count_pad; args.pad_bottom = s.pad_bottom; args.pad_right = s.pad_right;
    Random random(size_t(s.height * s.width));
    Buffer<float> x(size_t(s.planes * s.height * s.width), 1), y(size_t(s.planes * args.out_height * args.out_width), 1);
    Buffer<int64_t> places(indices ? y.size : 0);
    for (size_t i = 0; i < x.size; i++) x[i] = float(random.whole(-9, -1)) / 2; // with ties, and below zero
    x[0] = 0; // the largest is the very first
    args.x = x.data; args.y = y.data; args.indices = indices ? places.data : nullptr;
    run(pool_f32, 1, 256, 0, args); // fewer threads than elements
    for (size_t at = 0; at < y.size; at++) {
        const int32_t ow = int32_t(at) % args.out_width, oh = int32_t(at) / args.out_width % args.out_height, plane = int32_t(at) / args.out_width / args.out_height;
        double largest = -INFINITY, sum = 0, cells = 0;
        int64_t place = -1;
        for (int32_t kh = 0; kh < s.kernel_h; kh++) for (int32_t kw = 0; kw < s.kernel_w; kw++) {
            const int32_t h = oh * s.stride_h - s.pad_top + kh * s.dilation_h, w = ow * s.stride_w - s.pad_left + kw * s.dilation_w;
            const bool real = h >= 0 && h < s.height && w >= 0 && w < s.width;
            cells += real || (count_pad && h < s.height + s.pad_bottom && w < s.width + s.pad_right);
            if (!real) continue;
            const int64_t from = int64_t(plane * s.height + h) * s.width + w;
            sum += x[size_t(from)];
            if (x[size_t(from)] > largest) largest = x[size_t(from)], place = from;
        }
        expect_close(y[at], kind == 0 ? largest : sum / cells, 1e-6, 1e-6, "y", int64_t(at));
        if (indices) CHECK(places[at] == place);
    }
}
CASE(pools) {
    for (const Shape &s : {Shape{20, 7, 9, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, false}, Shape{2, 8, 5, 2, 3, 1, 2, 0, 2, 1, 0, 2, 1, false},
                           Shape{3, 7, 6, 3, 2, 2, 2, 0, 1, 1, 0, 1, 1, true}, Shape{4, 5, 6, 5, 6, 1, 1, 0, 0, 0, 0, 1, 1, false},
                           Shape{3, 1, 20, 1, 4, 1, 3, 0, 1, 0, 2, 1, 2, true}}) {
        context = std::to_string(s.height) + " x " + std::to_string(s.width);
        try_pool(s, 0, false, false);
        try_pool(s, 0, false, true);
        try_pool(s, 1, false, false);
        try_pool(s, 1, true, false);
    }
}
CASE(not_numbers_and_infinities) {
    Buffer<float> x(8), y(4);
    Buffer<int64_t> places(4);
    const float values[] = {1, NAN, NAN, 5, -INFINITY, -INFINITY, INFINITY, 2};
    for (size_t i = 0; i < 8; i++) x[i] = values[i];
    PoolArgs args{};
    args.x = x.data; args.y = y.data; args.indices = places.data;
    args.planes = 1; args.height = 1; args.width = 8; args.out_height = 1; args.out_width = 4;
    args.kernel_h = 1; args.kernel_w = 2; args.stride_h = 1; args.stride_w = 2; args.dilation_h = args.dilation_w = 1;
    run(pool_f32, 1, 32, 0, args);
    CHECK(y[0] != y[0] && places[0] == 1 && y[1] != y[1] && places[1] == 2 && y[2] == -INFINITY && places[2] == 4 && y[3] == INFINITY && places[3] == 6);
}

CASE(resamples) {
    const int64_t outer = 3, from_axis = 7, to_axis = 11, inner = 10;
    const int32_t taps = 4;
    Random random(3);
    Buffer<float> from(outer * from_axis * inner, 1), to(outer * to_axis * inner, 1), weight(to_axis * taps);
    Buffer<int32_t> index(to_axis * taps);
    fill_random(from, random, -1, 2);
    fill_random(weight, random, -0.5, 1);
    for (size_t i = 0; i < index.size; i++) index[i] = int32_t(random.whole(0, from_axis - 1));
    run(resample_f32, 1, 256, 0, ResampleArgs{from.data, to.data, index.data, weight.data, outer, from_axis, to_axis, inner, taps, 0});
    for (int64_t i = 0; i < int64_t(to.size); i++) {
        const int64_t n = i % inner, j = i / inner % to_axis, o = i / inner / to_axis;
        double sum = 0;
        for (int64_t t = 0; t < taps; t++) sum += double(weight[size_t(j * taps + t)]) * from[size_t((o * from_axis + index[size_t(j * taps + t)]) * inner + n)];
        expect_close(to[size_t(i)], sum, 1e-6, 1e-6, "to", i);
    }
}
