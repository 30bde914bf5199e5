// canary: a known pattern, so that readiness can see the device compute.
//
// Launch: any grid, any block (256), no shared memory; one dimension, grid-stride.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(256) canary(const CanaryArgs args) {
    for (int64_t i = first_of_thread(); i < args.count; i += grid_step()) args.to[i] = uint32_t(i) * 2654435761u ^ args.seed;
}
