// nms_f32: which boxes stay when those that overlap a better one of their class go (ONNX's NonMaxSuppression, greedy).
//
// It does not give a list, whose length nobody knows beforehand, but the scores again: -inf where a box went. A score of -inf or
// NaN counts as none at all.
//
// Launch: grid of up to rows * classes blocks, block 256, no dynamic shared memory; a block works on the boxes of one class.
#include "common.cuh"

struct Corners { float left, top, right, bottom; };

// As ONNX Runtime computes them, operation by operation: a compiler that joins products and sums would move boxes over the
// threshold.
__device__ __forceinline__ Corners corners_of(const float *box, bool center) {
    if (center) {
        const float half_width = __fmul_rn(box[2], 0.5f), half_height = __fmul_rn(box[3], 0.5f);
        return {__fsub_rn(box[0], half_width), __fsub_rn(box[1], half_height), __fadd_rn(box[0], half_width), __fadd_rn(box[1], half_height)};
    }
    return {fminf(box[0], box[2]), fminf(box[1], box[3]), fmaxf(box[0], box[2]), fmaxf(box[1], box[3])};
}
__device__ __forceinline__ float area_of(Corners c) { return __fmul_rn(__fsub_rn(c.right, c.left), __fsub_rn(c.bottom, c.top)); }

// Whether the overlap of two boxes is more than this part of both together.
__device__ __forceinline__ bool overlap(Corners a, Corners b, float iou) {
    const float left = fmaxf(a.left, b.left), right = fminf(a.right, b.right);
    const float top = fmaxf(a.top, b.top), bottom = fminf(a.bottom, b.bottom);
    if (right <= left || bottom <= top) return false;
    const float both = area_of({left, top, right, bottom}), first = area_of(a), second = area_of(b);
    const float all = __fsub_rn(__fadd_rn(first, second), both);
    if (both <= 0 || first <= 0 || second <= 0 || all <= 0) return false;
    return __fdiv_rn(both, all) > iou;
}

struct Best { float score; int32_t place; };
// Of equal scores the first box is taken.
struct Better {
    __device__ __forceinline__ bool operator()(Best a, Best b) const {
        return a.place >= 0 && (b.place < 0 || a.score > b.score || (a.score == b.score && a.place < b.place));
    }
};

extern "C" __global__ void __launch_bounds__(256) nms_f32(const __grid_constant__ NmsArgs args) {
    __shared__ float scores_of_warps[8];
    __shared__ int32_t places_of_warps[8];
    const Better better;
    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    for (int64_t group = blockIdx.x; group < args.groups; group += gridDim.x) {
        const float *boxes = args.boxes + group / args.classes * args.count * 4, *scores = args.scores + group * args.count;
        float *left = args.left + group * args.count, *to = args.to + group * args.count;
        // Each thread looks after boxes of its own: nobody else touches their places in `left` and `to`.
        for (int32_t i = int32_t(threadIdx.x); i < args.count; i += int32_t(blockDim.x)) {
            const bool counts = !args.has_score || scores[i] > args.score;
            left[i] = counts && scores[i] > -INFINITY ? scores[i] : -INFINITY;
            to[i] = -INFINITY;
        }
        Best last{0, -1};
        for (int32_t n = 0; n < args.most; n++) {
            Corners taken{};
            if (last.place >= 0) taken = corners_of(boxes + int64_t(last.place) * 4, args.center);
            Best best{0, -1};
            for (int32_t i = int32_t(threadIdx.x); i < args.count; i += int32_t(blockDim.x)) {
                if (!(left[i] > -INFINITY)) continue;
                if (last.place >= 0 && overlap(taken, corners_of(boxes + int64_t(i) * 4, args.center), args.iou)) {
                    left[i] = -INFINITY;
                    continue;
                }
                const Best own{left[i], i};
                if (better(own, best)) best = own;
            }
#pragma unroll
            for (int distance = 16; distance > 0; distance >>= 1) {
                const Best other{__shfl_xor_sync(FULL_WARP, best.score, distance), __shfl_xor_sync(FULL_WARP, best.place, distance)};
                if (better(other, best)) best = other;
            }
            if (lane == 0) {
                scores_of_warps[warp] = best.score;
                places_of_warps[warp] = best.place;
            }
            __syncthreads();
            best = {scores_of_warps[0], places_of_warps[0]};
            for (unsigned w = 1; w < warps; w++) {
                const Best other{scores_of_warps[w], places_of_warps[w]};
                if (better(other, best)) best = other;
            }
            __syncthreads(); // nobody may write the next best while some still read
            if (best.place < 0) break; // for all threads alike
            if (best.place % int32_t(blockDim.x) == int32_t(threadIdx.x)) {
                to[best.place] = best.score;
                left[best.place] = -INFINITY;
            }
            last = best;
        }
    }
}
