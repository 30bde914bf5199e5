// What each kernel takes: one struct by value, so that a launch is a name, a grid and some bytes.
//
// The engine writes the same bytes field by field, with C's alignment. No struct has hidden padding: where C would add
// some, a field `pad` says so, and `static_assert`s below hold the sizes. Pointers are device addresses. Counts are elements
// unless a name says bytes. A count of zero is allowed: the kernel then does nothing.
//
// How a kernel is launched (grid, block, dynamic shared memory) stands at the head of its .cu file.
#pragma once

#if defined(GPU_HOST_SHIM)
#include "host_shim.h"
#elif defined(__CUDACC_RTC__)
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#else
#include <stdint.h>
#endif

// Element types, as the plan numbers them. Booleans are one byte, 0 or 1.
enum Type : int32_t {
    TYPE_F32 = 0, TYPE_F16 = 1, TYPE_BF16 = 2, TYPE_F64 = 3, TYPE_I32 = 4, TYPE_I64 = 5, TYPE_U8 = 6,
    TYPE_BOOL = 7, TYPE_I8 = 8, TYPE_U32 = 9, TYPE_U64 = 10, TYPE_I16 = 11, TYPE_U16 = 12
};

constexpr int MAX_RANK = 6;

// ---- pointwise.cu: a chain of elementwise operators as a small program, run once for each element of the output shape.
// Registers hold the kernel's compute type: `pointwise_f32` takes f32, f16, bf16, bool, and every integer type whose values
// fit; `pointwise_f64` takes any type; `pointwise_i64` takes every integer type and bool, wraps around, and stores the low bits.
// Registers 0..inputs-1 are loaded first. An operator writes register `to` from registers `a`, `b`, `c` and its constants.
// Comparisons and logic give 1 or 0; anything but 0 is true. Operators that make no sense for integers give 0 in `pointwise_i64`.
// `Instruction.constant` of an i64 program holds the bits of an int64_t.
enum Op : uint8_t {
    OP_ADD = 0, OP_SUB = 1, OP_MUL = 2,
    OP_DIV = 3,             // integers: towards zero, by zero gives 0
    OP_POW = 4,
    OP_MOD = 5,             // sign of the divisor; integers: by zero gives 0
    OP_FMOD = 6,            // sign of the dividend
    OP_MIN = 7, OP_MAX = 8, // NaN wins
    OP_EQ = 9, OP_LT = 10, OP_LE = 11, OP_GT = 12, OP_GE = 13, OP_NE = 14,
    OP_AND = 15, OP_OR = 16, OP_XOR = 17, OP_NOT = 18,
    OP_WHERE = 19,          // a != 0 ? b : c
    OP_NEG = 20, OP_ABS = 21, OP_SIGN = 22, OP_CEIL = 23, OP_FLOOR = 24,
    OP_ROUND = 25,          // half to even
    OP_TRUNC = 26,
    OP_SQRT = 27, OP_RECIPROCAL = 28, OP_EXP = 29, OP_LOG = 30, OP_SIN = 31, OP_COS = 32, OP_TAN = 33,
    OP_ASIN = 34, OP_ACOS = 35, OP_ATAN = 36, OP_SINH = 37, OP_COSH = 38, OP_TANH = 39,
    OP_ASINH = 40, OP_ACOSH = 41, OP_ATANH = 42, OP_ERF = 43,
    OP_RELU = 44,
    OP_LEAKY_RELU = 45,     // constant = alpha
    OP_ELU = 46,            // constant = alpha
    OP_SELU = 47,           // constant = alpha, constant2 = gamma
    OP_CELU = 48,           // constant = alpha
    OP_SIGMOID = 49,
    OP_HARD_SIGMOID = 50,   // constant = alpha, constant2 = beta
    OP_HARD_SWISH = 51, OP_SOFTPLUS = 52, OP_SOFTSIGN = 53,
    OP_THRESHOLDED_RELU = 54, // constant = alpha: x > alpha ? x : 0
    OP_MISH = 55,
    OP_SWISH = 56,          // x * sigmoid(constant * x)
    OP_GELU = 57,           // exact, by erf
    OP_GELU_TANH = 58,
    OP_CLIP = 59,           // to constant..constant2; NaN stays
    OP_IS_NAN = 60,
    OP_IS_INF = 61,         // constant: 1 = negative, 2 = positive, 3 = both
    OP_CONSTANT = 62, OP_COPY = 63,
    OP_BIT_AND = 64, OP_BIT_OR = 65, OP_BIT_XOR = 66, OP_BIT_NOT = 67, // pointwise_i64 only, and the shifts
    OP_SHIFT_LEFT = 68, OP_SHIFT_RIGHT = 69,                           // right: logical, of the low `constant` bits (0: 64)
    OP_INV_SQRT_2ERF = 70,  // sqrt(2) * erfinv(2 a - 1), probit, by the approximation that ONNX Runtime uses
    OP_COUNT = 71
};
struct Instruction {
    uint8_t op, to, a, b;
    uint8_t c, pad[3];
    double constant, constant2;
};
constexpr int MAX_POINTWISE_INPUTS = 8, MAX_POINTWISE_OUTPUTS = 4, MAX_INSTRUCTIONS = 24, POINTWISE_REGISTERS = 16;
struct Operand {
    void *data;
    int32_t type;             // Type of the stored elements; float to integer truncates and saturates, NaN gives 0
    int32_t stride[MAX_RANK]; // in elements, outermost first; 0 = broadcast
    int32_t pad;
};
struct PointwiseArgs {
    int64_t count; // elements of the output shape
    int32_t rank, inputs, outputs, instructions;
    int32_t size[MAX_RANK];                // outermost first; dimensions that can be joined have been joined
    uint8_t result[MAX_POINTWISE_OUTPUTS]; // register of each output
    int32_t pad;
    Operand in[MAX_POINTWISE_INPUTS], out[MAX_POINTWISE_OUTPUTS];
    Instruction program[MAX_INSTRUCTIONS];
};

