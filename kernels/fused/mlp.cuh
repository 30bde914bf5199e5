// A run of dense layers in one kernel (src/engine/cuda/fused/mlp.rs writes them): a block keeps all weights in shared memory and
// walks over tiles of rows; what goes from one layer to the next never leaves it.
//
// Sums go over the inner dimension in its order, one FMA each, as in gemm.cu, and what follows is the same expression.
#pragma once
#include "activation.cuh"
#include "fused/chain.cuh"

constexpr int MLP_THREADS = 256;

struct DenseArgs {
    const float *weights, *bias;
    float alpha, beta, slope;
    int32_t pad;
};
template <int LAYERS> struct MlpArgs {
    const float *x;
    float *y;
    int64_t rows;
    DenseArgs layer[LAYERS];
};

template <int ROWS> constexpr int MLP_STEP = ROWS + 4; // floats from one column of activations to the next: banks apart

struct alignas(16) MlpFour { float v[4]; };

// y = activation(alpha * x W + beta * bias): K columns in, N out, of which four at a time are computed.
template <int K, int N, int ACTIVATION, bool BIAS> struct Dense {
    static constexpr int COLUMNS = (N + 3) / 4 * 4;
    static constexpr int FLOATS = (K + 1) * COLUMNS; // the bias is the last row

    __device__ static __forceinline__ void stage(float *to, const DenseArgs &args, int64_t row_stride, int64_t column_stride, int64_t bias_stride) {
        for (int at = int(threadIdx.x); at < FLOATS; at += MLP_THREADS) {
            const int row = at / COLUMNS, column = at % COLUMNS;
            float value = 0;
            if (column < N && row < K) value = args.weights[row * row_stride + column * column_stride];
            if (column < N && row == K && BIAS) value = args.bias[column * bias_stride];
            to[at] = value;
        }
    }
    // in: [K][MLP_STEP], a column of activations after another. keep(row, column, value) takes each result.
    template <int ROWS, class Keep>
    __device__ static __forceinline__ void run(const float *in, const float *weights, const DenseArgs &args, Keep keep) {
        constexpr int TILES = ROWS / 4 * (COLUMNS / 4);
        for (int tile = int(threadIdx.x); tile < TILES; tile += MLP_THREADS) {
            const int row = tile % (ROWS / 4) * 4, column = tile / (ROWS / 4) * 4;
            float sum[4][4] = {};
#pragma unroll 4
            for (int k = 0; k < K; k++) {
                const MlpFour a = *reinterpret_cast<const MlpFour *>(in + k * MLP_STEP<ROWS> + row);
                const MlpFour b = *reinterpret_cast<const MlpFour *>(weights + k * COLUMNS + column);
#pragma unroll
                for (int i = 0; i < 4; i++)
#pragma unroll
                    for (int j = 0; j < 4; j++) sum[i][j] += a.v[i] * b.v[j];
            }
#pragma unroll
            for (int j = 0; j < 4; j++) {
                if (column + j >= N) break;
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    float value = args.alpha * sum[i][j];
                    if (BIAS) value += args.beta * weights[K * COLUMNS + column + j];
                    keep(row + i, column + j, activate(value, ACTIVATION, args.slope));
                }
            }
        }
    }
};

// A tile of rows, a column after another; zeros beyond the last row.
template <int K, int ROWS>
__device__ __forceinline__ void load_rows(float *to, const float *x, int64_t x_row, int64_t first, int64_t rows) {
    for (int at = int(threadIdx.x); at < K * ROWS; at += MLP_THREADS) {
        const int row = at / K, column = at % K;
        to[column * MLP_STEP<ROWS> + row] = first + row < rows ? x[(first + row) * x_row + column] : 0.0f;
    }
}
