// pointwise_f32, pointwise_f64, pointwise_i64: a chain of elementwise operators in one pass over memory.
//
// Each thread runs the program for one element of the output shape at a time: it loads the inputs into registers 0, 1, ...,
// each by its own strides and type, executes the instructions, and stores the results. Every thread executes the same
// instruction, so nothing diverges.
//
// Launch: any grid, block 256, no shared memory; one dimension, grid-stride over `count`.
#include "common.cuh"
#include "operators.cuh"

template <class C> __device__ __forceinline__ void run_program(const PointwiseArgs &args) {
    for (int64_t i = first_of_thread(); i < args.count; i += grid_step()) {
        int32_t index[MAX_RANK];
        int64_t rest = i;
#pragma unroll
        for (int d = MAX_RANK - 1; d >= 0; d--) index[d] = d < args.rank ? take_index(rest, args.size[d]) : 0;
        auto offset = [&](const Operand &operand) {
            int64_t at = 0;
#pragma unroll
            for (int d = 0; d < MAX_RANK; d++) at += int64_t(index[d]) * operand.stride[d];
            return at;
        };
        C registers[POINTWISE_REGISTERS];
        for (int n = 0; n < args.inputs; n++) registers[n] = load<C>(args.in[n].data, offset(args.in[n]), args.in[n].type);
        for (int n = 0; n < args.instructions; n++) {
            const Instruction &step = args.program[n];
            registers[step.to] = apply<C>(step, registers[step.a], registers[step.b], registers[step.c]);
        }
        for (int n = 0; n < args.outputs; n++)
            store<C>(args.out[n].data, offset(args.out[n]), args.out[n].type, registers[args.result[n]]);
    }
}

extern "C" __global__ void __launch_bounds__(256) pointwise_f32(const __grid_constant__ PointwiseArgs args) {
    run_program<float>(args);
}
extern "C" __global__ void __launch_bounds__(256) pointwise_f64(const __grid_constant__ PointwiseArgs args) {
    run_program<double>(args);
}
extern "C" __global__ void __launch_bounds__(256) pointwise_i64(const __grid_constant__ PointwiseArgs args) {
    run_program<int64_t>(args);
}
