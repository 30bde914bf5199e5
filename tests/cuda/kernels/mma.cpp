// Tests of kernels/mma.cuh and of what stands for it on the host. The fragments are written here by the figures of the PTX ISA, row by
// row, and not as the kernels use them.
#include "harness.h"

#include "mma.cuh"

struct MatrixArgs {
    const float *a, *b; // 16 x K and K x 8
    float *d;           // 16 x 8
    int32_t kind;       // 0 f16, 1 bf16, 2 tf32
};
static uint32_t shortened(float v, int32_t kind) { return kind ? float_to_bfloat(v) : float_to_half(v); }

extern "C" __global__ void multiplies(const MatrixArgs args) {
    const int lane = int(threadIdx.x), group = lane / 4, in_group = lane % 4;
    float d[4];
    for (int i = 0; i < 4; i++) d[i] = args.d[(group + i / 2 * 8) * 8 + in_group * 2 + i % 2];
    uint32_t a[4], b[2];
    if (args.kind == 2) {
        const int rows[] = {group, group + 8, group, group + 8}, columns[] = {in_group, in_group, in_group + 4, in_group + 4};
        for (int i = 0; i < 4; i++) a[i] = __float_as_uint(args.a[rows[i] * 8 + columns[i]]);
        for (int i = 0; i < 2; i++) b[i] = __float_as_uint(args.b[(in_group + i * 4) * 8 + group]);
        mma_tf32(d, a, b[0], b[1]);
    } else {
        for (int i = 0; i < 8; i += 2) {
            const int row = i == 0 || i == 4 ? group : group + 8, column = in_group * 2 + (i >= 4 ? 8 : 0);
            a[i / 2] = shortened(args.a[row * 16 + column], args.kind) | shortened(args.a[row * 16 + column + 1], args.kind) << 16;
        }
        for (int i = 0; i < 4; i += 2) {
            const int row = in_group * 2 + (i >= 2 ? 8 : 0);
            b[i / 2] = shortened(args.b[row * 8 + group], args.kind) | shortened(args.b[(row + 1) * 8 + group], args.kind) << 16;
        }
        if (args.kind == 0) mma_f16(d, a, b[0], b[1]);
        else mma_bf16(d, a, b[0], b[1]);
    }
    for (int i = 0; i < 4; i++) args.d[(group + i / 2 * 8) * 8 + in_group * 2 + i % 2] = d[i];
}
CASE(products_of_every_type) {
    for (int32_t kind = 0; kind < 3; kind++) {
        const int k_size = kind == 2 ? 8 : 16;
        Buffer<float> a(size_t(16 * k_size)), b(size_t(k_size * 8)), d(16 * 8);
        // Small whole numbers, which every type holds; all different, so that none stands for another.
        for (size_t i = 0; i < a.size; i++) a[i] = float(int(i * 37 % 251) - 120);
        for (size_t i = 0; i < b.size; i++) b[i] = float(int(i * 53 % 127) - 60);
        for (size_t i = 0; i < d.size; i++) d[i] = float(i);
        run(multiplies, 1, 32, 0, MatrixArgs{a.data, b.data, d.data, kind});
        for (int row = 0; row < 16; row++) for (int column = 0; column < 8; column++) {
            double sum = row * 8 + column;
            for (int k = 0; k < k_size; k++) sum += double(a[size_t(row * k_size + k)]) * double(b[size_t(k * 8 + column)]);
            expect_close(d[size_t(row * 8 + column)], sum, 0, 0, "d", row * 8 + column);
        }
    }
}
CASE(tf32_leaves_out_what_was_not_rounded) {
    Buffer<float> a(16 * 8), b(8 * 8), d(16 * 8);
    for (size_t i = 0; i < a.size; i++) a[i] = i % 8 == 0 ? 1.0009765f : 0; // 1 + almost 2^-10
    for (size_t i = 0; i < b.size; i++) b[i] = 1;
    for (size_t i = 0; i < d.size; i++) d[i] = 0;
    run(multiplies, 1, 32, 0, MatrixArgs{a.data, b.data, d.data, 2});
    for (size_t i = 0; i < d.size; i++) CHECK(d[i] == 1);
    CHECK(__uint_as_float(round_to_tf32(__float_as_uint(1.0009765f))) == 1.0009765625f);
    CHECK(__uint_as_float(round_to_tf32(__float_as_uint(-1.00048828125f))) == -1.0009765625f); // half: away from zero
    CHECK(__uint_as_float(round_to_tf32(__float_as_uint(1.00048815f))) == 1);
    CHECK(__uint_as_float(round_to_tf32(__float_as_uint(INFINITY))) == INFINITY);
    CHECK(isnan(__uint_as_float(round_to_tf32(0x7FFFFFFF))));
    CHECK(isnan(__uint_as_float(round_to_tf32(0xFF800001))));
}

