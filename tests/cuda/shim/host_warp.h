// Warp collectives and atomics, for host_shim.h.
#pragma once

namespace shim {
inline void meet(unsigned mask, uint64_t value, Meeting meeting) {
    current->mask = mask;
    current->value = value;
    current->meeting = meeting;
    current->state = AT_WARP;
    to_scheduler();
}
inline unsigned lane() { return current->number & 31u; }
inline uint64_t value_of(unsigned l) { return warp_values[(current->number & ~31u) + l]; }
template <class T> T shuffle(unsigned mask, T own, int from, bool inside) {
    static_assert(sizeof(T) <= 8, "");
    uint64_t bits = 0;
    memcpy(&bits, &own, sizeof own);
    meet(mask, bits, SHUFFLE);
    if (!inside) return own;
    // What a lane outside the mask gives is undefined; a value that stands out is kinder than the right one.
    bits = mask >> from & 1 ? value_of(unsigned(from)) : ~uint64_t(0);
    memcpy(&own, &bits, sizeof own);
    return own;
}
} // namespace shim

static inline void __syncwarp(unsigned mask = ~0u) { shim::meet(mask, 0, shim::SYNC); }
template <class T> T __shfl_sync(unsigned mask, T value, int from, int width = 32) {
    int lane = int(shim::lane());
    return shim::shuffle(mask, value, (lane & ~(width - 1)) | (from & (width - 1)), true);
}
template <class T> T __shfl_xor_sync(unsigned mask, T value, int distance, int width = 32) {
    int lane = int(shim::lane()), from = lane ^ distance;
    return shim::shuffle(mask, value, from & 31, from <= (lane | (width - 1)));
}
template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32) {
    int lane = int(shim::lane()), from = lane + int(distance);
    return shim::shuffle(mask, value, from & 31, from <= (lane | (width - 1)));
}
template <class T> T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32) {
    int lane = int(shim::lane()), from = lane - int(distance);
    return shim::shuffle(mask, value, from & 31, from >= (lane & ~(width - 1)));
}
static inline unsigned __ballot_sync(unsigned mask, int predicate) {
    shim::meet(mask, predicate != 0, shim::BALLOT);
    unsigned result = 0;
    for (unsigned l = 0; l < 32; l++)
        if ((mask >> l & 1) && shim::value_of(l)) result |= 1u << l;
    return result;
}
static inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
static inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) == mask; }

template <class T> T atomicAdd(T *at, T value) {
    T old = *at;
    *at = old + value;
    return old;
}
template <class T> T atomicMax(T *at, T value) {
    T old = *at;
    if (value > old) *at = value;
    return old;
}
static inline unsigned atomicCAS(unsigned *at, unsigned expected, unsigned value) {
    unsigned old = *at;
    if (old == expected) *at = value;
    return old;
}
static inline void __threadfence() {}
template <class T> T __ldg(const T *at) { return *at; }
