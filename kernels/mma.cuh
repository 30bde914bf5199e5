// The instructions of tensor cores and of what feeds them, a function for each. On the host tests/cuda/shim/host_mma.h stands for
// them, from the same tables: the PTX ISA, "Warp-level matrix instructions" and "Asynchronous copies". All from compute
// capability 8.0 on. Every lane of a warp must call the first five, at the same place.
#pragma once
#include "common.cuh"

#if !defined(GPU_HOST_SHIM)
__device__ __forceinline__ uint32_t shared_address(const void *at) { return uint32_t(__cvta_generic_to_shared(at)); }
#endif

// d += a b: 16 x 16 by 16 x 8 numbers of sixteen bits, summed in f32 ("Matrix Fragments for mma.m16n8k16").
__device__ __forceinline__ void mma_f16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
#if defined(GPU_HOST_SHIM)
    shim_mma_f16(d, a, b0, b1);
#else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}
__device__ __forceinline__ void mma_bf16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
#if defined(GPU_HOST_SHIM)
    shim_mma_bf16(d, a, b0, b1);
#else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}
// d += a b: 16 x 8 by 8 x 8 of f32, of which the low 13 bits are left out ("Matrix Fragments for mma.m16n8k8").
__device__ __forceinline__ void mma_tf32(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
#if defined(GPU_HOST_SHIM)
    shim_mma_tf32(d, a, b0, b1);
#else
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}
// Four matrices of 8 x 8 numbers of sixteen bits out of shared memory. Lane l names row l % 8 (16 bytes, aligned to as many) of matrix
// l / 8, and gets the two numbers at row l / 4, columns l % 4 * 2 of each.
__device__ __forceinline__ void load_matrices(uint32_t (&to)[4], const void *row) {
#if defined(GPU_HOST_SHIM)
    shim_load_matrices(to, row, false);
#else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row))
                 : "memory");
#endif
}
// The same of each matrix transposed.
__device__ __forceinline__ void load_matrices_transposed(uint32_t (&to)[4], const void *row) {
#if defined(GPU_HOST_SHIM)
    shim_load_matrices(to, row, true);
#else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row))
                 : "memory");
#endif
}
// An f32 rounded to ten bits of fraction, half away from zero; the low 13 bits are then zero.
__device__ __forceinline__ uint32_t round_to_tf32(uint32_t bits) {
#if defined(GPU_HOST_SHIM)
    return shim_round_to_tf32(bits);
#else
    uint32_t rounded;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(__uint_as_float(bits)));
    return rounded;
#endif
}
// Copies from global to shared memory that go on while the thread does other work: `bytes` (up to 16 or 4), and zeros for the rest.
// Both addresses are multiples of 16, or of 4. What arrives is undefined until copies_wait, and for other threads until they
// have met behind that.
__device__ __forceinline__ void copy_16(void *to, const void *from, uint32_t bytes) {
#if defined(GPU_HOST_SHIM)
    shim_copy_async(to, from, 16, bytes);
#else
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(bytes) : "memory");
#endif
}
__device__ __forceinline__ void copy_4(void *to, const void *from, uint32_t bytes) {
#if defined(GPU_HOST_SHIM)
    shim_copy_async(to, from, 4, bytes);
#else
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(to)), "l"(from), "r"(bytes) : "memory");
#endif
}
// What this thread has begun to copy since it last called this becomes a group, which may be empty.
__device__ __forceinline__ void copies_group() {
#if defined(GPU_HOST_SHIM)
    shim_copies_group();
#else
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
// Waits until all of this thread's groups but the last LEFT have arrived.
template <int LEFT> __device__ __forceinline__ void copies_wait() {
#if defined(GPU_HOST_SHIM)
    shim_copies_wait(LEFT);
#else
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
#endif
}