// ---- convert.cu: `convert`: element types where no arithmetic happens (e.g. i64 <-> f64 exactly). Narrower floats round to
// nearest even; float to integer truncates and saturates, NaN gives 0; integer to narrower integer keeps the low bits;
// anything to bool is x != 0.
struct ConvertArgs {
    const void *from;
    void *to;
    int64_t count;
    int32_t from_type, to_type;
};

// ---- move.cu: `move`: Transpose, Slice, Expand, Split, Concat, Tile, Pad's interior: strided copies of 1, 2, 4 or 8 byte
// elements. Strides are in elements and may be negative or zero; offsets are in the pointers.
struct MoveArgs {
    const void *from;
    void *to;
    int64_t count;
    int32_t rank, bytes; // bytes of an element
    int32_t size[MAX_RANK];
    int64_t from_stride[MAX_RANK], to_stride[MAX_RANK];
};
// `fill`: a pattern of `bytes` (1, 2, 4 or 8), `count` times.
struct FillArgs {
    void *to;
    int64_t count;
    uint64_t pattern;
    int32_t bytes, pad;
};
// `pad`: mode 1 = edge, 2 = reflect, 3 = wrap (constant mode is fill and move). Dense tensors. `before` may be negative
// (cropping). Whoever launches makes sure that no dimension of `from_size` is zero.
struct PadArgs {
    const void *from;
    void *to;
    int64_t count; // elements of `to`
    int32_t rank, bytes, mode, pad;
    int32_t from_size[MAX_RANK], to_size[MAX_RANK], before[MAX_RANK];
};

// ---- gather.cu: `gather`: to[o, i, n] = from[o, index[i], n]. Negative indices count from the end. An index out of range
// sets *fault to 1 + i (the largest such i, at most 2^31 - 1), reads nothing and writes zero. `index_type` is i32 or i64.
struct GatherArgs {
    const void *from, *index;
    void *to;
    int32_t *fault;
    int64_t outer, axis, indices, inner;
    int32_t bytes, index_type;
};
// `gather_elements`: to[o, j, n] = from[o, index[o, j, n], n], where o and n count the index's own dimensions around the axis:
// a `from` that is larger in them is cut first (`move`). *fault is 1 + the offset in the index.
struct GatherElementsArgs {
    const void *from, *index;
    void *to;
    int32_t *fault;
    int64_t outer, from_axis, to_axis, inner;
    int32_t bytes, index_type;
};
// `gather_nd`: `depth` indices select a slice of `slice` elements; batch dimensions are folded into `batches`.
// to[b, t, s] = from[b * from_batch + sum over d of index[b, t, d] * stride[d] + s].
struct GatherNdArgs {
    const void *from, *index;
    void *to;
    int32_t *fault;
    int64_t batches, tuples, slice, from_batch;
    int32_t depth, bytes, index_type, pad;
    int64_t size[MAX_RANK], stride[MAX_RANK];
};
// `one_hot`: to[o, d, n] = index[o, n] == d ? on : off. Negative indices count from the end; any other gives a row of `off`.
// off_on: two elements. bytes = of the values. `index_type` may also be f32 (truncated).
struct OneHotArgs {
    const void *index, *off_on;
    void *to;
    int64_t outer, depth, inner;
    int32_t index_type, bytes;
};

