// What the fake driver must see, each as a case: `check NAME`. The program does what none may do, and ends well where
// the driver answered as it should; what was a violation is in the fake's report.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "args.cuh"

extern "C" {
int cuInit(unsigned);
int cuMemAlloc_v2(uint64_t *, size_t);
int cuMemFree_v2(uint64_t);
int cuMemHostAlloc(void **, size_t, unsigned);
int cuMemFreeHost(void *);
int cuMemcpyHtoDAsync_v2(uint64_t, const void *, size_t, void *);
int cuMemcpyDtoHAsync_v2(void *, uint64_t, size_t, void *);
int cuMemsetD8Async(uint64_t, unsigned char, size_t, void *);
int cuStreamCreateWithPriority(void **, unsigned, int);
int cuStreamDestroy_v2(void *);
int cuStreamSynchronize(void *);
int cuStreamWaitEvent(void *, void *, unsigned);
int cuStreamBeginCapture_v2(void *, int);
int cuStreamEndCapture(void *, void **);
int cuEventCreate(void **, unsigned);
int cuEventDestroy_v2(void *);
int cuEventRecord(void *, void *);
int cuEventQuery(void *);
int cuModuleLoadData(void **, const void *);
int cuModuleGetFunction(void **, void *, const char *);
int cuLaunchKernel(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **);
int cuGraphInstantiateWithFlags(void **, void *, unsigned long long);
int cuGraphLaunch(void *, void *);
int cuGraphExecDestroy(void *);
size_t forebay_args_size(const char *);
int cuDevicePrimaryCtxRetain(void **, int);
int cuCtxSetCurrent(void *);
int cublasLtCreate(void **);
int cublasLtMatmulDescCreate(void **, int, int);
int cublasLtMatmulDescDestroy(void *);
int cublasLtMatmulDescSetAttribute(void *, int, const void *, size_t);
int cublasLtMatrixLayoutCreate(void **, int, uint64_t, uint64_t, int64_t);
int cublasLtMatmulPreferenceCreate(void **);
int cublasLtMatmulPreferenceSetAttribute(void *, int, const void *, size_t);
int cublasLtMatmulAlgoGetHeuristic(void *, void *, void *, void *, void *, void *, void *, int, void *, int *);
int cublasLtMatmulAlgoCheck(void *, void *, void *, void *, void *, void *, const void *, void *);
int cublasLtMatmul(void *, void *, const float *, uint64_t, void *, uint64_t, void *, const float *, uint64_t, void *, uint64_t, void *,
                   const void *, uint64_t, size_t, void *);
int cudnnCreate(void **);
int cudnnSetStream(void *, void *);
int cudnnCreateTensorDescriptor(void **);
int cudnnDestroyTensorDescriptor(void *);
int cudnnSetTensor4dDescriptor(void *, int, int, int, int, int, int);
int cudnnCreateFilterDescriptor(void **);
int cudnnSetFilter4dDescriptor(void *, int, int, int, int, int, int);
int cudnnCreateConvolutionDescriptor(void **);
int cudnnSetConvolution2dDescriptor(void *, int, int, int, int, int, int, int, int);
int cudnnSetConvolutionGroupCount(void *, int);
int cudnnSetConvolutionMathType(void *, int);
int cudnnConvolutionForward(void *, const float *, void *, uint64_t, void *, uint64_t, void *, int, uint64_t, size_t, const float *, void *,
                            uint64_t);
}

