// Numbers as cuBLASLt and cuDNN have them in memory, whatever each calls its types: read, shortened, stored.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

enum class Number { SINGLE, HALF, BFLOAT };

inline size_t width(Number type) { return type == Number::SINGLE ? 4 : 2; }
inline float single(const void *data, int64_t at, Number type) {
    if (type == Number::SINGLE) return static_cast<const float *>(data)[at];
    uint16_t bits = static_cast<const uint16_t *>(data)[at];
    if (type == Number::BFLOAT) {
        uint32_t wide = uint32_t(bits) << 16;
        float value;
        memcpy(&value, &wide, 4);
        return value;
    }
    _Float16 half;
    memcpy(&half, &bits, 2);
    return float(half);
}
// Bits of the fraction that tf32 has not.
constexpr int TF32 = 13;
// Drops so many bits of the fraction, to the nearest.
inline float shortened(float value, int dropped) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    if (std::isfinite(value)) bits += (1u << (dropped - 1)) - 1 + (bits >> dropped & 1);
    bits &= ~((1u << dropped) - 1);
    memcpy(&value, &bits, 4);
    return value;
}
inline void store(void *data, int64_t at, Number type, float value) {
    if (type == Number::SINGLE) {
        static_cast<float *>(data)[at] = value;
        return;
    }
    uint16_t bits;
    if (type == Number::BFLOAT) {
        float kept = std::isnan(value) ? value : shortened(value, 16);
        uint32_t wide;
        memcpy(&wide, &kept, 4);
        bits = uint16_t(wide >> 16);
    } else {
        auto half = _Float16(value);
        memcpy(&bits, &half, 2);
    }
    static_cast<uint16_t *>(data)[at] = bits;
}
