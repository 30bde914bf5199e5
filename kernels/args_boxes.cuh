// A part of args.cuh: what kernels on boxes take.
#pragma once

// ---- boxes.cu: `nms_f32`: non-maximum suppression in each of [rows, classes] (`groups` = rows * classes): `to` [rows, classes, count] has
// the scores of boxes that stay, and -inf for those that go. `left` is memory of the same size. At most `most` stay in each group.
// has_score = 1: only scores above `score` count. center = 1: boxes are x, y, width, height; else two corners.
struct NmsArgs {
    const float *boxes;  // [rows, count, 4]
    const float *scores; // [rows, classes, count]
    float *to, *left;
    int64_t groups;
    int32_t classes, count, most, has_score, center;
    float iou, score;
    int32_t pad;
};