// ---- reduce.cu: `reduce_f32` (f32, f16, bf16), `reduce_f64` (f64), `reduce_i64` (integers, bool): over strided dimensions.
// The output is dense and of the input's type.
enum ReduceKind : int32_t {
    REDUCE_SUM = 0, REDUCE_MEAN = 1, REDUCE_MAX = 2, REDUCE_MIN = 3, REDUCE_PROD = 4, REDUCE_SUM_SQUARE = 5,
    REDUCE_L1 = 6, REDUCE_L2 = 7, REDUCE_LOG_SUM = 8, REDUCE_LOG_SUM_EXP = 9
};
struct ReduceArgs {
    const void *from;
    void *to;
    int64_t outputs, reduced;
    int32_t type, kind, kept_rank, reduced_rank;
    int32_t kept_size[MAX_RANK], reduced_size[MAX_RANK];
    int64_t kept_stride[MAX_RANK], reduced_stride[MAX_RANK];
};
// ---- order.cu: `arg_reduce`: to[o, n] = index of the largest (smallest: min = 1) of from[o, :, n]; of equal ones the first,
// or the last where last = 1. A NaN wins over every number, the first NaN over the others. All types.
struct ArgReduceArgs {
    const void *from;
    int64_t *to;
    int64_t outer, axis, inner;
    int32_t type, min, last, pad;
};
// `top_k`: values[o, :, n] and indices[o, :, n] are the k largest (smallest = 1: smallest) of from[o, :, n], sorted; equal ones by
// lower index; NaN counts as the largest. `k` <= `axis` <= 4096. Either output may be null. All types.
struct TopKArgs {
    const void *from;
    void *values;
    int64_t *indices;
    int64_t outer, axis, inner;
    int32_t k, type, smallest, pad;
};
// `cum_sum` along the axis of [outer, axis, inner]. f32, f64, i32, i64, f16.
struct CumSumArgs {
    const void *from;
    void *to;
    int64_t outer, axis, inner;
    int32_t type, exclusive, reverse, pad;
};

// ---- softmax.cu: `softmax` (f32, f16, bf16, f64) over the axis of [outer, axis, inner]; log = 1: log-softmax. With a mask (may be
// null) x becomes scale * x + mask[row, axis position], of the same type, where row = o / mask_repeat, modulo mask_rows unless
// that is 0; without one, scale * x.
struct SoftmaxArgs {
    const void *from, *mask;
    void *to;
    int64_t outer, axis, inner, mask_repeat;
    float scale;
    int32_t type, log, mask_rows;
};

// ---- norm.cu: `layer_norm`: y = (z - mean) / sqrt(variance + epsilon) * gamma + beta over rows of `columns`, where
// z = x + skip + bias; simplified = 1: z / sqrt(mean of z^2 + epsilon) * gamma. `sum` takes z. skip, bias, beta, sum may be null.
// The skip of a row is row % skip_rows. f32, f16, bf16, f64; all of one type.
struct LayerNormArgs {
    const void *from, *skip, *bias, *gamma, *beta;
    void *to, *sum;
    int64_t rows, columns, skip_rows;
    double epsilon;
    int32_t type, simplified;
};
// `lp_normalize`: x / norm along the axis of [outer, axis, inner]; kind 0 = largest, 1 = L1, 2 = L2. A norm of zero leaves x as it is
// (zero = 0), or gives 0 (zero = 1). f32, f64, f16.
struct LpNormalizeArgs {
    const void *from;
    void *to;
    int64_t outer, axis, inner;
    int32_t type, kind, zero, pad;
};

#include "args_products.cuh"
// ---- pool.cu: `pool_f32`: kind 0 = max, 1 = average (count_pad = 1: padding counts; cells beyond the padding, as with
// ceil_mode, never do). NCHW; planes = N * C. `indices` (max only) may be null: offsets into the whole input.
struct PoolArgs {
    const float *x;
    float *y;
    int64_t *indices;
    int32_t planes, height, width, out_height, out_width, kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left;
    int32_t dilation_h, dilation_w, kind, count_pad, pad_bottom, pad_right, pad; // pad_bottom and pad_right: for count_pad
};
// `resample_f32`: one axis of [outer, axis, inner]: to[o, j, n] = sum over t of weight[j, t] * from[o, index[j, t], n].
// Resize of any mode is one of these per axis. Indices are within 0..from_axis: the plan wrote them.
struct ResampleArgs {
    const float *from;
    float *to;
    const int32_t *index;
    const float *weight;
    int64_t outer, from_axis, to_axis, inner;
    int32_t taps, pad;
};

