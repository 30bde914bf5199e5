// lstm_cell_f32, gru_cell_f32: what follows the products in one time step of an LSTM or GRU (ONNX's equations; Hochreiter and
// Schmidhuber 1997, Gers and Schmidhuber 2000 for the peepholes; Cho et al. 2014).
//
// Launch: any grid, block 256, no shared memory; one dimension, grid-stride over batch * hidden.
#include "common.cuh"
#include "operators.cuh"

extern "C" __global__ void __launch_bounds__(256) lstm_cell_f32(const __grid_constant__ LstmCellArgs args) {
    const int32_t hidden = args.hidden;
    for (int64_t i = first_of_thread(); i < int64_t(args.batch) * hidden; i += grid_step()) {
        const int64_t row = i / hidden, j = i % hidden;
        if (args.lengths && args.lengths[row] <= args.time) {
            if (args.y) args.y[row * args.y_row + j] = 0.0f;
            continue;
        }
        const float *x = args.x_gates + row * args.x_row + j, *h = args.h_gates + row * 4 * hidden + j, *peephole = args.peephole;
        const float c = args.c[i];
        const float in = sigmoid(x[0] + h[0] + (peephole ? peephole[j] * c : 0.0f));
        const float forget = sigmoid(x[2 * hidden] + h[2 * hidden] + (peephole ? peephole[2 * hidden + j] * c : 0.0f));
        const float next = forget * c + in * tanhf(x[3 * hidden] + h[3 * hidden]);
        const float out = sigmoid(x[hidden] + h[hidden] + (peephole ? peephole[hidden + j] * next : 0.0f));
        const float result = out * tanhf(next);
        args.c[i] = next;
        args.h[i] = result;
        if (args.y) args.y[row * args.y_row + j] = result;
    }
}

extern "C" __global__ void __launch_bounds__(256) gru_cell_f32(const __grid_constant__ GruCellArgs args) {
    const int32_t hidden = args.hidden;
    for (int64_t i = first_of_thread(); i < int64_t(args.batch) * hidden; i += grid_step()) {
        const int64_t row = i / hidden, j = i % hidden;
        const float *x = args.x_gates + row * args.x_row + j, *h = args.h_gates + row * 3 * hidden + j;
        const float reset = sigmoid(x[hidden] + h[hidden]);
        if (args.kind == 0) {
            args.rh[i] = reset * args.h[i];
            continue;
        }
        if (args.lengths && args.lengths[row] <= args.time) {
            if (args.y) args.y[row * args.y_row + j] = 0.0f;
            continue;
        }
        const float update = sigmoid(x[0] + h[0]), inner = h[2 * hidden] + (args.rb ? args.rb[j] : 0.0f);
        const float next = tanhf(x[2 * hidden] + (args.linear_before_reset ? reset * inner : inner));
        const float result = (1.0f - update) * next + update * args.h[i];
        args.h[i] = result;
        if (args.y) args.y[row * args.y_row + j] = result;
    }
}
