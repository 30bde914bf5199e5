// Tests of kernels/conv.cu.
#include "harness.h"

#include "conv.cu"

struct Shape {
    int32_t n, channels, height, width, filters, kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, pad_bottom, pad_right, dilation_h, dilation_w, groups;
    int32_t activation;
    bool bias, add;
};
static double after(const ConvArgs &args, double x) {
    switch (args.activation) {
    case ACTIVATION_RELU: return fmax(x, 0);
    case ACTIVATION_HARD_SIGMOID: return fmin(fmax(double(args.slope) * x + double(args.low), 0), 1);
    case ACTIVATION_CLIP: return fmin(fmax(x, args.low), args.high);
    case ACTIVATION_LEAKY_RELU: return x > 0 ? x : double(args.slope) * x;
    default: return x;
    }
}
// Fills in what follows from the shape, runs the kernel, and compares with every product written out.
static void try_conv(void (*kernel)(const ConvArgs), const Shape &s, bool transposed, bool tiled) {
    ConvArgs args{};
    const int32_t reach_h = (s.kernel_h - 1) * s.dilation_h + 1, reach_w = (s.kernel_w - 1) * s.dilation_w + 1;
    args.n = s.n; args.channels = s.channels; args.height = s.height; args.width = s.width; args.filters = s.filters;
    args.out_height = transposed ? (s.height - 1) * s.stride_h + reach_h - s.pad_top - s.pad_bottom : (s.height + s.pad_top + s.pad_bottom - reach_h) / s.stride_h + 1;
    args.out_width = transposed ? (s.width - 1) * s.stride_w + reach_w - s.pad_left - s.pad_right : (s.width + s.pad_left + s.pad_right - reach_w) / s.stride_w + 1;
    args.kernel_h = s.kernel_h; args.kernel_w = s.kernel_w; args.stride_h = s.stride_h; args.stride_w = s.stride_w;
    args.pad_top = s.pad_top; args.pad_left = s.pad_left; args.dilation_h = s.dilation_h; args.dilation_w = s.dilation_w;
    args.groups = s.groups; args.activation = s.activation;
    args.slope = 0.2f; args.low = s.activation == ACTIVATION_HARD_SIGMOID ? 0.5f : -0.25f; args.high = 0.75f;
    const int32_t channels = s.channels / s.groups, filters = s.filters / s.groups, plane = args.out_height * args.out_width;
    Random random(size_t(s.channels * 31 + s.filters));
    Buffer<float> x(size_t(s.n * s.channels * s.height * s.width), 1), w(size_t(s.filters * channels * s.kernel_h * s.kernel_w), s.filters % 2 ? 1 : 0);
    Buffer<float> bias(size_t(s.filters)), add(size_t(s.n * s.filters * plane), 1), y(add.size, 1);
    for (Buffer<float> *b : {&x, &w, &bias, &add}) fill_random(*b, random, -0.5, 1);
    args.x = x.data; args.w = w.data; args.bias = s.bias ? bias.data : nullptr; args.add = s.add ? add.data : nullptr; args.y = y.data;
    std::vector<double> sums(y.size, 0), sizes(y.size, 0);
    for (int32_t i = 0; i < s.n; i++) for (int32_t f = 0; f < s.filters; f++) for (int32_t c = 0; c < channels; c++)
        for (int32_t kh = 0; kh < s.kernel_h; kh++) for (int32_t kw = 0; kw < s.kernel_w; kw++) {
            const int32_t group = f / filters, channel = group * channels + c;
            const size_t weight = transposed ? size_t(((channel * filters + f % filters) * s.kernel_h + kh) * s.kernel_w + kw)
                                             : size_t(((f * channels + c) * s.kernel_h + kh) * s.kernel_w + kw);
            // Walk over the side that is strided over: x of a transposed convolution, y of a plain one.
            for (int32_t a = 0; a < (transposed ? s.height : args.out_height); a++) for (int32_t b = 0; b < (transposed ? s.width : args.out_width); b++) {
                const int32_t p = a * s.stride_h - s.pad_top + kh * s.dilation_h, q = b * s.stride_w - s.pad_left + kw * s.dilation_w;
                const int32_t ih = transposed ? a : p, iw = transposed ? b : q, oh = transposed ? p : a, ow = transposed ? q : b;
                if (ih < 0 || ih >= s.height || iw < 0 || iw >= s.width || oh < 0 || oh >= args.out_height || ow < 0 || ow >= args.out_width) continue;
                const double product = double(x[size_t(((i * s.channels + channel) * s.height + ih) * s.width + iw)]) * w[weight];
                const size_t to = size_t(((i * s.filters + f) * args.out_height + oh) * args.out_width + ow);
                sums[to] += product;
                sizes[to] += fabs(product);
            }
        }
    if (tiled) run(kernel, dim3(unsigned(s.n * plane + 63) / 64, unsigned(filters + 63) / 64, unsigned(s.groups)), 256, 0, args);
    else run(kernel, blocks_for(int64_t(y.size), 256, 2), 256, 0, args);
    for (size_t at = 0; at < y.size; at++) {
        const double sum = sums[at] + (s.bias ? double(bias[at / size_t(plane) % size_t(s.filters)]) : 0) + (s.add ? double(add[at]) : 0);
        expect_close(y[at], after(args, sum), 1e-6, (sizes[at] + 2) * 1e-6, "y", int64_t(at));
    }
}
static void try_all(const Shape &s, const char *name) {
    context = std::string(name) + ", tiled";
    try_conv(conv_f32, s, false, true);
    context = std::string(name) + ", direct";
    try_conv(conv_direct_f32, s, false, false);
    context = std::string(name) + ", transposed";
    try_conv(conv_transpose_f32, s, true, false);
}

CASE(three_by_three) { try_all({2, 3, 7, 9, 5, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, ACTIVATION_RELU, true, false}, "3 x 3"); }
CASE(strides_dilations_uneven_padding) {
    try_all({2, 2, 11, 8, 4, 2, 3, 2, 3, 1, 0, 0, 2, 3, 1, 1, ACTIVATION_LEAKY_RELU, true, true}, "uneven");
    try_all({1, 2, 8, 11, 4, 3, 2, 3, 1, 0, 2, 1, 0, 1, 2, 1, ACTIVATION_CLIP, true, false}, "uneven the other way");
}
CASE(groups) {
    try_all({2, 6, 5, 5, 9, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 3, ACTIVATION_HARD_SIGMOID, false, true}, "three groups");
    try_all({1, 4, 6, 5, 4, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 4, 0, true, false}, "depthwise");
}
CASE(more_filters_and_places_than_a_tile) { try_all({1, 2, 9, 10, 70, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0, true, true}, "1 x 1"); }
CASE(one_dimension) { try_all({3, 4, 1, 40, 6, 1, 5, 1, 2, 0, 2, 0, 2, 1, 1, 2, 0, false, false}, "1-D"); }
