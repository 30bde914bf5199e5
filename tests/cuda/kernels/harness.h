// A small test harness for kernels: cases, random data, guarded memory, comparison with a reference.
#pragma once
#include "args.cuh"
#include "common.cuh"

#include <string>
#include <vector>

// ---- Cases. CASE(name) { ... } runs once for every schedule.
struct Case {
    const char *name;
    void (*run)();
    Case *next;
};
inline Case *cases = nullptr;
inline int failures = 0;
inline std::string context; // what a failure message adds: the shape under test
#define CASE(name)                                                                                                           \
    static void case_##name();                                                                                               \
    static Case case_of_##name{#name, case_##name, nullptr};                                                                 \
    static const bool case_is_known_##name = (case_of_##name.next = cases, cases = &case_of_##name, true);                   \
    static void case_##name()

template <class... Parts> void failure(const char *format, Parts... parts) {
    if (++failures > 20) return;
    printf("FAIL %s, seed %llu: ", context.c_str(), static_cast<unsigned long long>(shim::seed));
    printf(format, parts...);
    printf("\n");
}
#define CHECK(condition)                                                                                                     \
    do {                                                                                                                     \
        if (!(condition)) failure("line %d: %s", __LINE__, #condition);                                                      \
    } while (0)

// ---- Random data.
struct Random {
    uint64_t state;
    explicit Random(uint64_t seed = 1) : state(seed * 0x9E3779B97F4A7C15ull + 77) {}
    uint64_t bits() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return state;
    }
    int64_t whole(int64_t low, int64_t high) { return low + int64_t(bits() % uint64_t(high - low + 1)); }
    // Uniform, and not centred on zero unless asked: a kernel that leaves out a mean must show.
    double real(double low, double high) { return low + (high - low) * (double(bits() >> 11) / 9007199254740992.0); }
};

// ---- Memory for a kernel. Without a sanitizer, bytes before and behind are watched; with one, the size is exact.
// `shift` elements lie before `data`, so that a view need not be aligned.
template <class T> struct Buffer {
    static constexpr size_t GUARD =
#if defined(__SANITIZE_ADDRESS__)
        0;
#else
        256;
#endif
    size_t size, shift;
    char *memory;
    T *data;
    explicit Buffer(size_t n, size_t shift_ = 0) : size(n), shift(shift_) {
        size_t bytes = (n + shift) * sizeof(T) + 2 * GUARD;
        void *at = nullptr;
        if (posix_memalign(&at, 256, bytes ? bytes : 1)) abort();
        memory = static_cast<char *>(at);
        memset(memory, 0xA5, bytes);
        data = reinterpret_cast<T *>(memory + GUARD) + shift;
    }
    Buffer(const Buffer &) = delete;
    ~Buffer() {
        bool whole = true;
        for (size_t i = 0; i < GUARD; i++) whole &= memory[i] == char(0xA5);
        for (size_t i = 0; i < shift * sizeof(T); i++) whole &= memory[GUARD + i] == char(0xA5);
        for (size_t i = 0; i < GUARD; i++) whole &= memory[GUARD + (size + shift) * sizeof(T) + i] == char(0xA5);
        if (!whole) failure("memory beside a buffer of %zu elements was written", size);
        free(memory);
    }
    T &operator[](size_t i) { return data[i]; }
    const T &operator[](size_t i) const { return data[i]; }
};

