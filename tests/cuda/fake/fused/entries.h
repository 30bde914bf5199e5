// What the stand-in for NVRTC (nvrtc.cpp) puts around a source: an entry for each kernel, which runs it through the shim.
#pragma once
#define GPU_HOST_SHIM 1
#include "host_shim.h"

#define ENTRY extern "C" __attribute__((visibility("default")))
ENTRY void forebay_seed(uint64_t seed) { shim::seed = seed; }
#define FUSED_KERNEL(kernel, Args)                                                                                           \
    ENTRY size_t forebay_bytes_##kernel() { return sizeof(Args); }                                                           \
    ENTRY const char *forebay_run_##kernel(const void *args, unsigned grid[3], unsigned block[3], size_t shared) {           \
        Args copy;                                                                                                           \
        memcpy(&copy, args, sizeof copy);                                                                                    \
        return shim::launch(kernel, dim3(grid[0], grid[1], grid[2]), dim3(block[0], block[1], block[2]), shared, copy);      \
    }
