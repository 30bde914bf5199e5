// Tests of kernels/trees.cu.
#include "harness.h"

#include "trees.cu"

template <class T> struct Of;
template <> struct Of<float> {
    using Node = TreeNode32;
    static constexpr auto kernel = trees_f32;
};
template <> struct Of<double> {
    using Node = TreeNode64;
    static constexpr auto kernel = trees_f64;
};

template <class T> struct Forest {
    std::vector<typename Of<T>::Node> nodes;
    std::vector<TreeLeaf> leaves;
    std::vector<int32_t> roots;
    int32_t columns, targets, modes; // modes: 0-5 = this one, 6 = any
    Random random{11};

    int32_t grow(int depth) {
        const int32_t at = int32_t(nodes.size());
        nodes.push_back({});
        if (depth == 0 || (depth < 3 && random.whole(0, 3) == 0)) {
            const int32_t first = int32_t(leaves.size()), count = int32_t(random.whole(0, 2));
            for (int32_t i = 0; i < count; i++) {
                const double weight = random.real(-1, 2);
                leaves.push_back({int32_t(random.whole(0, targets - 1)), float(weight), weight});
            }
            nodes[size_t(at)] = {0, 0, first, first + count, NODE_LEAF};
            return at;
        }
        const int32_t mode = (modes < 6 ? modes : int32_t(random.whole(0, 5))) | (random.whole(0, 1) ? NODE_MISSING_YES : 0);
        const int32_t yes = grow(depth - 1), no = grow(depth - 1);
        nodes[size_t(at)] = {T(random.whole(-4, 4)), int32_t(random.whole(0, columns - 1)), yes, no, mode};
        return at;
    }
    // The sums of a row, written as the operator's definition has it.
    std::vector<double> of(const T *row, int32_t aggregate, const double *base) const {
        std::vector<double> sums(size_t(targets), 0);
        std::vector<bool> met(size_t(targets), false);
        for (int32_t root : roots) {
            auto node = nodes[size_t(root)];
            while (!(node.mode & NODE_LEAF)) {
                const double x = row[node.feature], t = node.threshold;
                const bool compared[] = {x <= t, x < t, x >= t, x > t, x == t, x != t};
                const bool yes = compared[node.mode & 7] || (x != x && (node.mode & NODE_MISSING_YES));
                node = nodes[size_t(yes ? node.yes : node.no)];
            }
            for (int32_t l = node.yes; l < node.no; l++) {
                const TreeLeaf &leaf = leaves[size_t(l)];
                const size_t t = size_t(leaf.target);
                const double w = sizeof(T) == 4 ? double(leaf.weight32) : leaf.weight;
                sums[t] = !met[t] ? w : aggregate <= 1 ? sums[t] + w : aggregate == 2 ? fmin(sums[t], w) : fmax(sums[t], w);
                met[t] = true;
            }
        }
        for (size_t t = 0; t < sums.size(); t++) sums[t] = (aggregate == 1 ? sums[t] / double(roots.size()) : sums[t]) + (base ? base[t] : 0);
        return sums;
    }
};

struct Shape {
    int64_t rows;
    int32_t columns, targets, trees, aggregate, rows_per_block, block, staging, modes;
    bool base;
    unsigned grid;
};
template <class T> static void try_trees(const Shape &s) {
    context = "aggregate " + std::to_string(s.aggregate) + ", staging " + std::to_string(s.staging) + ", mode " + std::to_string(s.modes);
    Forest<T> forest{{}, {}, {}, s.columns, s.targets, s.modes};
    for (int32_t t = 0; t < s.trees; t++) forest.roots.push_back(forest.grow(t % 5));
    Random random(size_t(s.rows));
    Buffer<T> x(size_t(s.rows * s.columns), 1), y(size_t(s.rows * s.targets), 1);
    // On a threshold, between two, or no number.
    for (size_t i = 0; i < x.size; i++) x[i] = random.whole(0, 7) == 0 ? T(NAN) : T(double(random.whole(-10, 10)) / 2);
    Buffer<typename Of<T>::Node> nodes(forest.nodes.size());
    Buffer<TreeLeaf> leaves(forest.leaves.size());
    Buffer<int32_t> roots(forest.roots.size());
    Buffer<double> base(size_t(s.targets));
    std::copy(forest.nodes.begin(), forest.nodes.end(), nodes.data);
    std::copy(forest.leaves.begin(), forest.leaves.end(), leaves.data);
    std::copy(forest.roots.begin(), forest.roots.end(), roots.data);
    for (size_t t = 0; t < base.size; t++) base[t] = 0.25 + double(t);
    size_t shared = 0;
    if (s.staging & TREES_ROWS_STAGED) shared += size_t(s.rows_per_block * (s.columns | 1)) * sizeof(T);
    if (s.staging & TREES_SUMS_STAGED) shared += size_t(s.block * s.targets) * sizeof(T);
    run(Of<T>::kernel, s.grid, unsigned(s.block), shared,
        TreesArgs{x.data, y.data, nodes.data, leaves.data, roots.data, s.base ? base.data : nullptr, s.rows, s.columns, s.targets, s.trees,
                  s.aggregate, s.rows_per_block, s.staging});
    for (int64_t r = 0; r < s.rows; r++) {
        const std::vector<double> expected = forest.of(&x[size_t(r * s.columns)], s.aggregate, s.base ? base.data : nullptr);
        for (int32_t t = 0; t < s.targets; t++)
            expect_close(y[size_t(r * s.targets + t)], expected[size_t(t)], 8 * precision<T>(), 40 * precision<T>(), "y", r * s.targets + t);
    }
}

CASE(every_way_of_staging) {
    for (int32_t aggregate : {0, 1, 2, 3}) {
        try_trees<float>({37, 6, 3, 20, aggregate, 8, 64, 3, 6, true, 2});
        try_trees<float>({37, 5, 1, 20, aggregate, 32, 128, 2, 6, false, 1});
        try_trees<double>({37, 6, 2, 9, aggregate, 16, 32, 3, 6, true, 2});
        try_trees<float>({70, 4, 3, 9, aggregate, 64, 64, 1, 6, true, 1});
        try_trees<double>({70, 4, 3, 9, aggregate, 32, 32, 0, 6, false, 2});
    }
}
CASE(every_comparison) {
    for (int32_t mode = 0; mode < 6; mode++) {
        try_trees<float>({50, 3, 1, 12, 0, 32, 64, 3, mode, false, 1});
        try_trees<double>({50, 3, 1, 12, 0, 32, 64, 3, mode, false, 1});
    }
}
CASE(fewer_rows_and_trees_than_threads) {
    try_trees<float>({1, 3, 2, 1, 0, 4, 256, 3, 6, true, 3});
    try_trees<float>({0, 3, 2, 1, 0, 4, 64, 3, 6, true, 1});
    try_trees<float>({3, 1, 1, 40, 3, 1, 32, 3, 6, true, 1});
}
