"""Writes the cases of the steps for images, sequences, boxes, text and sound. `pip install -r requirements.txt`, then run it (`make_tensors.py nms`
writes one file): same versions, same bytes."""

import math
import sys

import librosa
import numpy as np
import PIL
import torch
import torchvision
from PIL import Image, ImageOps
from torchvision.transforms import v2

from sheets import case, tensor, write

PILLOW = f"Pillow {PIL.__version__}"
TORCH = f"PyTorch {torch.__version__.split('+')[0]}"
TORCHVISION = f"torchvision {torchvision.__version__.split('+')[0]}"
LIBROSA = f"librosa {librosa.__version__}"
NUMPY = f"numpy {np.__version__}"

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def pixels(rng, rows, size, channels, dtype):
    """Noise over a gradient, `[rows, height, width, channels]`."""
    height, width = size
    slope = np.linspace(0, 120, height)[:, None, None] + np.linspace(0, 60, width)[None, :, None]
    images = np.clip(slope + rng.integers(0, 120, (rows, height, width, channels)), 0, 255)
    if dtype == np.uint8:
        return images.astype(np.uint8)
    return np.round(images / 255, 3).astype(dtype)


def laid_out(images, layout):
    """As the step takes them."""
    return images.transpose(0, 3, 1, 2) if layout == "chw" else images


def given(images, layout):
    """As the step gives them; `images` are `[rows, height, width, channels]`."""
    return images.transpose(0, 3, 1, 2) if layout in ("chw", "hwc_to_chw") else images


def pillow(images, size, filter):
    """Pillow's answer for each channel: bytes as `L`, floats as `F`."""
    height, width = size
    mode = np.uint8 if images.dtype == np.uint8 else np.float32

    def one(channel):
        image = Image.fromarray(np.ascontiguousarray(channel.astype(mode)))
        return np.asarray(image.resize((width, height), RESAMPLING[filter]))

    return np.stack([np.stack([one(image[..., c]) for c in range(image.shape[-1])], -1) for image in images]).astype(images.dtype)


def interpolate(images, size, filter):
    """PyTorch's answer without antialiasing, in f64; bytes rounded at the end."""
    planes = torch.from_numpy(images.astype(np.float64).transpose(0, 3, 1, 2).copy())
    answer = torch.nn.functional.interpolate(planes, size=size, mode=filter, align_corners=False, antialias=False)
    answer = answer.numpy().transpose(0, 2, 3, 1)
    if images.dtype == np.uint8:
        answer = np.clip(np.floor(answer + 0.5), 0, 255)
    return answer.astype(images.dtype)


def resized(images, size, filter, antialias):
    if tuple(size) == images.shape[1:3]:
        return images
    answer = pillow(images, size, filter) if antialias or filter == "nearest" else interpolate(images, size, filter)
    return answer if images.dtype == np.uint8 else np.round(answer, 7)  # fewer digits to store


def tolerance(dtype):
    """Bytes: one level. Floats: Pillow's own are f32."""
    return {"rtol": 0.0, "atol": 1.0} if dtype == np.uint8 else {"rtol": 1e-6, "atol": 2e-6}


LAYOUTS = ["hwc", "chw", "hwc_to_chw"]
TYPES = [np.uint8, np.float32, np.float64]


