// Tensor cores and asynchronous copies, for host_shim.h; kernels/mma.cuh names each of these on the host and PTX on the device.
//
// Who holds which element of a matrix is written from the tables of the PTX ISA ("Matrix Fragments for mma.m16n8k16 with
// floating point type", "... mma.m16n8k8", "ldmatrix"), in a lane's own terms: group = lane / 4, in_group = lane % 4.
//
// A copy arrives as late as it may: when its thread waits for its group. From its start until then the place it goes to is not a
// number, so whoever reads before the wait, or still reads what lay there before, gets that.
#pragma once

namespace shim {
struct Given { // by a lane to the lanes of its warp
    float a[8], b[4];
    const char *row;
};
// Two, in turns: a lane that goes ahead to the next meeting must not write over what the others still read.
inline Given given[2][MAX_THREADS];
inline Given &own() { return given[current->turn & 1][current->number]; }
inline const Given &of_lane(int l) { return given[current->turn & 1][(current->number & ~31u) + unsigned(l)]; }

inline float part(uint32_t pair, int which, bool bfloat) {
    const uint32_t bits = which ? pair >> 16 : pair & 0xFFFF;
    return bfloat ? __uint_as_float(bits << 16) : shim_half_to_float(uint16_t(bits));
}
// d += a b over k numbers. `at` gives the lane and the element that hold number k of a row of A, or of a column of B.
template <class InA, class InB> void multiply(float *d, int k_size, InA &&in_a, InB &&in_b) {
    meet(~0u, 0, MATRIX_PRODUCT);
    const int group = int(lane()) / 4, in_group = int(lane()) % 4;
    for (int i = 0; i < 4; i++) { // c0 and c1 are in row `group`, c2 and c3 eight below; columns in_group * 2 + (i & 1)
        const int row = group + i / 2 * 8, column = in_group * 2 + i % 2;
        for (int k = 0; k < k_size; k++) d[i] += in_a(row, k) * in_b(k, column);
    }
    current->turn++;
}
inline void multiply_16(float *d, const uint32_t *a, uint32_t b0, uint32_t b1, bool bfloat) {
    for (int i = 0; i < 8; i++) own().a[i] = part(a[i / 2], i % 2, bfloat);
    for (int i = 0; i < 4; i++) own().b[i] = part(i / 2 ? b1 : b0, i % 2, bfloat);
    multiply(d, 16,
        // a0, a1, a4, a5 are in row `group`, the others eight below; a0..a3 in columns in_group * 2 + (i & 1), the others eight on.
        [](int row, int k) { return of_lane(row % 8 * 4 + k % 8 / 2).a[k % 2 + row / 8 * 2 + k / 8 * 4]; },
        // b0, b1 are in rows in_group * 2 + (i & 1), b2, b3 eight below; column `group`.
        [](int k, int column) { return of_lane(column * 4 + k % 8 / 2).b[k % 2 + k / 8 * 2]; });
}
} // namespace shim

static inline void shim_mma_f16(float *d, const uint32_t *a, uint32_t b0, uint32_t b1) { shim::multiply_16(d, a, b0, b1, false); }
static inline void shim_mma_bf16(float *d, const uint32_t *a, uint32_t b0, uint32_t b1) { shim::multiply_16(d, a, b0, b1, true); }
static inline void shim_mma_tf32(float *d, const uint32_t *a, uint32_t b0, uint32_t b1) {
    const uint32_t b[] = {b0, b1}, seen = 0xFFFFE000; // the others are left out, not rounded
    for (int i = 0; i < 4; i++) shim::own().a[i] = __uint_as_float(a[i] & seen);
    for (int i = 0; i < 2; i++) shim::own().b[i] = __uint_as_float(b[i] & seen);
    shim::multiply(d, 8,
        // a0, a2 are in row `group`, a1, a3 eight below; a0, a1 in column in_group, a2, a3 four on.
        [](int row, int k) { return shim::of_lane(row % 8 * 4 + k % 4).a[row / 8 + k / 4 * 2]; },
        // b0 is in row in_group, b1 four below; column `group`.
        [](int k, int column) { return shim::of_lane(column * 4 + k % 4).b[k / 4]; });
}
static inline void shim_load_matrices(uint32_t *to, const void *row, bool transposed) {
    if (reinterpret_cast<uintptr_t>(row) % 16) shim::fail("lane %u names a row of a matrix that is not aligned to 16 bytes", shim::lane());
    shim::own().row = static_cast<const char *>(row);
    shim::meet(~0u, transposed, shim::MATRIX_LOAD);
    const int group = int(shim::lane()) / 4, in_group = int(shim::lane()) % 4;
    for (int matrix = 0; matrix < 4; matrix++) {
        uint16_t two[2];
        for (int i = 0; i < 2; i++) {
            const int r = transposed ? in_group * 2 + i : group, c = transposed ? group : in_group * 2 + i;
            memcpy(&two[i], shim::of_lane(matrix * 8 + r).row + c * 2, 2);
        }
        to[matrix] = uint32_t(two[0]) | uint32_t(two[1]) << 16;
    }
    shim::current->turn++;
}
static inline uint32_t shim_round_to_tf32(uint32_t bits) {
    if ((bits & 0x7FFFFFFF) > 0x7F800000) return 0x7FFFFFFF & 0xFFFFE000;
    return (bits + 0x1000) & 0xFFFFE000;
}
static inline void shim_copy_async(void *to, const void *from, unsigned size, unsigned bytes) {
    if (reinterpret_cast<uintptr_t>(to) % size || (bytes && reinterpret_cast<uintptr_t>(from) % size))
        shim::fail("thread %u copies between addresses that are not aligned to %u bytes", shim::current->number, size);
    if (bytes > size) shim::fail("a copy of %u bytes reads %u", size, bytes);
    if (shim::failed) return;
    memset(to, 0xFF, size);
    shim::current->copies.push_back({static_cast<char *>(to), from, size, bytes});
    shim::current->open++;
}
static inline void shim_copies_group() {
    shim::current->groups.push_back(shim::current->open);
    shim::current->open = 0;
}
static inline void shim_copies_wait(unsigned left) {
    shim::Fiber &fiber = *shim::current;
    while (fiber.groups.size() > left) {
        for (unsigned i = 0; i < fiber.groups.front(); i++) {
            const shim::Copy copy = fiber.copies.front();
            fiber.copies.pop_front();
            memcpy(copy.to, copy.from, copy.bytes);
            memset(copy.to + copy.bytes, 0, copy.size - copy.bytes);
        }
        fiber.groups.pop_front();
    }
}
