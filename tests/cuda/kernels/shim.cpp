// Tests of the shim itself: what it must find, it finds.
#include "harness.h"

struct Words { int *to; };

extern "C" __global__ void reads_a_neighbour(const Words args) {
    __shared__ int box[64];
    box[threadIdx.x] = int(threadIdx.x);
    __syncthreads();
    args.to[threadIdx.x] = box[63 - threadIdx.x];
}
extern "C" __global__ void forgets_the_barrier(const Words args) {
    __shared__ int box[64];
    box[threadIdx.x] = int(threadIdx.x);
    args.to[threadIdx.x] = box[63 - threadIdx.x];
}
extern "C" __global__ void leaves_before_the_barrier(const Words) {
    if (threadIdx.x == 5) return;
    __syncthreads();
}
extern "C" __global__ void leaves_before_the_shuffle(const Words args) {
    if (threadIdx.x == 5) return;
    args.to[threadIdx.x] = __shfl_xor_sync(FULL_WARP, 1, 1);
}
extern "C" __global__ void is_not_in_its_mask(const Words args) {
    args.to[threadIdx.x] = __shfl_xor_sync(0xffffu, 1, 1);
}
extern "C" __global__ void waits_for_two_things(const Words) {
    if (threadIdx.x < 16) __syncthreads();
    else __syncwarp();
}
extern "C" __global__ void shuffles(const Words args) {
    int lane = int(threadIdx.x);
    args.to[lane] = __shfl_sync(FULL_WARP, lane, 7);
    args.to[32 + lane] = __shfl_xor_sync(FULL_WARP, lane, 4);
    args.to[64 + lane] = __shfl_down_sync(FULL_WARP, lane, 3u);
    args.to[96 + lane] = __shfl_up_sync(FULL_WARP, lane, 3u);
    args.to[128 + lane] = int(__ballot_sync(FULL_WARP, lane % 3 == 0));
    args.to[160 + lane] = __shfl_down_sync(FULL_WARP, lane, 3u, 8);
}
extern "C" __global__ void reads_fresh_shared_memory(const Words args) {
    SHARED_DYN(int, fresh);
    args.to[threadIdx.x] = fresh[threadIdx.x];
}

static std::string error_of(void (*kernel)(const Words), unsigned threads, int *to = nullptr, size_t shared = 0) {
    const char *error = shim::launch(kernel, 1, threads, shared, Words{to});
    return error ? error : "";
}

CASE(a_barrier_holds_and_a_missing_one_shows) {
    Buffer<int> to(64);
    CHECK(error_of(reads_a_neighbour, 64, to.data).empty());
    for (int i = 0; i < 64; i++) CHECK(to[size_t(i)] == 63 - i);
    CHECK(error_of(forgets_the_barrier, 64, to.data).empty());
    int wrong = 0;
    for (int i = 0; i < 64; i++) wrong += to[size_t(i)] != 63 - i;
    CHECK(wrong > 0);
}
CASE(threads_that_leave_are_named) {
    Buffer<int> to(64);
    CHECK(error_of(leaves_before_the_barrier, 64) == "63 threads are at __syncthreads, 1 have left the kernel");
    CHECK(error_of(leaves_before_the_shuffle, 32, to.data) == "a warp collective waits for lane 5, which is gone (mask ffffffff)");
    CHECK(error_of(is_not_in_its_mask, 32, to.data).find("whose mask 0000ffff lacks it") != std::string::npos);
    CHECK(error_of(waits_for_two_things, 32).find("deadlock: 16 threads are at __syncthreads") == 0);
    CHECK(error_of(reads_a_neighbour, 0).find("a block has") == 0);
}
CASE(collectives_give_what_the_hardware_gives) {
    Buffer<int> to(192);
    CHECK(error_of(shuffles, 32, to.data).empty());
    for (int l = 0; l < 32; l++) {
        CHECK(to[size_t(l)] == 7);
        CHECK(to[size_t(32 + l)] == (l ^ 4));
        CHECK(to[size_t(64 + l)] == (l + 3 < 32 ? l + 3 : l));
        CHECK(to[size_t(96 + l)] == (l >= 3 ? l - 3 : l));
        CHECK(unsigned(to[size_t(128 + l)]) == 0x49249249u);
        CHECK(to[size_t(160 + l)] == (l % 8 + 3 < 8 ? l + 3 : l));
    }
}
CASE(shared_memory_starts_as_nan) {
    Buffer<int> to(8);
    CHECK(error_of(reads_fresh_shared_memory, 8, to.data, 32).empty());
    for (int i = 0; i < 8; i++) CHECK(to[size_t(i)] == -1);
}
// Every f16 there is, and what lies between two of them.
CASE(halves_round_to_nearest_even) {
    if (shim::seed > 0) return;
    for (uint32_t h = 0; h < 0x10000; h++) {
        float f = half_to_float(uint16_t(h));
        if (f != f) {
            CHECK(half_to_float(float_to_half(f)) != half_to_float(float_to_half(f)));
            continue;
        }
        CHECK(float_to_half(f) == h);
        if ((h & 0x7FFF) >= 0x7BFF) continue;
        float next = half_to_float(uint16_t(h + 1)), middle = (f + next) / 2;
        CHECK(float_to_half(middle) == (h & 1 ? h + 1 : h));
        CHECK(float_to_half(nextafterf(middle, f)) == h);
        CHECK(float_to_half(nextafterf(middle, next)) == h + 1);
    }
    CHECK(float_to_half(65519.0f) == 0x7BFF && float_to_half(65520.0f) == 0x7C00 && float_to_half(-1e30f) == 0xFC00);
    CHECK(float_to_bfloat(1.00390625f) == 0x3F80 && float_to_bfloat(1.01171875f) == 0x3F82 && float_to_bfloat(3.4e38f) == 0x7F80);
}
