// reduce_f32 (f32, f16, bf16), reduce_f64, reduce_i64 (integers and bool): sums, means, extremes, norms over any dimensions.
//
// A warp works on an output where at most 1024 elements go into it, else the whole block. Partial results are joined in a
// fixed order, so the result does not depend on who comes first. Sums of floats are compensated (Kahan, 1965), so that a
// thread that adds up many elements loses no more than one that adds up few. LogSumExp subtracts the largest value first.
//
// Launch: any grid, block 256, no dynamic shared memory; one dimension, outputs in strides of the grid: 8 outputs a block
// where reduced <= 1024, else 1.
#include "common.cuh"

// Where an element lies: index `i` of dense dimensions, by strides.
__device__ __forceinline__ int64_t offset_of(int64_t i, int32_t rank, const int32_t *size, const int64_t *stride) {
    int64_t at = 0;
#pragma unroll
    for (int d = MAX_RANK - 1; d >= 0; d--)
        if (d < rank) at += int64_t(take_index(i, size[d])) * stride[d];
    return at;
}

template <class C> struct Arithmetic {
    __device__ static __forceinline__ C lowest() { return C(-INFINITY); }
    __device__ static __forceinline__ C largest() { return C(INFINITY); }
    __device__ static __forceinline__ C magnitude(C x) { return fabs(x); }
};
template <> struct Arithmetic<int64_t> {
    __device__ static __forceinline__ int64_t lowest() { return lowest_integer<int64_t>(); }
    __device__ static __forceinline__ int64_t largest() { return largest_integer<int64_t>(); }
    __device__ static __forceinline__ int64_t magnitude(int64_t x) { return x < 0 ? int64_t(0 - uint64_t(x)) : x; }
};

// What a thread adds up.
template <class C> struct Adder {
    C sum = C(0), lost = C(0);
    __device__ __forceinline__ void add(C x) {
        const C y = x - lost, t = sum + y;
        lost = (t - sum) - y;
        if (lost != lost || t - t != C(0)) lost = C(0); // an infinity has no rounding error
        sum = t;
    }
};
template <> struct Adder<int64_t> {
    int64_t sum = 0;
    __device__ __forceinline__ void add(int64_t x) { sum = Sum()(sum, x); }
};

// The threads that work on one output: a warp, or the block.
template <class C> struct Team {
    unsigned first, step; // this thread's first element, and the distance to its next
    C *scratch;           // null: a warp
    template <class F> __device__ __forceinline__ C joined(C v, F f) const { return scratch ? block_reduce(v, f, scratch) : warp_reduce(v, f); }
};

template <class C> __device__ __forceinline__ C reduce_one(const ReduceArgs &args, int64_t start, const Team<C> &team) {
    using A = Arithmetic<C>;
    auto at = [&](int64_t i) {
        return load<C>(args.from, start + offset_of(i, args.reduced_rank, args.reduced_size, args.reduced_stride), args.type);
    };
    if (args.kind == REDUCE_MAX || args.kind == REDUCE_MIN || args.kind == REDUCE_PROD) {
        C v = args.kind == REDUCE_MAX ? A::lowest() : args.kind == REDUCE_MIN ? A::largest() : C(1);
        for (int64_t i = team.first; i < args.reduced; i += team.step) {
            const C x = at(i);
            v = args.kind == REDUCE_MAX ? Max()(v, x) : args.kind == REDUCE_MIN ? Min()(v, x) : Product()(v, x);
        }
        if (args.kind == REDUCE_MAX) return team.joined(v, Max());
        if (args.kind == REDUCE_MIN) return team.joined(v, Min());
        return team.joined(v, Product());
    }
    return team.joined([&] {
        Adder<C> adder;
        for (int64_t i = team.first; i < args.reduced; i += team.step) {
            const C x = at(i);
            adder.add(args.kind == REDUCE_SUM_SQUARE || args.kind == REDUCE_L2 ? Product()(x, x)
                      : args.kind == REDUCE_L1                                 ? A::magnitude(x)
                                                                               : x);
        }
        return adder.sum;
    }(), Sum());
}

// What is done with the sum at the end.
template <class C> __device__ __forceinline__ C finish(const ReduceArgs &args, C v) {
    switch (args.kind) {
    case REDUCE_MEAN: return v / C(args.reduced);
    case REDUCE_L2: return sqrt(v);
    case REDUCE_LOG_SUM: return log(v);
    default: return v;
    }
}
template <> __device__ __forceinline__ int64_t finish(const ReduceArgs &args, int64_t v) {
    switch (args.kind) {
    case REDUCE_MEAN: return args.reduced ? v / args.reduced : 0;
    case REDUCE_L2: return int64_t(sqrt(double(v)));
    case REDUCE_LOG_SUM: case REDUCE_LOG_SUM_EXP: return FromFloat<int64_t, double>::of(log(double(v)));
    default: return v;
    }
}
// log(sum of e^x) = largest + log(sum of e^(x - largest)).
template <class C> __device__ __forceinline__ C log_sum_exp(ReduceArgs args, int64_t start, const Team<C> &team) {
    args.kind = REDUCE_MAX;
    C largest = reduce_one(args, start, team);
    const C shift = largest - largest != C(0) ? C(0) : largest; // an infinity cannot be subtracted
    Adder<C> adder;
    for (int64_t i = team.first; i < args.reduced; i += team.step)
        adder.add(exp(load<C>(args.from, start + offset_of(i, args.reduced_rank, args.reduced_size, args.reduced_stride), args.type) - shift));
    return shift + log(team.joined(adder.sum, Sum()));
}
template <> __device__ __forceinline__ int64_t log_sum_exp(ReduceArgs args, int64_t start, const Team<int64_t> &team) {
    double sum = 0;
    for (int64_t i = 0; i < args.reduced; i++)
        sum += exp(double(load<int64_t>(args.from, start + offset_of(i, args.reduced_rank, args.reduced_size, args.reduced_stride), args.type)));
    (void)team;
    return FromFloat<int64_t, double>::of(log(sum));
}

template <class C> __device__ __forceinline__ void reduce_all(const ReduceArgs &args, C *scratch) {
    const bool by_warp = args.reduced <= 1024;
    const unsigned warps = blockDim.x / 32;
    const int64_t first = by_warp ? int64_t(blockIdx.x) * warps + threadIdx.x / 32 : blockIdx.x;
    const int64_t step = by_warp ? int64_t(gridDim.x) * warps : gridDim.x;
    const Team<C> team = by_warp ? Team<C>{threadIdx.x % 32, 32, nullptr} : Team<C>{threadIdx.x, blockDim.x, scratch};
    for (int64_t output = first; output < args.outputs; output += step) {
        const int64_t start = offset_of(output, args.kept_rank, args.kept_size, args.kept_stride);
        const C v = args.kind == REDUCE_LOG_SUM_EXP ? log_sum_exp<C>(args, start, team) : finish<C>(args, reduce_one(args, start, team));
        if (team.first == 0) store<C>(args.to, output, args.type, v);
    }
}

extern "C" __global__ void __launch_bounds__(256) reduce_f32(const __grid_constant__ ReduceArgs args) {
    __shared__ float scratch[8];
    reduce_all<float>(args, scratch);
}
extern "C" __global__ void __launch_bounds__(256) reduce_f64(const __grid_constant__ ReduceArgs args) {
    __shared__ double scratch[8];
    reduce_all<double>(args, scratch);
}
extern "C" __global__ void __launch_bounds__(256) reduce_i64(const __grid_constant__ ReduceArgs args) {
    __shared__ int64_t scratch[8];
    reduce_all<int64_t>(args, scratch);
}
