// Tests of kernels/conv_tensor.cu.
#include "harness.h"

#include "conv_tensor.cu"

struct Shape {
    int32_t n, channels, height, width, filters, kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, pad_bottom, pad_right, dilation_h, dilation_w;
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
// What a tensor core sees of a number of the picture, and by how much that may be off.
static double seen(float v, Half) { return half_to_float(float_to_half(v)); }
static double seen(float v, Bfloat) { return bfloat_to_float(float_to_bfloat(v)); }
static double seen(float v, float) { return __uint_as_float(round_to_tf32(__float_as_uint(v))); }
static double unit(Half) { return ldexp(1, -11); }
static double unit(Bfloat) { return ldexp(1, -8); }
static double unit(float) { return ldexp(1, -11); }
static double weight(float v) { return seen(v, 0.0f); }
template <class T> static double weight(T v) { return value_of(v); }

template <class T> static void try_conv(void (*kernel)(const ConvArgs), const Shape &s, bool large) {
    ConvArgs args{};
    args.n = s.n; args.channels = s.channels; args.height = s.height; args.width = s.width; args.filters = s.filters;
    args.out_height = (s.height + s.pad_top + s.pad_bottom - (s.kernel_h - 1) * s.dilation_h - 1) / s.stride_h + 1;
    args.out_width = (s.width + s.pad_left + s.pad_right - (s.kernel_w - 1) * s.dilation_w - 1) / s.stride_w + 1;
    args.kernel_h = s.kernel_h; args.kernel_w = s.kernel_w; args.stride_h = s.stride_h; args.stride_w = s.stride_w;
    args.pad_top = s.pad_top; args.pad_left = s.pad_left; args.dilation_h = s.dilation_h; args.dilation_w = s.dilation_w;
    args.groups = 1; args.activation = s.activation;
    args.slope = 0.2f; args.low = s.activation == ACTIVATION_HARD_SIGMOID ? 0.5f : -0.25f; args.high = 0.75f;
    const int32_t plane = args.out_height * args.out_width, k_plane = s.kernel_h * s.kernel_w;
    Random random(uint64_t(s.channels * 31 + s.filters));
    Buffer<float> x(size_t(s.n * s.channels * s.height * s.width), 1), bias(size_t(s.filters)), add(size_t(s.n * s.filters * plane), 1), y(add.size, 1);
    Buffer<T> w(size_t(s.filters * s.channels * k_plane), s.filters % 2 ? 1 : 0);
    for (Buffer<float> *b : {&x, &bias, &add}) fill_random(*b, random, -0.5, 1);
    fill_random(w, random, -0.5, 1);
    args.x = x.data; args.w = w.data; args.bias = s.bias ? bias.data : nullptr; args.add = s.add ? add.data : nullptr; args.y = y.data;
    const unsigned tile = large ? 128 : 64;
    run(kernel, dim3((unsigned(s.n * plane) + tile - 1) / tile, (unsigned(s.filters) + tile - 1) / tile), large ? 256 : 128, large ? 49152 : 24576, args);
    const double u = unit(T());
    for (size_t at = 0; at < y.size; at++) {
        const int32_t place = int32_t(at) % plane, f = int32_t(at) / plane % s.filters, i = int32_t(at) / plane / s.filters;
        double sum = 0, exact = 0, size = 0;
        for (int32_t c = 0; c < s.channels; c++) for (int32_t kh = 0; kh < s.kernel_h; kh++) for (int32_t kw = 0; kw < s.kernel_w; kw++) {
            const int32_t h = place / args.out_width * s.stride_h - s.pad_top + kh * s.dilation_h;
            const int32_t v = place % args.out_width * s.stride_w - s.pad_left + kw * s.dilation_w;
            if (h < 0 || h >= s.height || v < 0 || v >= s.width) continue;
            const float in = x[size_t(((i * s.channels + c) * s.height + h) * s.width + v)];
            const T by = w[size_t(((f * s.channels + c) * s.kernel_h + kh) * s.kernel_w + kw)];
            sum += seen(in, T()) * weight(by);
            exact += double(in) * value_of(by);
            size += fabs(double(in) * value_of(by));
        }
        const double more = (s.bias ? double(bias[size_t(f)]) : 0) + (s.add ? double(add[at]) : 0);
        const double summed = (s.channels * k_plane + 4) * ldexp(1, -24) * (size + fabs(more)) + 1e-7;
        expect_close(y[at], after(args, sum + more), 1e-6, summed, "y", int64_t(at));
        expect_close(y[at], after(args, exact + more), 1e-6, (2 + u) * u * size + summed, "y (exactly)", int64_t(at));
    }
}
static void try_all(const Shape &s, const std::string &name) {
    context = name + ", f16";
    try_conv<Half>(conv_f16, s, false);
    context = name + ", bf16";
    try_conv<Bfloat>(conv_bf16, s, false);
    context = name + ", tf32";
    try_conv<float>(conv_tf32, s, false);
    context = name + ", f16 large";
    try_conv<Half>(conv_f16_large, s, true);
    context = name + ", tf32 large";
    try_conv<float>(conv_tf32_large, s, true);
}
static void try_two(const Shape &s, const std::string &name) {
    context = name + ", bf16";
    try_conv<Bfloat>(conv_bf16, s, false);
    context = name + ", tf32";
    try_conv<float>(conv_tf32, s, false);
}

CASE(three_by_three) { try_all({2, 8, 7, 9, 10, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, ACTIVATION_RELU, true, true}, "3 x 3"); }
CASE(strides_dilations_uneven_padding) {
    try_two({2, 3, 11, 8, 9, 2, 3, 2, 3, 1, 0, 0, 2, 3, 1, ACTIVATION_LEAKY_RELU, true, true}, "uneven");
    try_two({1, 5, 8, 11, 8, 3, 2, 3, 1, 0, 2, 1, 0, 1, 2, ACTIVATION_CLIP, true, false}, "uneven the other way");
}
CASE(more_filters_and_places_than_a_tile) { try_two({1, 20, 9, 15, 66, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0, true, false}, "1 x 1"); }
CASE(more_than_a_large_tile) {
    context = "f16 large";
    try_conv<Half>(conv_f16_large, {3, 16, 7, 7, 130, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, ACTIVATION_RELU, false, true}, true);
    context = "bf16 large";
    try_conv<Bfloat>(conv_bf16_large, {3, 7, 7, 7, 130, 1, 3, 1, 1, 0, 1, 0, 1, 1, 1, ACTIVATION_HARD_SIGMOID, false, false}, true);
}
CASE(one_dimension) { try_two({3, 4, 1, 40, 8, 1, 5, 1, 2, 0, 2, 0, 2, 1, 1, 0, false, false}, "1-D"); }
CASE(shapes_by_chance) {
    Random random(shim::seed + 11);
    auto of = [&](int64_t low, int64_t high) { return int32_t(random.whole(low, high)); };
    const int32_t kernel_h = of(1, 3), kernel_w = of(1, 4);
    const Shape s{of(1, 3), of(1, 18), of(4, 9), of(5, 12), of(1, 20), kernel_h, kernel_w, of(1, 2), of(1, 3), of(0, 1), of(0, 2), of(0, 2), of(0, 1), of(1, 2), 1, ACTIVATION_RELU, random.bits() % 2 == 0, random.bits() % 2 == 0};
    if ((kernel_h - 1) * s.dilation_h >= s.height + s.pad_top + s.pad_bottom) return; // the window is larger than the picture
    try_two(s, std::to_string(s.channels) + " channels, " + std::to_string(s.filters) + " filters, " + std::to_string(kernel_h) + " x " + std::to_string(kernel_w));
}
// Padding is zero whatever lies behind the picture: what is infinite there stays out.
CASE(infinities_stay_where_they_are) {
    Buffer<float> x(2 * 3 * 3), y(2 * 3 * 3);
    Buffer<Half> w(9);
    for (size_t i = 0; i < x.size; i++) x[i] = i == 9 ? INFINITY : 1; // the first number of the second picture
    for (size_t i = 0; i < w.size; i++) w[i] = element<Half>(1);
    ConvArgs args{};
    args.x = x.data; args.w = w.data; args.y = y.data;
    args.n = 2; args.channels = args.filters = args.groups = 1;
    args.height = args.width = args.out_height = args.out_width = args.kernel_h = args.kernel_w = 3;
    args.stride_h = args.stride_w = args.dilation_h = args.dilation_w = args.pad_top = args.pad_left = 1;
    run(conv_f16, dim3(1, 1), 128, 24576, args);
    const int counts[] = {4, 6, 4, 6, 9, 6, 4, 6, 4};
    for (size_t i = 0; i < y.size; i++) {
        const bool touched = i >= 9 && i % 3 < 2 && i % 9 / 3 < 2;
        expect_close(y[i], touched ? INFINITY : counts[i % 9], 0, 0, "y", int64_t(i));
    }
}