struct LoadArgs {
    uint32_t *to; // [lanes, 4]
    int32_t transposed, shift;
};
extern "C" __global__ void loads(const LoadArgs args) {
    SHARED_DYN(unsigned char, shared);
    uint16_t *numbers = reinterpret_cast<uint16_t *>(shared);
    const int lane = int(threadIdx.x);
    for (int i = 0; i < 8; i++) numbers[lane * 8 + i] = uint16_t(lane * 8 + i); // matrix * 64 + row * 8 + column
    __syncwarp();
    uint32_t to[4];
    const unsigned char *row = shared + lane * 16 + args.shift;
    if (args.transposed) load_matrices_transposed(to, row);
    else load_matrices(to, row);
    for (int i = 0; i < 4; i++) args.to[lane * 4 + i] = to[i];
}
CASE(matrices_are_loaded_as_fragments) {
    for (int32_t transposed = 0; transposed < 2; transposed++) {
        Buffer<uint32_t> to(32 * 4);
        run(loads, 1, 32, 512, LoadArgs{to.data, transposed, 0});
        for (uint32_t lane = 0; lane < 32; lane++) for (uint32_t matrix = 0; matrix < 4; matrix++) {
            const uint32_t row = lane / 4, column = lane % 4 * 2;
            const uint32_t low = transposed ? column * 8 + row : row * 8 + column, high = transposed ? low + 8 : low + 1;
            CHECK(to[lane * 4 + matrix] == ((matrix * 64 + low) | (matrix * 64 + high) << 16));
        }
    }
    Buffer<uint32_t> to(32 * 4);
    const char *error = shim::launch(loads, 1, 32, 520, LoadArgs{to.data, 0, 8});
    CHECK(error && strstr(error, "not aligned to 16 bytes"));
}

struct CopyArgs {
    const unsigned char *from; // 64 bytes
    unsigned char *early, *late;
    int32_t left; // groups that are not waited for
    int32_t shift;
};
extern "C" __global__ void copies(const CopyArgs args) {
    SHARED_DYN(unsigned char, shared);
    if (threadIdx.x == 0) {
        for (int i = 0; i < 64; i++) shared[i] = 7;
        copy_16(shared, args.from + args.shift, 16);
        copy_16(shared + 16, args.from + 16, 10);
        copies_group();
        copy_4(shared + 32, args.from + 32, 4);
        copy_4(shared + 36, args.from + 36, 0);
        copies_group();
        copy_16(shared + 48, args.from + 48, 16); // in no group
        for (int i = 0; i < 64; i++) args.early[i] = shared[i];
        if (args.left) copies_wait<1>();
        else copies_wait<0>();
        for (int i = 0; i < 64; i++) args.late[i] = shared[i];
    }
}
CASE(copies_arrive_when_their_group_is_waited_for_and_not_before) {
    Buffer<unsigned char> from(64), early(64), late(64);
    for (size_t i = 0; i < 64; i++) from[i] = static_cast<unsigned char>(100 + i);
    for (int32_t left = 0; left < 2; left++) {
        run(copies, 1, 32, 64, CopyArgs{from.data, early.data, late.data, left, 0});
        for (size_t i = 0; i < 64; i++) {
            CHECK(early[i] == (i >= 40 && i < 48 ? 7 : 0xFF)); // neither what was there nor what comes
            const bool second = i >= 32 && i < 40;
            const int whole = i < 26 || (i >= 32 && i < 36) ? int(100 + i) : i < 32 || second ? 0 : i < 48 ? 7 : 0xFF;
            CHECK(late[i] == (second && left ? 0xFF : whole));
        }
    }
    const char *error = shim::launch(copies, 1, 32, 64, CopyArgs{from.data, early.data, late.data, 0, 4});
    CHECK(error && strstr(error, "not aligned to 16 bytes"));
}