def normalize():
    rng, cases = np.random.default_rng(11), []
    one = np.array([255, 0], np.uint8).reshape(1, 1, 2, 1)
    cases.append(case({"scale": 255, "mean": 0.5, "std": 0.5}, [one], np.array([1, -1], np.float32).reshape(1, 1, 2, 1), 0, 1e-6))
    for number in range(26):
        layout = LAYOUTS[number % 3]
        dtype = [np.uint8, np.float32, np.float64, np.int32][number % 4]
        channels = [3, 1, 3, 4][number % 4 if number < 16 else 0]
        images = pixels(rng, 1 + number % 2, rng.integers(3, 6, 2), channels, np.uint8 if dtype == np.int32 else dtype).astype(dtype)
        scale = 255 if dtype in (np.uint8, np.int32) else None
        if channels == 3 and number % 2 == 0:
            mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        elif number % 5 == 0:
            mean, std = None, 0.25
        elif number % 5 == 1:
            mean, std = 0.5, None
        else:
            mean, std = np.round(rng.random(channels), 3), np.round(rng.random(channels) + 0.1, 3)
        wide = torch.from_numpy(images.astype(np.float64).transpose(0, 3, 1, 2) / (scale or 1))
        full = lambda value, other: [other if value is None else value] * channels if np.ndim(value) == 0 else list(value)
        answer = v2.functional.normalize(wide, full(mean, 0.0), full(std, 1.0)).numpy().transpose(0, 2, 3, 1)
        answer = answer.astype(np.float64 if dtype == np.float64 else np.float32)
        params = {"scale": scale, "mean": mean, "std": std, "layout": layout if layout != "hwc" or number % 2 else None}
        inputs, outputs = laid_out(images, layout), given(answer, layout)
        if channels == 1 and number % 3 == 0:
            inputs, outputs = images[..., 0], answer[..., 0]  # without an axis of channels
        cases.append(case(params, [inputs], outputs, *((1e-13, 1e-14) if dtype == np.float64 else (1e-6, 1e-6))))
    write("normalize", f"{TORCHVISION} Normalize", cases)


