// Tests of kernels/convert.cu, and of `fill` and `pad` in kernels/move.cu.
#include "harness.h"

#include "convert.cu"
#include "move.cu"

template <class From, class To> static void try_convert(std::vector<From> from, std::vector<To> expected) {
    context = "convert " + std::to_string(int(TypeOf<From>::value)) + " to " + std::to_string(int(TypeOf<To>::value));
    Buffer<From> a(from.size(), 1);
    Buffer<To> b(from.size(), 1);
    for (size_t i = 0; i < from.size(); i++) a[i] = from[i];
    run(convert, 1, 256, 0, ConvertArgs{a.data, b.data, int64_t(from.size()), TypeOf<From>::value, TypeOf<To>::value});
    for (size_t i = 0; i < from.size(); i++)
        if (memcmp(&b[i], &expected[i], sizeof(To)) != 0) failure("element %zu is %.17g, expected %.17g", i, value_of(b[i]), value_of(expected[i]));
}
static Half half(uint16_t bits) { return {bits}; }
static Bfloat bfloat(uint16_t bits) { return {bits}; }
static Bool boolean(bool b) { return {b}; }

CASE(to_and_from_every_type) {
    const int64_t big = (int64_t(1) << 53) + 1;
    try_convert<int64_t, double>({big - 1, -5, INT64_MIN}, {9007199254740992.0, -5, -9223372036854775808.0});
    try_convert<int64_t, float>({16777217, -3}, {16777216, -3});
    // By way of f64 this would round twice, to 2^54 + 2^31.
    try_convert<int64_t, float>({(int64_t(1) << 54) + (int64_t(1) << 30) + 1}, {18014400656965632.0f});
    try_convert<double, int64_t>({1e18 + 128, -2.9, NAN, 1e30, -1e30}, {1000000000000000128, -2, 0, INT64_MAX, INT64_MIN});
    try_convert<double, int32_t>({2147483647.9, 2147483648.5, -2147483649.0}, {INT32_MAX, INT32_MAX, INT32_MIN});
    try_convert<double, uint8_t>({254.9, 255.9, 300, -0.5, -7}, {254, 255, 255, 0, 0});
    try_convert<double, int8_t>({127.5, 128, -128.9, -129}, {127, 127, -128, -128});
    try_convert<double, uint16_t>({65535.5, 65536}, {65535, 65535});
    try_convert<double, int16_t>({-40000}, {-32768});
    try_convert<double, uint32_t>({4294967295.0, 5e9, -1}, {4294967295u, 4294967295u, 0});
    try_convert<double, uint64_t>({1e19, 2e19, -1}, {10000000000000000000u, UINT64_MAX, 0});
    try_convert<double, float>({0.1, 1e300}, {0.1f, INFINITY});
    try_convert<float, Half>({0.1f, -65504, 70000, 1e-9f, -0.0f}, {half(0x2E66), half(0xFBFF), half(0x7C00), half(0), half(0x8000)});
    try_convert<Half, float>({half(0x2E66), half(1), half(0xFC00)}, {0.0999755859375f, 5.9604644775390625e-8f, -INFINITY});
    try_convert<float, Bfloat>({0.1f, -3}, {bfloat(0x3DCD), bfloat(0xC040)});
    try_convert<Bfloat, float>({bfloat(0x3DCD)}, {0.10009765625f});
    try_convert<float, Bool>({0, -0.0f, NAN, 1e-40f}, {boolean(false), boolean(false), boolean(true), boolean(true)});
    try_convert<Bool, float>({boolean(true), boolean(false)}, {1, 0});
    try_convert<int32_t, uint8_t>({257, -1}, {1, 255});
    try_convert<int32_t, Bool>({256, 0}, {boolean(true), boolean(false)});
    try_convert<int32_t, int64_t>({-7}, {-7});
    try_convert<uint32_t, int64_t>({4294967295u}, {4294967295});
    try_convert<uint8_t, float>({200}, {200});
    try_convert<int8_t, double>({-128}, {-128});
    try_convert<int16_t, int32_t>({-30000}, {-30000});
    try_convert<uint16_t, Half>({2049}, {half(0x6800)});
    // Half way between two: to the even one.
    try_convert<int64_t, Bfloat>({257, 259}, {bfloat(0x4380), bfloat(0x4382)});
    // The largest that there is, rounded up, is the first that does not fit.
    try_convert<float, int64_t>({9223372036854775808.0f, -9223372036854775808.0f}, {INT64_MAX, INT64_MIN});
    try_convert<float, uint64_t>({18446744073709551616.0f}, {UINT64_MAX});
    try_convert<float, int32_t>({2147483648.0f}, {INT32_MAX});
    try_convert<uint64_t, double>({UINT64_MAX, 3}, {18446744073709551616.0, 3});
    try_convert<uint64_t, float>({UINT64_MAX}, {18446744073709551616.0f});
    try_convert<uint64_t, Bfloat>({uint64_t(1) << 63}, {bfloat(0x5F00)});
    try_convert<uint64_t, Half>({7}, {half(0x4700)});
    try_convert<uint64_t, int32_t>({(uint64_t(1) << 32) + 5}, {5});
    try_convert<uint64_t, Bool>({uint64_t(1) << 63, 0}, {boolean(true), boolean(false)});
    try_convert<float, float>({}, {});
}
CASE(an_index_is_taken_out_of_a_number_of_any_length) {
    for (int64_t whole : {int64_t(41), int64_t(0xffffffff), int64_t(0x100000000), int64_t(12345678901234)}) {
        int64_t rest = whole;
        const int32_t index = take_index(rest, 7);
        if (index != int32_t(whole % 7) || rest != whole / 7) failure("%d and %.17g", int(index), double(rest));
    }
}
CASE(more_elements_than_threads) {
    std::vector<int32_t> from(700);
    std::vector<double> to(700);
    for (size_t i = 0; i < 700; i++) from[i] = int32_t(i), to[i] = double(i);
    try_convert<int32_t, double>(from, to);
}