// ---- Element types by number.
template <class T> struct TypeOf;
template <> struct TypeOf<float> { static constexpr int32_t value = TYPE_F32; };
template <> struct TypeOf<Half> { static constexpr int32_t value = TYPE_F16; };
template <> struct TypeOf<Bfloat> { static constexpr int32_t value = TYPE_BF16; };
template <> struct TypeOf<double> { static constexpr int32_t value = TYPE_F64; };
template <> struct TypeOf<int32_t> { static constexpr int32_t value = TYPE_I32; };
template <> struct TypeOf<int64_t> { static constexpr int32_t value = TYPE_I64; };
template <> struct TypeOf<uint8_t> { static constexpr int32_t value = TYPE_U8; };
template <> struct TypeOf<Bool> { static constexpr int32_t value = TYPE_BOOL; };
template <> struct TypeOf<int8_t> { static constexpr int32_t value = TYPE_I8; };
template <> struct TypeOf<uint32_t> { static constexpr int32_t value = TYPE_U32; };
template <> struct TypeOf<uint64_t> { static constexpr int32_t value = TYPE_U64; };
template <> struct TypeOf<int16_t> { static constexpr int32_t value = TYPE_I16; };
template <> struct TypeOf<uint16_t> { static constexpr int32_t value = TYPE_U16; };

template <class T> double value_of(T v) { return double(v); }
inline double value_of(Half v) { return half_to_float(v.bits); }
inline double value_of(Bfloat v) { return bfloat_to_float(v.bits); }
inline double value_of(Bool v) { return v.byte; }
template <class T> T element(double v) { return T(v); }
template <> inline Half element<Half>(double v) { return {float_to_half(float(v))}; }
template <> inline Bfloat element<Bfloat>(double v) { return {float_to_bfloat(float(v))}; }
template <> inline Bool element<Bool>(double v) { return {uint8_t(v != 0)}; }
// How far a result may be off, relatively, when everything before it was exact.
template <class T> double precision() { return 0; }
template <> inline double precision<float>() { return 6e-8; }
template <> inline double precision<double>() { return 1.2e-16; }
template <> inline double precision<Half>() { return 4.9e-4; }
template <> inline double precision<Bfloat>() { return 3.95e-3; }

template <class T> void fill_random(Buffer<T> &buffer, Random &random, double low, double high) {
    for (size_t i = 0; i < buffer.size; i++) buffer[i] = element<T>(random.real(low, high));
}

// Equal within `relative` and `absolute`; NaN equals NaN, infinities equal themselves.
inline bool close(double actual, double expected, double relative, double absolute) {
    if (expected != expected || actual != actual) return expected != expected && actual != actual;
    if (actual == expected) return true;
    return fabs(actual - expected) <= absolute + relative * fabs(expected);
}
inline void expect_close(double actual, double expected, double relative, double absolute, const char *what, int64_t at) {
    if (!close(actual, expected, relative, absolute))
        failure("%s[%lld] is %.9g, expected %.9g", what, static_cast<long long>(at), actual, expected);
}

// Launches, and fails the case where the shim found fault.
template <class Args>
void run(void (*kernel)(const Args), dim3 grid, dim3 block, size_t shared, const Args &args) {
    if (const char *error = shim::launch(kernel, grid, block, shared, args)) failure("%s", error);
}
inline unsigned blocks_for(int64_t count, unsigned threads, unsigned most = 3) {
    int64_t blocks = (count + threads - 1) / threads;
    return unsigned(blocks < 1 ? 1 : blocks > most ? most : blocks);
}

// SHIM_SEEDS: how many schedules to run, 16 unless told; SHIM_SEED: this one only; SHIM_STOP: end with the first case that fails.
int main() {
    const char *one = getenv("SHIM_SEED"), *many = getenv("SHIM_SEEDS");
    uint64_t first = one ? strtoull(one, nullptr, 10) : 0;
    uint64_t end = one ? first + 1 : many ? strtoull(many, nullptr, 10) : 16;
    int count = 0;
    for (uint64_t seed = first; seed < end; seed++) {
        for (Case *c = cases; c; c = c->next) {
            shim::seed = seed;
            context = c->name;
            c->run();
            count++;
            if (failures > 0 && getenv("SHIM_STOP")) return 1;
        }
    }
    printf("%d runs of cases, %d failures\n", count, failures);
    return count == 0 || failures > 0;
}