// ---- rnn.cu: the cell of one time step, after the GEMMs. Gates are [batch, 4 * hidden] in ONNX's order i, o, f, c.
// `lstm_cell_f32`: gate = x_gates (with both biases) + h_gates; c' = f*c + i*g; h' = o*tanh(c'). peephole [3 * hidden] (i, o, f) and
// lengths may be null: rows whose length <= time keep h and c and give y = 0. h, c: [batch, hidden], rewritten in place.
// x_row: elements between rows of x_gates; h_gates is dense. y may be null.
struct LstmCellArgs {
    const float *x_gates, *h_gates, *peephole;
    const int32_t *lengths;
    float *h, *c, *y;
    int32_t batch, hidden, time, pad;
    int64_t x_row, y_row;
};
// `gru_cell_f32`: gates z, r, h: [batch, 3 * hidden]. x_gates has W's biases and Rb of z and r; h_gates = H R^T without Rb.
// linear_before_reset = 1, one launch (kind 1): h~ = tanh(x_h + r * (h_gates_h + rb)). = 0, two launches with a GEMM between:
// kind 0 writes r * h into rh; kind 1 takes h_gates_h as (r * h) R_h^T and finishes. rb [hidden] (of h; may be null) is added
// to h_gates_h in both. H' = (1 - z) * h~ + z * H. lengths, y, x_row, y_row as in lstm_cell_f32.
struct GruCellArgs {
    const float *x_gates, *h_gates, *rb;
    const int32_t *lengths;
    float *h, *rh, *y;
    int32_t batch, hidden, time, linear_before_reset, kind, pad;
    int64_t x_row, y_row;
};

// ---- trees.cu: `trees_f32`, `trees_f64`: x [rows, columns] -> y [rows, targets], the leaves' weights aggregated over the trees in
// order. aggregate: 0 sum, 1 average (divided by `trees`), 2 min, 3 max (of the leaves met; 0 where none was); then base (may be
// null) is added. trees_f32 takes and gives f32 and adds in f32; trees_f64 f64.
// A node: mode bits 0-2: 0 <=, 1 <, 2 >=, 3 >, 4 ==, 5 !=; bit 3: NaN goes to the `yes` side; bit 4: a leaf, whose part of the leaf
// table is yes..no. A NaN without bit 3 compares as IEEE says.
constexpr int32_t NODE_MISSING_YES = 8, NODE_LEAF = 16;
constexpr int32_t TREES_ROWS_STAGED = 1, TREES_SUMS_STAGED = 2;
struct TreeNode32 {
    float threshold;
    int32_t feature, yes, no, mode;
};
struct TreeNode64 {
    double threshold;
    int32_t feature, yes, no, mode;
};
struct TreeLeaf {
    int32_t target;
    float weight32;
    double weight;
};
struct TreesArgs {
    const void *x;
    void *y;
    const void *nodes;
    const TreeLeaf *leaves;
    const int32_t *roots; // node of each tree
    const double *base;   // [targets]
    int64_t rows;
    int32_t columns, targets, trees, aggregate, rows_per_block;
    int32_t staging; // TREES_ROWS_STAGED, TREES_SUMS_STAGED: what the launch has shared memory for
};
// ---- labels.cu: `class_scores`: ai.onnx.ml post_transform on [rows, classes]: 0 none, 1 softmax, 2 logistic, 3 softmax_zero, 4 probit.
// binary = 1: `from` is [rows, 1], `to` [rows, 2] = (1 - s, s), no transform. binary = 2: logistic(-s), logistic(s) where
// transform = 2, else (-s, s). (These are ONNX Runtime's "positive" and "mixed" weights.) f32, f64.
struct ClassScoresArgs {
    const void *from;
    void *to;
    int64_t rows;
    int32_t classes, transform, binary, type;
};
// `map_i64`, `map_f32`: LabelEncoder and class labels on numbers: the value beside the equal key, by binary search in ascending keys
// of the kernel's type (a NaN key comes last); `fallback` (bits of a value) where there is none. `from_type`: map_i64 any integer,
// map_f32 f32 or f64 (rounded to f32). `to_type` only says how wide a value is.
struct MapArgs {
    const void *from;
    void *to;
    const void *keys, *values;
    int64_t count;
    int32_t entries, from_type, to_type, pad;
    uint64_t fallback;
};

