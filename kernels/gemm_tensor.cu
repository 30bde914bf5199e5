// gemm_f16, gemm_bf16, gemm_tf32: matrix products on tensor cores, summed in f32; any strides, batches, bias and activation in one
// launch. gemm_f16_large and so on: the same in tiles of 128 x 128, for products with many of these.
//
// Operands are copied as the tensor cores are at work where each row of A lies together, and each row or each column of B, from a
// multiple of 16 bytes on; others take longer.
//
// Launch: grid (ceil(m / 64), ceil(n / 64), batches up to 65535; more are walked through), block 128, 24576 bytes of dynamic shared
// memory. The large ones: 128 in place of 64, block 256, 49152 bytes.
#include "tensor.cuh"

__device__ __forceinline__ void store_float(Half *to, float v) { to->bits = float_to_half(v); }
__device__ __forceinline__ void store_float(Bfloat *to, float v) { to->bits = float_to_bfloat(v); }
__device__ __forceinline__ void store_float(float *to, float v) { *to = v; }

// Where the results of one column go.
template <class T> struct ToColumn {
    const GemmArgs &args;
    const T *c; // in the column; may be null
    T *d;
    int32_t row0;
    bool inside, is_quick;

    __device__ __forceinline__ bool taken(int32_t row, float &value) const {
        row += row0;
        if (!inside || row >= args.m) return false;
        value *= args.alpha;
        if (c) value += args.beta * to_float(c[row * args.c_row]);
        return true;
    }
    __device__ __forceinline__ void quick(int32_t row, float value) const {
        if (!taken(row, value)) return;
        if (args.activation == ACTIVATION_RELU) value = value < 0.0f ? 0.0f : value;
        store_float(d + (row0 + row) * args.d_row, value);
    }
    __device__ __forceinline__ void any(int32_t row, float value) const {
        if (taken(row, value)) store_float(d + (row0 + row) * args.d_row, activate(value, args.activation, args.slope));
    }
};

template <class T, class D, bool B_ALONG_K>
__device__ __forceinline__ void gemm_tensor_of(const GemmArgs &args, unsigned char *shared) {
    const int32_t row0 = int32_t(blockIdx.x) * D::ROWS, column0 = int32_t(blockIdx.y) * D::COLUMNS;
    const int64_t batches = int64_t(args.batch0) * args.batch1;
    for (int64_t batch = blockIdx.z; batch < batches; batch += gridDim.z) {
        const int64_t i1 = batch / args.batch0, i0 = batch % args.batch0;
        const T *a = static_cast<const T *>(args.a) + i1 * args.a_batch1 + i0 * args.a_batch0;
        const T *b = static_cast<const T *>(args.b) + i1 * args.b_batch1 + i0 * args.b_batch0;
        const Strided<T, D, D::ROWS, true> left(a, args.a_row, args.a_col, row0, args.m, args.k);
        const Strided<T, D, D::COLUMNS, B_ALONG_K> right(b, args.b_col, args.b_row, column0, args.n, args.k);
        float sum[D::MT][D::NT][4] = {};
        multiply_tensor<T, D>(sum, left, right, args.k, shared);

        const int32_t column = column0 + D::column() + int32_t(threadIdx.x) % 32;
        const T *c = static_cast<const T *>(args.c);
        if (c) c += i1 * args.c_batch1 + i0 * args.c_batch0 + column * args.c_col;
        T *d = static_cast<T *>(args.d) + i1 * args.d_batch1 + i0 * args.d_batch0 + column;
        finish<D>(sum, ToColumn<T>{args, c, d, row0 + D::row(), column < args.n, args.activation <= ACTIVATION_RELU}, shared);
        __syncthreads(); // before the next batch's tiles come there
    }
}
template <class T, class D> __device__ __forceinline__ void gemm_tensor(const GemmArgs &args, unsigned char *shared) {
    if (args.b_row == 1 || args.b_col != 1) gemm_tensor_of<T, D, true>(args, shared);
    else gemm_tensor_of<T, D, false>(args, shared);
}

extern "C" __global__ void __launch_bounds__(128, 4) gemm_f16(const __grid_constant__ GemmArgs args) {
    SHARED_DYN(unsigned char, shared);
    gemm_tensor<Half, Small>(args, shared);
}
extern "C" __global__ void __launch_bounds__(128, 4) gemm_bf16(const __grid_constant__ GemmArgs args) {
    SHARED_DYN(unsigned char, shared);
    gemm_tensor<Bfloat, Small>(args, shared);
}
extern "C" __global__ void __launch_bounds__(128, 4) gemm_tf32(const __grid_constant__ GemmArgs args) {
    SHARED_DYN(unsigned char, shared);
    gemm_tensor<float, Small>(args, shared);
}
extern "C" __global__ void __launch_bounds__(256, 2) gemm_f16_large(const __grid_constant__ GemmArgs args) {
    SHARED_DYN(unsigned char, shared);
    gemm_tensor<Half, Large>(args, shared);
}
extern "C" __global__ void __launch_bounds__(256, 2) gemm_bf16_large(const __grid_constant__ GemmArgs args) {
    SHARED_DYN(unsigned char, shared);
    gemm_tensor<Bfloat, Large>(args, shared);
}
extern "C" __global__ void __launch_bounds__(256, 2) gemm_tf32_large(const __grid_constant__ GemmArgs args) {
    SHARED_DYN(unsigned char, shared);
    gemm_tensor<float, Large>(args, shared);
}
