// Tests of kernels/boxes.cu.
#include "harness.h"

#include "boxes.cu"

#include <algorithm>
#include <numeric>

struct Settings {
    int64_t rows;
    int32_t classes, count, most;
    float iou;
    bool center, has_score;
    float score;
};

// Left, top, right, bottom, in double precision.
static std::vector<double> edges(const float *box, bool center) {
    if (center) return {box[0] - box[2] / 2.0, box[1] - box[3] / 2.0, box[0] + box[2] / 2.0, box[1] + box[3] / 2.0};
    return {std::min<double>(box[0], box[2]), std::min<double>(box[1], box[3]), std::max<double>(box[0], box[2]), std::max<double>(box[1], box[3])};
}
// Too small an area for single precision is none, as for ONNX Runtime.
static double area(const std::vector<double> &e) { return float((e[2] - e[0]) * (e[3] - e[1])); }
static double ratio(const std::vector<double> &a, const std::vector<double> &b) {
    const double width = std::min(a[2], b[2]) - std::max(a[0], b[0]), height = std::min(a[3], b[3]) - std::max(a[1], b[1]);
    if (width <= 0 || height <= 0 || area(a) <= 0 || area(b) <= 0) return 0;
    return width * height / (area(a) + area(b) - width * height);
}

// The reference takes boxes in the order of their scores, and drops what overlaps one that was taken.
static std::vector<double> reference(const Settings &s, const float *boxes, const float *scores) {
    std::vector<int32_t> order(size_t(s.count)), taken;
    std::iota(order.begin(), order.end(), 0);
    order.erase(std::remove_if(order.begin(), order.end(), [&](int32_t i) {
        return !(scores[i] > -INFINITY) || (s.has_score && !(scores[i] > s.score));
    }), order.end());
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return scores[a] > scores[b]; });
    std::vector<double> kept(size_t(s.count), -INFINITY);
    for (int32_t i : order) {
        if (int32_t(taken.size()) >= s.most) break;
        const auto own = edges(boxes + i * 4, s.center);
        if (std::any_of(taken.begin(), taken.end(), [&](int32_t other) { return ratio(own, edges(boxes + other * 4, s.center)) > s.iou; })) continue;
        taken.push_back(i);
        kept[size_t(i)] = scores[i];
    }
    return kept;
}

static void try_nms(const Settings &s, unsigned blocks, unsigned threads, const std::vector<float> &boxes, const std::vector<float> &scores) {
    context = std::to_string(s.count) + " boxes, " + std::to_string(threads) + " threads";
    Buffer<float> b(boxes.size(), 1), from(scores.size(), 1), to(scores.size(), 1), left(scores.size(), 1);
    std::copy(boxes.begin(), boxes.end(), b.data);
    std::copy(scores.begin(), scores.end(), from.data);
    run(nms_f32, blocks, threads, 0, NmsArgs{b.data, from.data, to.data, left.data, s.rows * s.classes, s.classes, s.count, s.most, s.has_score, s.center, s.iou, s.score, 0});
    for (int64_t group = 0; group < s.rows * s.classes; group++) {
        const auto expected = reference(s, boxes.data() + group / s.classes * s.count * 4, scores.data() + group * s.count);
        for (int32_t i = 0; i < s.count; i++) expect_close(to[size_t(group * s.count + i)], expected[size_t(i)], 0, 0, "to", group * s.count + i);
    }
}

// Boxes on a grid of quarters, so that no ratio is near the threshold by rounding alone; few scores, so that there are ties.
static void try_random(const Settings &s, unsigned blocks, unsigned threads) {
    Random random(uint64_t(s.count) * 3 + uint64_t(s.most));
    std::vector<float> boxes, scores;
    for (int64_t i = 0; i < s.rows * s.count; i++) {
        const double x = double(random.whole(0, 24)) / 4, y = double(random.whole(0, 24)) / 4, w = double(random.whole(0, 12)) / 4, h = double(random.whole(0, 12)) / 4;
        if (s.center) boxes.insert(boxes.end(), {float(x), float(y), float(w), float(h)});
        // Some name the other two corners.
        else if (i % 3 == 0) boxes.insert(boxes.end(), {float(x + w), float(y), float(x), float(y + h)});
        else boxes.insert(boxes.end(), {float(x), float(y), float(x + w), float(y + h)});
    }
    for (int64_t i = 0; i < s.rows * s.classes * s.count; i++) {
        const int64_t v = random.whole(-3, 12);
        scores.push_back(v == -3 ? NAN : v == -2 ? -INFINITY : float(v) / 10);
    }
    try_nms(s, blocks, threads, boxes, scores);
}

CASE(boxes_that_overlap_go) {
    for (bool center : {false, true}) for (bool has_score : {false, true}) {
        try_random({2, 3, 20, 20, 0.3f, center, has_score, 0.35f}, 2, 32);
        try_random({1, 2, 90, 90, 0.55f, center, has_score, 0.1f}, 5, 64);
        try_random({1, 1, 300, 7, 0.05f, center, has_score, 0.0f}, 1, 256);
    }
    try_random({3, 1, 1, 1, 0.5f, false, false, 0}, 1, 32);
    try_random({1, 4, 33, 0, 0.5f, false, false, 0}, 2, 64);
    try_random({2, 1, 40, 40, 1, false, false, 0}, 2, 64);
    try_random({2, 1, 40, 40, 0, false, false, 0}, 2, 64);
}
CASE(only_more_than_the_threshold_goes) {
    // Halves and thirds that are exact: 1/2 is not more than 1/2.
    const std::vector<float> boxes = {0, 0, 2, 2, 0, 0, 2, 1, 0, 0, 2, 1.25f};
    try_nms({1, 1, 3, 3, 0.5f, false, false, 0}, 1, 32, boxes, {0.9f, 0.8f, 0.7f});
    // A score at the limit does not count.
    try_nms({1, 1, 3, 3, 0.9f, false, true, 0.75f}, 1, 32, boxes, {0.9f, 0.75f, 0.7f});
}
CASE(boxes_whose_area_is_too_small_for_a_number_overlap_nothing) {
    const std::vector<float> boxes = {0, 0, 1e-30f, 1e-30f, 0, 0, 1e-30f, 1e-30f, 0, 0, 1e-30f, 2};
    try_nms({1, 1, 3, 3, 0, false, false, 0}, 1, 32, boxes, {0.9f, 0.8f, 0.7f});
}
CASE(a_box_is_taken_once_even_where_nothing_is_too_near) {
    const std::vector<float> boxes = {0, 0, 1, 1, 0, 0, 1, 1, 5, 5, 6, 6, 0, 0, 1, 1};
    for (int32_t most : {1, 2, 3}) try_nms({1, 1, 4, most, 1, false, false, 0}, 1, 64, boxes, {0.25f, 0.5f, 0.4f, 0.5f});
}
CASE(of_equal_scores_the_first_stays) {
    const std::vector<float> boxes = {0, 0, 1, 1, 0, 0, 1, 1, 5, 5, 6, 6, 0, 0, 1, 1};
    try_nms({1, 1, 4, 4, 0.5f, false, false, 0}, 1, 32, boxes, {0.5f, 0.5f, 0.5f, 0.5f});
    try_nms({1, 1, 4, 1, 0.5f, false, false, 0}, 1, 32, boxes, {0.25f, 0.5f, 0.5f, 0.5f});
}
