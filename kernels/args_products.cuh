// A part of args.cuh: what products of matrices and convolutions take.
#pragma once

// ---- What may follow a product or a convolution.
enum Activation : int32_t {
    ACTIVATION_NONE = 0, ACTIVATION_RELU = 1, ACTIVATION_GELU = 2 /* erf */, ACTIVATION_GELU_TANH = 3, ACTIVATION_SIGMOID = 4,
    ACTIVATION_TANH = 5, ACTIVATION_LEAKY_RELU = 6 /* slope */,
    ACTIVATION_HARD_SIGMOID = 7 /* conv only: slope = alpha, low = beta */, ACTIVATION_CLIP = 8 /* conv only: low..high */
};

// ---- gemm.cu: `gemm_f32` (no TF32), gemm_f64.cu: `gemm_f64`; gemm_tensor.cu, on tensor cores, summed in f32: `gemm_f16` and
// `gemm_bf16` (in and out), `gemm_tf32` (f32 in and out); `..._large` are the same in larger tiles.
// D[i1, i0] = activation(alpha * A[i1, i0] B[i1, i0] + beta * C[i1, i0]): m x k by k x n. Every address of an element is
// row * x_row + column * x_col + i1 * x_batch1 + i0 * x_batch0, so that transposition and attention heads need no copy;
// D has columns side by side. C may be null; it is broadcast by strides of 0. There are batch0 * batch1 products.
struct GemmArgs {
    const void *a, *b, *c;
    void *d;
    int32_t m, n, k, batch0, batch1, activation;
    int64_t a_row, a_col, b_row, b_col, c_row, c_col, d_row; // in elements
    int64_t a_batch0, a_batch1, b_batch0, b_batch1, c_batch0, c_batch1, d_batch0, d_batch1;
    float alpha, beta, slope;
    int32_t pad;
};

// ---- conv.cu: `conv_f32`: NCHW, 1 or 2 spatial dimensions (1-D: height = 1), groups, dilations. w is [filters, channels /
// groups, kernel_h, kernel_w]. bias [filters] and add (of y's shape, before the activation) may be null.
struct ConvArgs {
    const float *x;
    const void *w; // f32; what is multiplied for conv_f16 and conv_bf16
    const float *bias, *add;
    float *y;
    int32_t n, channels, height, width, filters, out_height, out_width, kernel_h, kernel_w, stride_h, stride_w;
    int32_t pad_top, pad_left, dilation_h, dilation_w, groups, activation, pad;
    float slope, low, high, pad2;
};
// `conv_f16`, `conv_bf16`, `conv_tf32` (conv_tensor.cu): the same on tensor cores, of one group; `..._large` in larger tiles.
// `conv_direct_f32`: the same as conv_f32, for few filters in a group (depthwise). `conv_transpose_f32`: the same fields; w is [channels,
// filters / groups, kernel_h, kernel_w].
