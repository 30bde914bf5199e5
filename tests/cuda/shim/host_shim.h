// Runs CUDA C++ kernels on the host: one block after another, one fiber per thread.
//
// `__syncthreads` and the warp collectives are true meetings: a barrier that some thread never reaches, a lane that leaves
// before a collective, or a mask without its caller is an error with words, not a hang. The order in which threads run
// comes from a seed, and one warp may run far ahead of the others, so a missing barrier changes results. Shared memory is
// filled with 0xFF (NaN) before every block. Dynamic shared memory has exactly the size that the launch names, so that the
// address sanitizer sees what is beyond it.
//
// What it cannot show: the memory model between blocks, coalescing, bank conflicts, register pressure, the rounding of the
// device's own functions, and speed.
//
// `__shared__` must stand in a function that is no template and not inline: its section is one for the whole file.
#pragma once
#include <math.h> // with the overloads for float in the global namespace, as device code has them
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <utility>

#define __device__
#define __host__
#define __global__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __restrict__ __restrict
#define __align__(n) __attribute__((aligned(n)))
#define __constant__ static const
#define __shared__ static __attribute__((section("cuda_shared"), used))
#define SHARED_DYN(T, name) T *name = reinterpret_cast<T *>(shim::dynamic_shared)
#define threadIdx (shim::current->index)
#define blockIdx (shim::block_index)
#define blockDim (shim::block_size)
#define gridDim (shim::grid_size)

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };

#include "host_fibers.h"
#include "host_warp.h"
#include "host_math.h"
#include "host_mma.h"
