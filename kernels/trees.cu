// trees_f32, trees_f64: ensembles of decision trees (random forests, boosted trees).
//
// A block takes `rows_per_block` rows at a time and copies them to shared memory (as RAPIDS' Forest Inference Library does);
// its threads are pairs (row, group), and group g walks the trees g, g + groups, ... for its row, adding the leaves' weights up
// in sums of its own. The groups' sums are then added in order, so the result does not depend on who comes first.
//
// Launch: any grid; blocks take rows in strides of the grid. Block: a multiple of 32 and of `rows_per_block`, at most 256; groups =
// block / rows_per_block. Dynamic shared memory, with w = 4 (trees_f32) or 8:
//   TREES_ROWS_STAGED: rows_per_block * (columns | 1) * w bytes; without it rows are read where they are;
//   TREES_SUMS_STAGED: block * targets * w bytes; without it there must be one group (rows_per_block = block), and sums lie in y.
#include "common.cuh"

__device__ __forceinline__ float weight_of(const TreeLeaf &leaf, float) { return leaf.weight32; }
__device__ __forceinline__ double weight_of(const TreeLeaf &leaf, double) { return leaf.weight; }

// For min and max, NaN stands for "no leaf yet".
template <class T> __device__ __forceinline__ T join(int32_t aggregate, T sum, T value) {
    if (aggregate <= 1) return sum + value;
    if (value != value) return sum;
    if (sum != sum) return value;
    return aggregate == 2 ? (value < sum ? value : sum) : (value > sum ? value : sum);
}
template <class T> __device__ __forceinline__ bool goes_yes(T x, T threshold, int32_t mode) {
    if ((mode & NODE_MISSING_YES) && x != x) return true;
    switch (mode & 7) {
    case 0: return x <= threshold;
    case 1: return x < threshold;
    case 2: return x >= threshold;
    case 3: return x > threshold;
    case 4: return x == threshold;
    default: return x != threshold;
    }
}
// Walks one tree and adds its leaf to the sums, which lie `step` apart.
template <class T, class Node>
__device__ __forceinline__ void walk(const TreesArgs &args, int32_t tree, const T *row, T *sums, int64_t step) {
    const Node *nodes = static_cast<const Node *>(args.nodes);
    Node node = nodes[args.roots[tree]];
    while (!(node.mode & NODE_LEAF)) node = nodes[goes_yes(row[node.feature], node.threshold, node.mode) ? node.yes : node.no];
    for (int32_t l = node.yes; l < node.no; l++) {
        const TreeLeaf leaf = args.leaves[l];
        T &sum = sums[leaf.target * step];
        sum = join(args.aggregate, sum, weight_of(leaf, T()));
    }
}

template <class T, class Node> __device__ __forceinline__ void run_trees(const TreesArgs &args, T *shared) {
    const int32_t rows = args.rows_per_block, groups = int32_t(blockDim.x) / rows, line = args.columns | 1;
    const int32_t r = int32_t(threadIdx.x) % rows, group = int32_t(threadIdx.x) / rows;
    const bool rows_staged = args.staging & TREES_ROWS_STAGED, sums_staged = args.staging & TREES_SUMS_STAGED;
    const T *x = static_cast<const T *>(args.x);
    T *y = static_cast<T *>(args.y);
    T *all_sums = shared + (rows_staged ? rows * line : 0);
    const T start = args.aggregate <= 1 ? T(0) : T(NAN);
    for (int64_t first = int64_t(blockIdx.x) * rows; first < args.rows; first += int64_t(gridDim.x) * rows) {
        const int32_t here = int32_t(args.rows - first < rows ? args.rows - first : rows);
        if (rows_staged)
            for (int32_t i = int32_t(threadIdx.x); i < here * args.columns; i += int32_t(blockDim.x))
                shared[i / args.columns * line + i % args.columns] = x[first * args.columns + i];
        __syncthreads();
        if (r < here) {
            const T *row = rows_staged ? shared + r * line : x + (first + r) * args.columns;
            T *sums = sums_staged ? all_sums + int64_t(group) * args.targets * rows + r : y + (first + r) * args.targets;
            const int64_t step = sums_staged ? rows : 1;
            for (int32_t t = 0; t < args.targets; t++) sums[t * step] = start;
            for (int32_t tree = group; tree < args.trees; tree += groups) walk<T, Node>(args, tree, row, sums, step);
        }
        __syncthreads();
        for (int32_t i = int32_t(threadIdx.x); i < here * args.targets; i += int32_t(blockDim.x)) {
            const int32_t of_row = i / args.targets, target = i % args.targets;
            T sum = start;
            if (sums_staged)
                for (int32_t g = 0; g < groups; g++) sum = join(args.aggregate, sum, all_sums[(int64_t(g) * args.targets + target) * rows + of_row]);
            else
                sum = y[(first + of_row) * args.targets + target];
            if (args.aggregate == 1) sum /= T(args.trees);
            if (sum != sum && args.aggregate > 1) sum = T(0);
            y[(first + of_row) * args.targets + target] = args.base ? sum + T(args.base[target]) : sum;
        }
        __syncthreads(); // before the next rows are staged
    }
}

extern "C" __global__ void __launch_bounds__(256) trees_f32(const __grid_constant__ TreesArgs args) {
    SHARED_DYN(float, shared);
    run_trees<float, TreeNode32>(args, shared);
}
extern "C" __global__ void __launch_bounds__(256) trees_f64(const __grid_constant__ TreesArgs args) {
    SHARED_DYN(double, shared);
    run_trees<double, TreeNode64>(args, shared);
}