#include "args_boxes.cuh"
// ---- canary.cu: `canary`: to[i] = i * 2654435761 ^ seed, modulo 2^32; readiness runs it.
struct CanaryArgs {
    uint32_t *to;
    uint32_t count, seed;
};

// Every kernel with its struct. The fake driver and the tests make their tables of it.
#define FOREBAY_KERNELS(X)                                                                                                   \
    X(canary, CanaryArgs) X(move, MoveArgs) X(fill, FillArgs) X(pad, PadArgs) X(pointwise_f32, PointwiseArgs)                \
    X(pointwise_f64, PointwiseArgs) X(pointwise_i64, PointwiseArgs) X(convert, ConvertArgs) X(gather, GatherArgs)            \
    X(gather_elements, GatherElementsArgs) X(gather_nd, GatherNdArgs) X(one_hot, OneHotArgs) X(reduce_f32, ReduceArgs)       \
    X(reduce_f64, ReduceArgs) X(reduce_i64, ReduceArgs) X(arg_reduce, ArgReduceArgs) X(top_k, TopKArgs)                      \
    X(cum_sum, CumSumArgs) X(softmax, SoftmaxArgs) X(layer_norm, LayerNormArgs) X(lp_normalize, LpNormalizeArgs)             \
    X(gemm_f32, GemmArgs) X(gemm_f64, GemmArgs) X(gemm_f16, GemmArgs) X(gemm_bf16, GemmArgs) X(gemm_tf32, GemmArgs)          \
    X(gemm_f16_large, GemmArgs) X(gemm_bf16_large, GemmArgs) X(gemm_tf32_large, GemmArgs) X(conv_f32, ConvArgs)              \
    X(conv_direct_f32, ConvArgs) X(conv_transpose_f32, ConvArgs) X(conv_f16, ConvArgs) X(conv_bf16, ConvArgs)                \
    X(conv_tf32, ConvArgs) X(conv_f16_large, ConvArgs) X(conv_bf16_large, ConvArgs) X(conv_tf32_large, ConvArgs)             \
    X(pool_f32, PoolArgs) X(resample_f32, ResampleArgs) X(lstm_cell_f32, LstmCellArgs) X(gru_cell_f32, GruCellArgs)          \
    X(trees_f32, TreesArgs) X(trees_f64, TreesArgs) X(class_scores, ClassScoresArgs) X(map_i64, MapArgs)                     \
    X(map_f32, MapArgs) X(nms_f32, NmsArgs)

static_assert(sizeof(void *) == 8, "the engine writes addresses as 8 bytes");
static_assert(sizeof(Instruction) == 24 && sizeof(Operand) == 40, "");
static_assert(sizeof(PointwiseArgs) == 56 + 40 * 12 + 24 * 24, "");
static_assert(sizeof(ConvertArgs) == 32 && sizeof(MoveArgs) == 152 && sizeof(FillArgs) == 32 && sizeof(PadArgs) == 112, "");
static_assert(sizeof(GatherArgs) == 72 && sizeof(GatherElementsArgs) == 72 && sizeof(GatherNdArgs) == 176, "");
static_assert(sizeof(OneHotArgs) == 56 && sizeof(ReduceArgs) == 192 && sizeof(ArgReduceArgs) == 56, "");
static_assert(sizeof(TopKArgs) == 64 && sizeof(CumSumArgs) == 56 && sizeof(SoftmaxArgs) == 72, "");
static_assert(sizeof(LayerNormArgs) == 96 && sizeof(LpNormalizeArgs) == 56 && sizeof(GemmArgs) == 192, "");
static_assert(sizeof(ConvArgs) == 128 && sizeof(PoolArgs) == 96 && sizeof(ResampleArgs) == 72, "");
static_assert(sizeof(LstmCellArgs) == 88 && sizeof(GruCellArgs) == 96, "");
static_assert(sizeof(TreeNode32) == 20 && sizeof(TreeNode64) == 24 && sizeof(TreeLeaf) == 16 && sizeof(TreesArgs) == 80, "");
static_assert(sizeof(NmsArgs) == 72 && sizeof(ClassScoresArgs) == 40 && sizeof(MapArgs) == 64 && sizeof(CanaryArgs) == 16, "");