template <class T> static void try_fill(size_t count, uint64_t pattern) {
    Buffer<T> to(count, 1);
    run(fill, 2, 256, 0, FillArgs{to.data, int64_t(count), pattern, sizeof(T), 0});
    for (size_t i = 0; i < count; i++) CHECK(to[i] == T(pattern));
}
CASE(fills) {
    for (size_t count : {0, 1, 511, 512, 1300}) {
        try_fill<uint8_t>(count, 0x1122334455667788);
        try_fill<uint16_t>(count, 0x1122334455667788);
        try_fill<uint32_t>(count, 0x1122334455667788);
        try_fill<uint64_t>(count, 0x1122334455667788);
    }
}

// The reference walks outside step by step.
static int64_t walk(int64_t index, int64_t size, int mode) {
    while (index < 0 || index >= size) {
        if (mode == 1) index = index < 0 ? 0 : size - 1;
        else if (mode == 3) index += index < 0 ? size : -size;
        else if (size == 1) index = 0;
        else index = index < 0 ? -index : 2 * (size - 1) - index;
    }
    return index;
}
template <class T> static void try_pad(int32_t mode, std::vector<int32_t> size, std::vector<int32_t> before, std::vector<int32_t> after) {
    context = "pad mode " + std::to_string(mode);
    PadArgs args{};
    args.rank = int32_t(size.size());
    args.bytes = sizeof(T);
    args.mode = mode;
    args.count = 1;
    int64_t from_count = 1;
    for (size_t d = 0; d < size.size(); d++) {
        args.from_size[d] = size[d];
        args.before[d] = before[d];
        args.to_size[d] = size[d] + before[d] + after[d];
        args.count *= args.to_size[d];
        from_count *= size[d];
    }
    Buffer<T> from(size_t(from_count), 1), to(size_t(args.count), 1);
    for (size_t i = 0; i < from.size; i++) from[i] = T(i + 1);
    args.from = from.data;
    args.to = to.data;
    run(pad, blocks_for(args.count, 256, 2), 256, 0, args);
    for (int64_t i = 0; i < args.count; i++) {
        int64_t rest = i, at = 0, stride = 1;
        for (size_t d = size.size(); d-- > 0;) {
            at += walk(rest % args.to_size[d] - before[d], size[d], mode) * stride;
            stride *= size[d];
            rest /= args.to_size[d];
        }
        if (to[size_t(i)] != from[size_t(at)]) return failure("element %lld", (long long)i);
    }
}
CASE(pads) {
    for (int32_t mode : {1, 2, 3}) {
        try_pad<float>(mode, {3, 5}, {2, 4}, {1, 3});
        try_pad<uint16_t>(mode, {4, 3, 20}, {1, 0, -3}, {-1, 2, 9});
        try_pad<uint64_t>(mode, {2}, {7}, {6}); // further than the tensor is long
        try_pad<uint8_t>(mode, {1, 4}, {2, 0}, {1, 0});
        try_pad<float>(mode, {2, 1, 2, 3, 2, 4}, {1, 0, 1, 0, 1, 2}, {0, 1, 0, 1, 0, 1});
    }
}
