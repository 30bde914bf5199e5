// class_scores: what ai.onnx.ml does to a classifier's scores at the end; map_i64, map_f32: numbers by a table.
//
// Launch of class_scores: any grid, block 256, no shared memory; one dimension, a thread for a row.
// Launch of map_i64, map_f32: any grid, block 256, no shared memory; one dimension, grid-stride over `count`.
#include "common.cuh"
#include "operators.cuh"

// Softmax; with `zero`, a score of zero (nearly) counts as e^-largest and not in the sum, as ONNX Runtime has it.
template <class T> __device__ __forceinline__ void softmax_of(const T *from, T *to, int32_t classes, bool zero) {
    T largest = from[0];
    for (int32_t c = 1; c < classes; c++) largest = Max()(largest, from[c]);
    const T of_zero = exp(-largest);
    T sum = 0;
    for (int32_t c = 0; c < classes; c++) {
        const T x = from[c];
        if (zero && fabs(x) <= T(0.0000001f)) {
            to[c] = x * of_zero;
        } else {
            to[c] = exp(x - largest);
            sum += to[c];
        }
    }
    for (int32_t c = 0; c < classes; c++) to[c] /= sum;
}
template <class T> __device__ __forceinline__ void score_rows(const ClassScoresArgs &args) {
    for (int64_t row = first_of_thread(); row < args.rows; row += grid_step()) {
        const T *from = static_cast<const T *>(args.from) + row * (args.binary ? 1 : args.classes);
        T *to = static_cast<T *>(args.to) + row * (args.binary ? 2 : args.classes);
        if (args.binary) {
            const T s = from[0];
            const bool logistic = args.binary == 2 && args.transform == 2;
            to[0] = args.binary == 1 ? T(1) - s : logistic ? sigmoid(-s) : -s;
            to[1] = logistic ? sigmoid(s) : s;
        } else if (args.transform == 1 || args.transform == 3) {
            softmax_of(from, to, args.classes, args.transform == 3);
        } else {
            for (int32_t c = 0; c < args.classes; c++)
                to[c] = args.transform == 2 ? sigmoid(from[c]) : args.transform == 4 ? probit(from[c]) : from[c];
        }
    }
}
extern "C" __global__ void __launch_bounds__(256) class_scores(const __grid_constant__ ClassScoresArgs args) {
    if (args.type == TYPE_F64) score_rows<double>(args);
    else score_rows<float>(args);
}

__device__ __forceinline__ int32_t bytes_of(int32_t type) {
    switch (type) {
    case TYPE_F64: case TYPE_I64: case TYPE_U64: return 8;
    case TYPE_F32: case TYPE_I32: case TYPE_U32: return 4;
    case TYPE_U8: case TYPE_I8: case TYPE_BOOL: return 1;
    default: return 2;
    }
}
// Numbers in order, NaN behind them all.
template <class K> __device__ __forceinline__ bool less(K a, K b) { return a < b || (a == a && b != b); }

template <class K> __device__ __forceinline__ void map_all(const MapArgs &args) {
    const K *keys = static_cast<const K *>(args.keys);
    const int32_t bytes = bytes_of(args.to_type);
    for (int64_t i = first_of_thread(); i < args.count; i += grid_step()) {
        const K key = load<K>(args.from, i, args.from_type);
        int32_t low = 0, high = args.entries; // the first key that is not less lies in low..=high
        while (low < high) {
            const int32_t middle = low + (high - low) / 2;
            if (less(keys[middle], key)) low = middle + 1;
            else high = middle;
        }
        const bool found = low < args.entries && !less(key, keys[low]);
        store_bits(args.to, i, bytes, found ? load_bits(args.values, low, bytes) : args.fallback);
    }
}
extern "C" __global__ void __launch_bounds__(256) map_i64(const __grid_constant__ MapArgs args) { map_all<int64_t>(args); }
extern "C" __global__ void __launch_bounds__(256) map_f32(const __grid_constant__ MapArgs args) { map_all<float>(args); }