def resize():
    rng, cases = np.random.default_rng(12), []
    row = np.array([0, 2, 4, 6], np.float32).reshape(1, 1, 4)
    cases.append(case({"size": [1, 2], "filter": "box"}, [row], np.array([[[1, 5]]], np.float32), 0, 1e-6))
    sizes = [((5, 7), (3, 4)), ((4, 3), (7, 5)), ((6, 6), (3, 3)), ((5, 4), (5, 7)), ((4, 9), (2, 9)), ((4, 4), (4, 4)), ((9, 11), (1, 1)), ((1, 1), (3, 2))]
    kinds = [("bilinear", True), ("bicubic", True), ("lanczos", True), ("box", True), ("nearest", None), ("bilinear", False), ("bicubic", False)]
    for number in range(42):
        (filter, antialias), dtype, layout = kinds[number % 7], TYPES[number // 7 % 3], LAYOUTS[number % 3]
        old, new = sizes[number % 8]
        images = pixels(rng, 1 + number % 2, old, [3, 1, 2][number % 3] if number < 21 else 1, dtype)
        answer = resized(images, new, filter, antialias)
        params = {"size": list(new), "filter": filter if number % 7 else None, "antialias": antialias if number % 2 else antialias or antialias}
        if antialias and number % 2:
            del params["antialias"]
        params["layout"] = layout if layout != "hwc" else None
        inputs, outputs = laid_out(images, layout), given(answer, layout)
        if images.shape[-1] == 1 and number % 2:
            inputs, outputs = images[..., 0], answer[..., 0]
        cases.append(case(params, [inputs], outputs, **tolerance(dtype)))
    # Long sides are resized in bands; 34 new pixels do not fill theirs.
    for number, (old, new) in enumerate([((1, 200), (1, 40)), ((160, 1), (34, 1)), ((2, 150), (1, 34)), ((1, 200), (1, 24)), ((90, 2), (100, 1))]):
        (filter, antialias), dtype = kinds[[0, 1, 2, 5, 6][number]], [np.uint8, np.float32][number % 2]
        images = pixels(rng, 1 + number % 2, old, 1, dtype)
        answer = resized(images, new, filter, antialias)
        cases.append(case({"size": list(new), "filter": filter, "antialias": antialias}, [images[..., 0]], answer[..., 0], **tolerance(dtype)))
    # The shorter side, as torchvision takes one number.
    for old, size in [((5, 8), 4), ((9, 5), 3), ((6, 6), 4)]:
        images = pixels(rng, 2, old, 3, np.uint8)
        planes = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
        answer = v2.functional.resize(planes, [size], v2.InterpolationMode.BILINEAR, antialias=True).numpy()
        cases.append(case({"size": size, "layout": "hwc_to_chw"}, [images], answer, **tolerance(np.uint8)))
    # Whole numbers of other types are not rounded.
    images = pixels(rng, 1, (4, 6), 1, np.uint8)
    answer = pillow(images.astype(np.float32), (2, 3), "bilinear")
    cases.append(case({"size": [2, 3]}, [images.astype(np.int32)], answer, 1e-6, 1e-4))
    write("resize", f"{PILLOW} resize with antialiasing, {TORCH} interpolate without, {TORCHVISION} Resize for one number", cases)


def center_crop():
    rng, cases = np.random.default_rng(13), []
    for number in range(24):
        layout, dtype = LAYOUTS[number % 3], [np.uint8, np.float32, np.float64, np.int64][number % 4]
        old = rng.integers(4, 9, 2)
        new = [int(rng.integers(1, side + 1)) for side in old]
        if number % 6 == 5:
            new = [min(new)] * 2
        images = pixels(rng, 1 + number % 3, old, [3, 1][number % 2], np.uint8).astype(dtype)
        planes = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
        answer = v2.functional.center_crop(planes, new).numpy().transpose(0, 2, 3, 1)
        inputs, outputs = laid_out(images, layout), given(answer, layout)
        if images.shape[-1] == 1 and number % 3 == 0:
            inputs, outputs = images[..., 0], answer[..., 0]
        params = {"size": new[0] if number % 6 == 5 else new, "layout": layout}
        cases.append(case(params, [inputs], outputs))
    words = np.array([[["a", "b", ""], ["c", "d", "e"], ["f", "", "h"]]], dtype=object)
    cases.append(case({"size": 1}, [words], words[:, 1:2, 1:2]))
    write("center_crop", f"{TORCHVISION} CenterCrop", cases)


def fitted(old, new):
    """Ultralytics' LetterBox: the ratio, and the sides rounded."""
    ratio = min(new[0] / old[0], new[1] / old[1])
    return [max(1, round(side * ratio)) for side in old]


def letterbox():
    rng, cases = np.random.default_rng(14), []
    sizes = [((5, 9), (6, 6)), ((9, 5), (6, 7)), ((4, 4), (8, 8)), ((3, 10), (8, 12)), ((6, 4), (6, 4)), ((7, 7), (5, 9)), ((2, 12), (4, 4))]
    kinds = [("bilinear", None), ("bilinear", False), ("bicubic", None), ("nearest", None), ("lanczos", True)]
    for number in range(30):
        (filter, antialias), dtype, layout = kinds[number % 5], TYPES[number // 2 % 3], LAYOUTS[number % 3]
        old, new = sizes[number % 7]
        images = pixels(rng, 1 + number % 2, old, [3, 1][number % 2], dtype)
        inner = fitted(old, new)
        fill = [114, 0][number % 2] if dtype == np.uint8 else [0.5, 0, -1][number % 3]
        answer = np.full((images.shape[0], *new, images.shape[-1]), fill, dtype)
        top_left = number % 4 == 3
        top, left = (0, 0) if top_left else [math.floor((a - b) / 2) for a, b in zip(new, inner)]
        answer[:, top : top + inner[0], left : left + inner[1]] = resized(images, inner, filter, antialias is None or antialias)
        params = {"size": list(new), "fill": fill, "filter": filter, "antialias": antialias, "layout": layout}
        params["align"] = "top_left" if top_left else None
        inputs, outputs = laid_out(images, layout), given(answer, layout)
        if images.shape[-1] == 1 and number % 3 == 0:
            inputs, outputs = images[..., 0], answer[..., 0]
        cases.append(case(params, [inputs], outputs, **tolerance(dtype)))
    # Pillow's own, where bars come out even.
    images = pixels(rng, 1, (4, 8), 1, np.uint8)[..., 0]
    answer = np.asarray(ImageOps.pad(Image.fromarray(images[0]), (4, 6), Image.Resampling.BICUBIC, color=9))[None]
    cases.append(case({"size": [6, 4], "fill": 9, "filter": "bicubic"}, [images], answer, **tolerance(np.uint8)))
    write("letterbox", f"Ultralytics' LetterBox as a formula over {PILLOW} resize and {TORCH} interpolate; {PILLOW} ImageOps.pad", cases)


def mean_pool():
    rng, cases = np.random.default_rng(15), []
    values = np.array([[[1, 2], [3, 4], [9, 9]]], np.float32)
    cases.append(case({}, [values, np.array([[1, 1, 0]])], np.array([[2, 3]], np.float32), 1e-6, 0))
    for number in range(24):
        rows, steps, width = rng.integers(1, 5), rng.integers(1, 9), rng.integers(1, 7)
        dtype = [np.float32, np.float64, np.float32, np.int64][number % 4]
        values = np.round(rng.normal(0, 5, (rows, steps, width)), 3).astype(dtype)
        mask = rng.random((rows, steps)) < 0.6
        mask = mask.astype([np.int64, np.int32, np.float32, bool, np.uint8, np.float64][number % 6])
        if number % 5 == 0:
            mask[0] = 0  # nothing to take the mean of: 0
        floats = torch.from_numpy(values.astype(np.float64))
        weights = torch.from_numpy(mask.astype(np.float64)).unsqueeze(-1).expand(floats.size())
        answer = torch.sum(floats * weights, 1) / torch.clamp(weights.sum(1), min=1e-9)
        answer = answer.numpy().astype(np.float64 if dtype == np.float64 else np.float32)
        cases.append(case({}, [values, mask], answer, *((1e-12, 1e-13) if dtype == np.float64 else (1e-6, 2e-6))))
    write("mean_pool", f"sentence-transformers' mean pooling in {TORCH}", cases)


def nms():
    rng, cases = np.random.default_rng(16), []

    def answer(corners, given_boxes, scores, params):
        flat = scores.reshape(-1)
        classes, count = scores.shape
        which = np.repeat(np.arange(classes), count)
        chosen = np.flatnonzero(flat > params.get("score", -np.inf))
        kept = torchvision.ops.batched_nms(
            torch.from_numpy(np.tile(corners, (classes, 1))[chosen]), torch.from_numpy(flat[chosen]), torch.from_numpy(which[chosen]), params["iou"]
        ).numpy()
        kept = chosen[kept][: params["max_detections"]]
        most, found = params["max_detections"], len(kept)
        boxes = np.zeros((most, 4), np.float32)
        best, labels = np.zeros(most, np.float32), np.full(most, -1)
        boxes[:found], best[:found], labels[:found] = given_boxes[kept % count], flat[kept], which[kept]
        return boxes, best, labels, np.int64(found)

    plain = np.array([[[0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]]], np.float32)
    scores = np.array([[0.9, 0.8, 0.7]], np.float32)
    outputs = {"boxes": plain[:, [0, 2]], "scores": scores[:, [0, 2]], "classes": np.array([[0, 0]]), "count": np.array([2])}
    cases.append(case({"iou": 0.5, "max_detections": 2}, [plain, scores], outputs))
    for number in range(26):
        rows, count, classes = 1 + number % 3, int(rng.integers(1, 18)), [1, 2, 4, 1, 3][number % 5]
        centers = np.round(rng.random((rows, count, 2)) * 30, 2)
        sides = np.round(rng.random((rows, count, 2)) * 20 + 4, 2)
        boxes = np.concatenate([centers, sides], -1).astype(np.float32)
        corners = np.round(np.concatenate([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1), 3)
        # All scores differ, so that the order is sure.
        scores = np.stack([rng.permutation(classes * count) for _ in range(rows)]).reshape(rows, classes, count)
        scores = np.round((scores + 0.5) / (classes * count), 4).astype(np.float32)
        if number % 7 == 6:
            scores[0] *= 1e-3  # nothing stays in the first row
        params = {"iou": [0.5, 0.3, 0.7, 0.45][number % 4], "max_detections": int(min(classes * count, [5, 20, 1, 12][number % 4]))}
        if number % 3 or number % 7 == 6:
            params["score"] = [0.25, 0.5][number % 2]
        given_boxes = boxes if number % 2 else corners
        if number % 2:
            params["format"] = "cxcywh"
        dtype = np.float64 if number % 8 == 5 else np.float32
        parts = [answer(corners[row], given_boxes[row], scores[row], params) for row in range(rows)]
        outputs = dict(zip(["boxes", "scores", "classes", "count"], (np.stack(part) for part in zip(*parts))))
        fed = scores[:, 0] if classes == 1 and number % 2 else scores
        cases.append(case(params, [given_boxes.astype(dtype), fed.astype(dtype)], outputs))
    write("nms", f"{TORCHVISION} batched_nms", cases)


def ctc():
    rng, cases = np.random.default_rng(17), []

    def answer(scores, blank, merge):
        """PaddleOCR's BaseRecLabelDecode.decode."""
        best, prob = scores.argmax(-1), scores.max(-1)
        keep = np.ones(len(best), bool)
        if merge:
            keep[1:] = best[1:] != best[:-1]
        keep &= best != blank
        indices = np.full(len(best), -1)
        indices[: keep.sum()] = best[keep]
        score = np.mean(prob[keep].astype(np.float64)) if keep.any() else 0.0
        return indices, np.int64(keep.sum()), scores.dtype.type(score)

    worked = np.eye(6, dtype=np.float32)[[[0, 3, 3, 0, 3, 5]]]
    outputs = {"indices": np.array([[3, 3, 5, -1, -1, -1]]), "length": np.array([3]), "score": np.array([1], np.float32)}
    cases.append(case({"blank": 0}, [worked], outputs))
    for number in range(25):
        rows, steps, classes = 1 + number % 3, int(rng.integers(1, 14)), int(rng.integers(2, 6))
        dtype = [np.float32, np.float64][number % 2]
        logits = rng.normal(0, 2, (rows, steps, classes))
        blank = [0, classes - 1, 1][number % 3]
        if number % 6 == 5:
            logits[0, :, blank] += 50  # nothing there
        scores = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        scores = np.round(scores, 6).astype(dtype)
        merge = None if number % 4 else bool(number % 8)
        params = {"blank": blank, "merge_repeats": merge}
        labels = None
        if number % 3 == 0:
            labels = params["labels"] = ["", "é", "b", " ", "日", "e"][:classes]
        parts = [answer(row, blank, merge is not False) for row in scores]
        indices, length, score = (np.stack(part) for part in zip(*parts))
        outputs = {"indices": indices, "length": length, "score": score}
        if labels is not None:
            outputs["texts"] = np.array([*labels, ""], dtype=object)[indices]
        cases.append(case(params, [scores], outputs, 1e-6 if dtype == np.float32 else 1e-13, 0))
    write("ctc", f"PaddleOCR's decode as a formula in {NUMPY}", cases)


def spectrogram():
    rng, cases = np.random.default_rng(18), []
    worked = np.array([[1, 0, -1, 0]], np.float32)
    params = {"n_fft": 4, "hop_length": 4, "center": False, "window": "ones"}
    cases.append(case(params, [worked], np.array([[[0], [4], [0]]], np.float32), 0, 1e-6))
    shapes = [(32, 16, None), (20, 8, 16), (16, None, None), (30, 12, 25), (40, 16, 36), (15, 5, 10)]
    for number in range(30):
        n_fft, hop, win = shapes[number % 6]
        samples, rows = int(rng.integers(40, 64)), 1 + number % 2
        time = np.arange(samples) / 16000
        sound = np.sin(2 * np.pi * rng.uniform(300, 6000, (rows, 1)) * time) + rng.normal(0, 0.2, (rows, samples))
        dtype = [np.float32, np.float64][number // 2 % 2]
        sound = np.round(sound, 3).astype(dtype)
        center, power = [True, True, False][number % 3], [2, 2, 1][number // 3 % 3]
        pad_mode = ["constant", "reflect"][number % 2]
        window = ["hann", "hamming", "ones"][number // 4 % 3]
        params = {"n_fft": n_fft, "hop_length": hop, "win_length": win}
        params |= {"window": window if number % 5 else None, "center": None if center else False}
        params |= {"pad_mode": pad_mode if center else None, "power": None if power == 2 else power}
        wide = sound.astype(np.float64)
        name = "ones" if params["window"] == "ones" else (params["window"] or "hann")
        stft = librosa.stft(wide, n_fft=n_fft, hop_length=hop, win_length=win, window=name, center=center, pad_mode=pad_mode)
        answer = np.abs(stft) ** power
        if number % 4 != 3:
            mel = {"sample_rate": 16000, "n_mels": [4, 5, 8][number % 3], "fmin": [None, 100][number % 2], "fmax": [None, 7000][number // 2 % 2]}
            mel |= {"htk": [None, True][number // 2 % 2], "norm": [None, "none"][number // 3 % 2]}
            params["mel"] = mel
            bank = librosa.filters.mel(
                sr=16000,
                n_fft=n_fft,
                n_mels=mel["n_mels"],
                fmin=mel["fmin"] or 0.0,
                fmax=mel["fmax"],
                htk=bool(mel["htk"]),
                norm=None if mel["norm"] else "slaney",
                dtype=np.float64,
            )
            answer = bank @ answer
        log = [None, "db", "ln", "log10"][number % 4]
        rtol, atol = 1e-5, 1e-5 * answer.max()
        if log:
            amin = [1e-10, 1e-4][number // 4 % 2]
            top = 30 if number % 8 == 1 else None
            params |= {"log": log, "amin": None if amin == 1e-10 else amin, "top_db": top}
            answer = np.maximum(amin, answer)
            if log == "db":
                # One row at a time: the highest value is a row's own.
                decibels = librosa.power_to_db if power == 2 else librosa.amplitude_to_db
                answer = np.stack([decibels(row, amin=amin, top_db=top) for row in answer])
            else:
                answer = {"ln": np.log, "log10": np.log10}[log](answer)
            rtol, atol = 1e-5, 2e-3
        if dtype == np.float64:
            rtol, atol = 1e-9, 1e-9
        if dtype == np.float64:
            answer = np.round(answer, 10)  # fewer digits to store
        cases.append(case(params, [sound], answer.astype(dtype), rtol, float(atol)))
    write("spectrogram", f"{LIBROSA} stft, filters.mel, power_to_db", cases)


def reshape():
    rng, cases = np.random.default_rng(19), []
    shapes = [((6,), [2, 3]), ((2, 3), [-1]), ((2, 3, 4), [4, -1]), ((), [1]), ((1,), [1, 1, -1]), ((4, 3), [2, 2, 3]), ((5,), [5]), ((8,), [2, -1, 2])]
    for number in range(24):
        old, new = shapes[number % 8]
        dtype = [np.float32, np.int64, np.uint8, bool, np.float64, np.int32][number % 6]
        array = rng.integers(0, 9, (1 + number % 3, *old)).astype(dtype)
        params = {"shape": new[0] if len(new) == 1 and number % 2 else new}
        cases.append(case(params, [array], array.reshape(array.shape[0], *new)))
    words = np.array([["a", "", "c", "d"]], dtype=object)
    cases.append(case({"shape": [2, 2]}, [words], words.reshape(1, 2, 2)))
    write("reshape", f"{NUMPY} reshape", cases)


def transpose():
    rng, cases = np.random.default_rng(20), []
    shapes = [((2, 3), [1, 0]), ((2, 3, 4), [2, 0, 1]), ((3, 1), [1, 0]), ((3,), [0]), ((2, 1, 3), [1, 2, 0]), ((2, 2, 3), [0, 2, 1]), ((), []), ((1, 2, 3, 2), [3, 2, 1, 0])]
    for number in range(24):
        old, axes = shapes[number % 8]
        dtype = [np.float32, np.int64, np.uint8, bool, np.float64, np.int32][number % 6]
        array = rng.integers(0, 9, (1 + number % 3, *old)).astype(dtype)
        answer = array.transpose(0, *(axis + 1 for axis in axes))
        cases.append(case({"axes": axes}, [array], answer))
    words = np.array([[["a", "", "c"], ["d", "e", "f"]]], dtype=object)
    cases.append(case({"axes": [1, 0]}, [words], words.transpose(0, 2, 1)))
    write("transpose", f"{NUMPY} transpose", cases)


STEPS = [normalize, resize, center_crop, letterbox, mean_pool, nms, ctc, spectrogram, reshape, transpose]

if __name__ == "__main__":
    for step in STEPS:
        if step.__name__ in sys.argv[1:] or not sys.argv[1:]:
            step()