static int failures = 0;
#define EXPECT(call, wanted)                                                                                                 \
    do {                                                                                                                     \
        long got = long(call);                                                                                               \
        if (got != long(wanted)) failures++, printf("line %d: %s is %ld, not %ld\n", __LINE__, #call, got, long(wanted));    \
    } while (0)

static void *stream, *other;
static uint64_t memory; // 252 bytes: the last four of 256 are not ours
static char *pinned;    // 256 bytes
constexpr size_t BYTES = 252;

alignas(8) static const char IMAGE[] = "\x50\xED\x55\xBA";
static void *kernel(const char *name) {
    void *module = nullptr, *function = nullptr;
    EXPECT(cuModuleLoadData(&module, IMAGE), 0);
    EXPECT(cuModuleGetFunction(&function, module, name), 0);
    return function;
}
// Writes the canary's pattern: `count` numbers of four bytes.
static int canary(uint64_t to, uint32_t count, unsigned shared = 0) {
    CanaryArgs args = {reinterpret_cast<uint32_t *>(to), count, 0};
    void *params[] = {&args};
    return cuLaunchKernel(kernel("canary"), 1, 1, 1, 64, 1, 1, shared, stream, params, nullptr);
}

static void fresh_memory_is_no_zeros() {
    unsigned char bytes[BYTES];
    EXPECT(cuMemcpyDtoHAsync_v2(bytes, memory, BYTES, stream), 0);
    for (unsigned char byte : bytes) EXPECT(byte, 0xFF);
}
static void work_waits() {
    EXPECT(cuMemsetD8Async(memory, 7, 1, stream), 0);
    EXPECT(*reinterpret_cast<unsigned char *>(memory), 0xFF); // nothing has run
    EXPECT(cuStreamSynchronize(stream), 0);
    EXPECT(*reinterpret_cast<unsigned char *>(memory), 7);
}
static void pageable_copies_are_staged_and_pinned_are_not() {
    char pageable = 1;
    pinned[0] = 1;
    EXPECT(cuMemcpyHtoDAsync_v2(memory, &pageable, 1, stream), 0);
    EXPECT(cuMemcpyHtoDAsync_v2(memory + 1, pinned, 1, stream), 0);
    pageable = pinned[0] = 2;
    EXPECT(cuStreamSynchronize(stream), 0);
    EXPECT(*reinterpret_cast<char *>(memory), 1);
    EXPECT(*reinterpret_cast<char *>(memory + 1), 2);
}
static void copy_outside() {
    EXPECT(cuMemcpyHtoDAsync_v2(memory, pinned, BYTES + 1, stream), 0);
    EXPECT(cuStreamSynchronize(stream), 999);
    EXPECT(cuMemsetD8Async(memory, 0, 1, stream), 999); // everything fails from then on
}
static void pinned_freed_too_early() {
    EXPECT(cuMemcpyHtoDAsync_v2(memory, pinned, 4, stream), 0);
    EXPECT(cuMemFreeHost(pinned), 0);
    EXPECT(cuStreamSynchronize(stream), 999);
}
static void freed_twice() {
    EXPECT(cuMemFree_v2(memory), 0);
    EXPECT(cuMemFree_v2(memory), 999);
}
static void freed_is_not_a_beginning() { EXPECT(cuMemFree_v2(memory + 4), 999); }
static void kernel_on_freed_memory() {
    EXPECT(cuMemFree_v2(memory), 0);
    EXPECT(canary(memory, 1), 0);
    EXPECT(cuStreamSynchronize(stream), 700);
}
static void kernel_far_outside() {
    EXPECT(canary(memory, 65), 0);
    EXPECT(cuStreamSynchronize(stream), 700);
}
static void kernel_just_outside() {
    EXPECT(canary(memory, 64), 0); // 256 bytes into 252
    EXPECT(cuStreamSynchronize(stream), 0);
    EXPECT(cuMemFree_v2(memory), 999);
}
static void kernel_on_nothing() {
    EXPECT(canary(0, 1), 0);
    EXPECT(cuStreamSynchronize(stream), 700);
}
static void stream_after_its_end() {
    EXPECT(cuStreamDestroy_v2(stream), 0);
    EXPECT(cuMemsetD8Async(memory, 0, 1, stream), 999);
}
static void event_after_its_end() {
    void *event;
    EXPECT(cuEventCreate(&event, 2), 0);
    EXPECT(cuEventRecord(event, stream), 0);
    EXPECT(cuStreamWaitEvent(other, event, 0), 0); // who waits already still gets it
    EXPECT(cuEventDestroy_v2(event), 0);
    EXPECT(cuStreamSynchronize(other), 0);
    EXPECT(cuEventQuery(event), 999);
}
static void launches_that_no_device_takes() {
    EXPECT(canary(memory, 1, 48 * 1024), 0);
    EXPECT(canary(memory, 1, 48 * 1024 + 1), 1);
    void *module, *function;
    EXPECT(cuModuleLoadData(&module, "not kernels"), 200);
    EXPECT(cuModuleLoadData(&module, IMAGE), 0);
    EXPECT(cuModuleGetFunction(&function, module, "no_such_kernel"), 500);
    EXPECT(forebay_args_size("canary"), sizeof(CanaryArgs));
    EXPECT(forebay_args_size("no_such_kernel"), 0);
}
static void *graph_of_a_fill() {
    void *graph = nullptr, *executable = nullptr;
    EXPECT(cuStreamBeginCapture_v2(stream, 1), 0);
    EXPECT(cuMemsetD8Async(memory, 9, 1, stream), 0);
    EXPECT(cuStreamEndCapture(stream, &graph), 0);
    EXPECT(cuGraphInstantiateWithFlags(&executable, graph, 0), 0);
    return executable;
}
static void graphs_run_when_launched() {
    void *graph = graph_of_a_fill();
    EXPECT(cuStreamSynchronize(stream), 0);
    EXPECT(*reinterpret_cast<unsigned char *>(memory), 0xFF);
    EXPECT(cuGraphLaunch(graph, other), 0); // on any stream
    EXPECT(cuStreamSynchronize(other), 0);
    EXPECT(*reinterpret_cast<unsigned char *>(memory), 9);
    EXPECT(cuGraphExecDestroy(graph), 0);
}
static void graph_gone_while_it_runs() {
    void *graph = graph_of_a_fill();
    EXPECT(cuGraphLaunch(graph, stream), 0);
    EXPECT(cuGraphExecDestroy(graph), 999);
}
static void graph_of_memory_that_is_gone() {
    void *graph = graph_of_a_fill();
    EXPECT(cuMemFree_v2(memory), 0);
    EXPECT(cuGraphLaunch(graph, stream), 0);
    EXPECT(cuStreamSynchronize(stream), 999);
}
static void recording_is_broken_by_what_may_not_be() {
    void *graph, *event;
    uint64_t more;
    EXPECT(cuEventCreate(&event, 2), 0);
    EXPECT(cuStreamBeginCapture_v2(stream, 1), 0);
    EXPECT(cuMemAlloc_v2(&more, 1), 900);
    EXPECT(cuStreamEndCapture(stream, &graph), 901);
    EXPECT(cuStreamBeginCapture_v2(stream, 1), 0);
    EXPECT(cuStreamWaitEvent(stream, event, 0), 905);
    EXPECT(cuStreamEndCapture(stream, &graph), 901);
    EXPECT(cuStreamEndCapture(stream, &graph), 903);
}

// D = A B, each 3 by 3, by columns, with room for 16 bytes between A, B and D.
struct Product {
    void *handle = nullptr, *desc = nullptr, *layout = nullptr, *preference = nullptr;
    unsigned alignment = 16;
    uint64_t algorithms[4][12]; // 96 bytes each
    int found = 0;
    explicit Product(int64_t leading = 3) {
        void *context;
        EXPECT(cuDevicePrimaryCtxRetain(&context, 0), 0);
        EXPECT(cuCtxSetCurrent(context), 0);
        EXPECT(cublasLtCreate(&handle), 0);
        EXPECT(cublasLtMatmulDescCreate(&desc, 68, 0), 0);
        EXPECT(cublasLtMatrixLayoutCreate(&layout, 0, 3, 3, leading), 0);
        EXPECT(cublasLtMatmulPreferenceCreate(&preference), 0);
    }
    int find() {
        for (int attribute = 5; attribute <= 8; attribute++)
            EXPECT(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &alignment, sizeof alignment), 0);
        return cublasLtMatmulAlgoGetHeuristic(handle, desc, layout, layout, layout, layout, preference, 4, algorithms, &found);
    }
    int run(uint64_t d, const void *algorithm) {
        const float one = 1, zero = 0;
        return cublasLtMatmul(handle, desc, &one, memory, layout, memory + 48, layout, &zero, d, layout, d, layout, algorithm, 0, 0, stream);
    }
};
static void products_are_by_columns() {
    float a[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, b[9] = {1, 0, 0, 0, 1, 0, 2, 0, 1}, d[9];
    EXPECT(cuMemcpyHtoDAsync_v2(memory, a, sizeof a, stream), 0);
    EXPECT(cuMemcpyHtoDAsync_v2(memory + 48, b, sizeof b, stream), 0);
    Product product;
    EXPECT(product.find(), 0);
    EXPECT(product.found, 1); // the others want a workspace
    EXPECT(product.run(memory + 96, product.algorithms[0]), 0);
    EXPECT(cuMemcpyDtoHAsync_v2(d, memory + 96, sizeof d, stream), 0);
    const float wanted[9] = {1, 2, 3, 4, 5, 6, 9, 12, 15};
    for (int i = 0; i < 9; i++) EXPECT(d[i], wanted[i]);
}
static void product_out_of_its_memory() {
    Product product;
    EXPECT(product.find(), 0);
    EXPECT(product.run(memory + 224, product.algorithms[0]), 0);
    EXPECT(cuStreamSynchronize(stream), 999);
}
static void product_less_aligned_than_was_said() {
    Product product;
    product.alignment = 64;
    EXPECT(product.find(), 0);
    EXPECT(product.run(memory + 96, product.algorithms[0]), 7);
}
static void product_with_a_bias_less_aligned_than_before() {
    const unsigned bias = 4;
    uint64_t at = memory + 192;
    Product product;
    EXPECT(cublasLtMatmulDescSetAttribute(product.desc, 7, &bias, sizeof bias), 0);
    EXPECT(cublasLtMatmulDescSetAttribute(product.desc, 8, &at, sizeof at), 0);
    EXPECT(product.find(), 0);
    at += 4;
    EXPECT(cublasLtMatmulDescSetAttribute(product.desc, 8, &at, sizeof at), 0);
    EXPECT(product.run(memory + 96, product.algorithms[0]), 7);
}
static void algorithm_of_another_product() {
    Product product, wider(4);
    EXPECT(wider.find(), 0);
    EXPECT(product.run(memory + 96, wider.algorithms[0]), 7);
    uint64_t result[12];
    EXPECT(cublasLtMatmulAlgoCheck(product.handle, product.desc, product.layout, product.layout, product.layout, product.layout,
                                   wider.algorithms[0], result), 7);
}
static void products_that_nvidia_has_not() {
    void *half, *row;
    EXPECT(cublasLtMatrixLayoutCreate(&half, 2, 3, 3, 4), 0);
    EXPECT(cublasLtMatrixLayoutCreate(&row, 0, 3, 1, 3), 0);
    Product product;
    auto find = [&](void *a, void *d) {
        return cublasLtMatmulAlgoGetHeuristic(product.handle, product.desc, a, product.layout, product.layout, d, product.preference, 4,
                                              product.algorithms, &product.found);
    };
    EXPECT(find(half, product.layout), 15); // two types
    EXPECT(find(product.layout, row), 7);   // shapes that do not fit
    const unsigned odd = 3, bias = 4;
    EXPECT(cublasLtMatmulDescSetAttribute(product.desc, 7, &odd, sizeof odd), 0);
    EXPECT(find(product.layout, product.layout), 15);
    EXPECT(cublasLtMatmulDescSetAttribute(product.desc, 7, &bias, sizeof bias), 0);
    EXPECT(find(product.layout, product.layout), 7); // no place is named
    EXPECT(cublasLtMatmulDescSetAttribute(product.desc, 7, &bias, 8), 7);
}
static void product_recorded_before_it_ran() {
    void *graph;
    Product product;
    EXPECT(product.find(), 0);
    EXPECT(cuStreamBeginCapture_v2(stream, 1), 0);
    EXPECT(product.run(memory + 96, product.algorithms[0]), 13);
    EXPECT(cuStreamEndCapture(stream, &graph), 901);
    EXPECT(product.run(memory + 96, product.algorithms[0]), 0);
    EXPECT(cuStreamBeginCapture_v2(stream, 1), 0);
    EXPECT(product.run(memory + 96, product.algorithms[0]), 0);
    EXPECT(cuStreamEndCapture(stream, &graph), 0);
}
static void descriptor_after_its_end() {
    Product product;
    EXPECT(cublasLtMatmulDescDestroy(product.desc), 0);
    EXPECT(product.find(), 7);
}

// A picture of 4 by 4 and a filter of 3 by 3, with 16 bytes for the result behind them.
struct Filtering {
    void *handle = nullptr, *x = nullptr, *w = nullptr, *windows = nullptr, *y = nullptr;
    Filtering() {
        void *context;
        EXPECT(cuDevicePrimaryCtxRetain(&context, 0), 0);
        EXPECT(cuCtxSetCurrent(context), 0);
        EXPECT(cudnnCreate(&handle), 0);
        EXPECT(cudnnSetStream(handle, stream), 0);
        EXPECT(cudnnCreateTensorDescriptor(&x), 0);
        EXPECT(cudnnSetTensor4dDescriptor(x, 0, 0, 1, 1, 4, 4), 0);
        EXPECT(cudnnCreateTensorDescriptor(&y), 0);
        EXPECT(cudnnSetTensor4dDescriptor(y, 0, 0, 1, 1, 2, 2), 0);
        EXPECT(cudnnCreateFilterDescriptor(&w), 0);
        EXPECT(cudnnSetFilter4dDescriptor(w, 0, 0, 1, 1, 3, 3), 0);
        EXPECT(cudnnCreateConvolutionDescriptor(&windows), 0);
        EXPECT(cudnnSetConvolution2dDescriptor(windows, 0, 0, 1, 1, 1, 1, 1, 0), 0);
        EXPECT(cudnnSetConvolutionMathType(windows, 3), 0);
    }
    int run(uint64_t to, int method = 0) {
        const float one = 1, zero = 0;
        return cudnnConvolutionForward(handle, &one, x, memory, w, memory + 64, windows, method, 0, 0, &zero, y, to);
    }
};
static void convolutions_are_correlations() {
    float x[16], w[9] = {0, 1, 0, 0, 0, 2, 0, 0, 0}, y[4];
    for (int i = 0; i < 16; i++) x[i] = float(i);
    EXPECT(cuMemcpyHtoDAsync_v2(memory, x, sizeof x, stream), 0);
    EXPECT(cuMemcpyHtoDAsync_v2(memory + 64, w, sizeof w, stream), 0);
    Filtering filtering;
    EXPECT(filtering.run(memory + 112), 0);
    EXPECT(cuMemcpyDtoHAsync_v2(y, memory + 112, sizeof y, stream), 0);
    const float wanted[4] = {13, 16, 25, 28}; // the one above the middle, and twice the one to its right
    for (int i = 0; i < 4; i++) EXPECT(y[i], wanted[i]);
}
static void convolution_out_of_its_memory() {
    Filtering filtering;
    EXPECT(filtering.run(memory + 240), 0);
    EXPECT(cuStreamSynchronize(stream), 999);
}
static void convolution_that_is_not_aligned() {
    Filtering filtering;
    EXPECT(filtering.run(memory + 116), 2003);
}
static void convolution_on_no_stream() {
    Filtering filtering;
    EXPECT(cudnnCreate(&filtering.handle), 0);
    EXPECT(filtering.run(memory + 112), 2000);
}
static void convolutions_that_nvidia_has_not() {
    Filtering filtering;
    EXPECT(filtering.run(memory + 112, 5), 3000);
    EXPECT(filtering.run(memory + 112, 1), 2000); // without the workspace that it needs
    EXPECT(cudnnSetTensor4dDescriptor(filtering.y, 1, 0, 1, 1, 2, 2), 0);
    EXPECT(filtering.run(memory + 112), 3000); // two orders
    EXPECT(cudnnSetTensor4dDescriptor(filtering.y, 0, 2, 1, 1, 2, 2), 0);
    EXPECT(filtering.run(memory + 112), 3000); // two types
    EXPECT(cudnnSetTensor4dDescriptor(filtering.y, 0, 0, 1, 1, 3, 2), 0);
    EXPECT(filtering.run(memory + 112), 2000); // as many results as windows have places
    EXPECT(cudnnSetTensor4dDescriptor(filtering.y, 0, 0, 1, 1, 2, 2), 0);
    EXPECT(cudnnSetConvolutionGroupCount(filtering.windows, 2), 0);
    EXPECT(filtering.run(memory + 112), 2000);
}
static void convolution_recorded_before_it_ran() {
    void *graph;
    Filtering filtering;
    EXPECT(cuStreamBeginCapture_v2(stream, 1), 0);
    EXPECT(filtering.run(memory + 112), 5000);
    EXPECT(cuStreamEndCapture(stream, &graph), 901);
    EXPECT(filtering.run(memory + 112), 0);
    EXPECT(cuStreamBeginCapture_v2(stream, 1), 0);
    EXPECT(filtering.run(memory + 112), 0);
    EXPECT(cuStreamEndCapture(stream, &graph), 0);
}
static void picture_after_its_end() {
    Filtering filtering;
    EXPECT(cudnnDestroyTensorDescriptor(filtering.x), 0);
    EXPECT(filtering.run(memory + 112), 2000);
}
static void picture_of_which_nothing_is_said() {
    Filtering filtering;
    EXPECT(cudnnCreateTensorDescriptor(&filtering.x), 0);
    EXPECT(filtering.run(memory + 112), 2000);
}

#define NAMED(name) {#name, name}
static const struct { const char *name; void (*run)(); } CASES[] = {
    NAMED(fresh_memory_is_no_zeros), NAMED(work_waits), NAMED(pageable_copies_are_staged_and_pinned_are_not),
    NAMED(copy_outside), NAMED(pinned_freed_too_early), NAMED(freed_twice), NAMED(freed_is_not_a_beginning),
    NAMED(kernel_on_freed_memory), NAMED(kernel_far_outside), NAMED(kernel_just_outside), NAMED(kernel_on_nothing),
    NAMED(stream_after_its_end), NAMED(event_after_its_end), NAMED(launches_that_no_device_takes),
    NAMED(graphs_run_when_launched), NAMED(graph_gone_while_it_runs), NAMED(graph_of_memory_that_is_gone),
    NAMED(recording_is_broken_by_what_may_not_be), NAMED(products_are_by_columns), NAMED(product_out_of_its_memory),
    NAMED(product_less_aligned_than_was_said), NAMED(product_with_a_bias_less_aligned_than_before), NAMED(algorithm_of_another_product), NAMED(products_that_nvidia_has_not),
    NAMED(product_recorded_before_it_ran), NAMED(descriptor_after_its_end), NAMED(convolutions_are_correlations),
    NAMED(convolution_out_of_its_memory), NAMED(convolution_that_is_not_aligned), NAMED(convolution_on_no_stream),
    NAMED(convolutions_that_nvidia_has_not), NAMED(convolution_recorded_before_it_ran), NAMED(picture_after_its_end),
    NAMED(picture_of_which_nothing_is_said),
};

int main(int count, char **words) {
    if (count < 2) { // the names, for whoever runs them
        for (auto &one : CASES) puts(one.name);
        return 0;
    }
    for (auto &one : CASES) {
        if (strcmp(one.name, words[1])) continue;
        EXPECT(cuInit(0), 0);
        EXPECT(cuStreamCreateWithPriority(&stream, 1, 0), 0);
        EXPECT(cuStreamCreateWithPriority(&other, 1, 0), 0);
        EXPECT(cuMemAlloc_v2(&memory, BYTES), 0);
        EXPECT(cuMemHostAlloc(reinterpret_cast<void **>(&pinned), 256, 0), 0);
        one.run();
        return failures > 0;
    }
    return 2;
}
