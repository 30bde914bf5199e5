"""Writes small real images of every kind that is read, and the pixels that Pillow makes of them.

    python -m venv env && env/bin/pip install -r requirements.txt && env/bin/python make.py

`cases.json` lists what the tests compare: a file, the options of the step, and where the expected
bytes begin in `expected.bin`. torchvision and Ultralytics are not installed for this (torch is large): what they
do on a Pillow image is written out below from their documentation and held to their rounding.
"""

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_image

HERE = Path(__file__).parent
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
cases = []
expectations = bytearray()


def resized(image, width, height, options):
    return image.resize((width, height), FILTERS[options.get("filter", "bilinear")])


def crop(image, options):
    """torchvision: `Resize(shorter)` (or just covering the size), then `CenterCrop(size)`."""
    height, width = options["size"]
    if "resize" in options:
        short, long = sorted(image.size)
        new_short, new_long = options["resize"], int(options["resize"] * long / short)
        new = (new_short, new_long) if image.width <= image.height else (new_long, new_short)
    elif width * image.height >= height * image.width:
        new = (width, int(width * image.height / image.width))
    else:
        new = (int(height * image.width / image.height), height)
    image = resized(image, *new, options)
    top = int(round((image.height - height) / 2.0))
    left = int(round((image.width - width) / 2.0))
    return image.crop((left, top, left + width, top + height))


def letterbox(image, options):
    """Ultralytics' `LetterBox(new_shape, auto=False, center=...)`, resampled by Pillow."""
    height, width = options["size"]
    ratio = min(height / image.height, width / image.width)
    new = (max(round(image.width * ratio), 1), max(round(image.height * ratio), 1))
    dw, dh = (width - new[0]) / 2, (height - new[1]) / 2
    canvas = Image.new("RGB", (width, height), tuple(options.get("fill", [114] * 3)))
    canvas = canvas.convert(image.mode)
    at = (0, 0) if options.get("align") == "top_left" else (round(dw - 0.1), round(dh - 0.1))
    canvas.paste(resized(image, *new, options), at)
    return canvas


def expected(data, options):
    """What training code does with Pillow."""
    image = Image.open(io.BytesIO(data))
    if options.get("orientation") == "exif":
        image = ImageOps.exif_transpose(image)
    image = image.convert("L" if options.get("channels") == "gray" else "RGB")
    height, width = options["size"]
    if options["fit"] == "crop":
        image = crop(image, options)
    elif options["fit"] == "letterbox":
        image = letterbox(image, options)
    else:
        image = resized(image, width, height, options)
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if options.get("channels") == "bgr":
        pixels = pixels[:, :, ::-1]
    if options.get("layout", "chw") == "chw":
        pixels = pixels.transpose(2, 0, 1)
    return np.ascontiguousarray(pixels)


def case(name, file, group, **options):
    data = (HERE / file).read_bytes()
    if "size" not in options:
        options["size"] = list(Image.open(io.BytesIO(data)).size[::-1])
    options.setdefault("fit", "stretch")
    pixels = expected(data, options)
    cases.append(
        {
            "name": name,
            "file": file,
            "group": group,
            "options": options,
            "shape": list(pixels.shape),
            "at": len(expectations),
        }
    )
    expectations.extend(pixels.tobytes())


def whole(file, group, data, **options):
    """The file's own pixels, not resized."""
    (HERE / file).write_bytes(data)
    case(file.replace(".", "_"), file, group, layout="hwc", **options)


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width, height, depth, color, raw, interlaced=False, extra=b""):
    """A PNG that Pillow does not write itself; `raw` are rows with a filter byte each."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced))
    data = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(raw, 9))
    return b"\x89PNG\r\n\x1a\n" + data + chunk(b"IEND", b"")


def rows(pixels):
    """Rows of bytes with filter 0 before each."""
    flat = pixels.reshape(pixels.shape[0], -1).view(np.uint8).reshape(pixels.shape[0], -1)
    return b"".join(b"\0" + row.tobytes() for row in flat)


def adam7(pixels):
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    return b"".join(rows(np.ascontiguousarray(pixels[y::dy, x::dx])) for y, x, dy, dx in passes)


china = Image.fromarray(load_sample_image("china.jpg"))
flower = Image.fromarray(load_sample_image("flower.jpg"))
small = china.crop((230, 120, 230 + 81, 120 + 61))
second = flower.crop((250, 100, 250 + 81, 100 + 61))
gray = small.convert("L")
rng = np.random.default_rng(4)
alpha = Image.fromarray(
    np.clip(np.add.outer(np.arange(61) * 2, np.arange(81) * 2) - 40, 0, 255).astype(np.uint8)
)
clear = small.copy()
clear.putalpha(alpha)


def jpegs():
    whole("q90_420.jpg", "jpeg", saved(small, "JPEG", quality=90, subsampling="4:2:0"))
    whole("q90_422.jpg", "jpeg", saved(small, "JPEG", quality=90, subsampling="4:2:2"))
    whole("q90_444.jpg", "jpeg", saved(small, "JPEG", quality=90, subsampling="4:4:4"))
    whole("q75_420.jpg", "jpeg", saved(second, "JPEG", quality=75, subsampling="4:2:0"))
    whole("q30_420.jpg", "jpeg", saved(second, "JPEG", quality=30, subsampling="4:2:0"))
    whole("progressive_420.jpg", "jpeg", saved(second, "JPEG", quality=85, progressive=True))
    whole("progressive_444.jpg", "jpeg", saved(small, "JPEG", quality=85, progressive=True, subsampling="4:4:4"))
    whole("restarts.jpg", "jpeg", saved(small, "JPEG", quality=80, restart_marker_rows=1))
    whole("gray.jpg", "jpeg", saved(gray, "JPEG", quality=85))
    whole("keep_rgb.jpg", "jpeg", saved(small, "JPEG", quality=90, keep_rgb=True))
    (HERE / "cmyk.jpg").write_bytes(saved(small.resize((16, 16)).convert("CMYK"), "JPEG"))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        exif[0x010F] = "a camera"
        file = f"exif_{orientation}.jpg"
        (HERE / file).write_bytes(saved(second.resize((24, 17)), "JPEG", quality=95, exif=exif))
        turned = [17, 24] if orientation < 5 else [24, 17]
        case(f"exif_{orientation}", file, "jpeg", layout="hwc", size=turned, orientation="exif")
    case("exif_ignored", "exif_6.jpg", "jpeg", layout="hwc")
    case("jpeg_as_gray", "q90_420.jpg", "jpeg", channels="gray")


def pngs():
    whole("rgb.png", "exact", saved(small, "PNG", optimize=True))
    whole("rgba.png", "exact", saved(clear, "PNG", optimize=True))
    whole("gray.png", "exact", saved(gray, "PNG", optimize=True))
    whole("gray_alpha.png", "exact", saved(clear.convert("LA"), "PNG", optimize=True))
    whole("palette.png", "exact", saved(small.quantize(64), "PNG", optimize=True))
    whole("palette_4.png", "exact", saved(small.quantize(13), "PNG", optimize=True, bits=4))
    whole("palette_clear.png", "exact", saved(small.quantize(64), "PNG", transparency=3))
    whole("gray_clear.png", "exact", saved(gray, "PNG", transparency=100))
    whole("one_bit.png", "exact", saved(small.convert("1"), "PNG"))
    bits = np.asarray(gray)[:, :80] >> 6
    packed = np.zeros((61, 20), np.uint8)
    for pixel in range(4):
        packed |= bits[:, pixel::4] << (6 - 2 * pixel)
    whole("gray_2.png", "exact", png(80, 61, 2, 0, rows(packed)))
    wide = np.asarray(small).astype(np.uint16) * 257 + rng.integers(-128, 129, (61, 81, 3))
    wide = np.clip(wide, 0, 65535).astype(">u2")
    whole("rgb_16.png", "exact", png(81, 61, 16, 2, rows(wide)))
    (HERE / "gray_16.png").write_bytes(png(81, 61, 16, 0, rows(np.ascontiguousarray(wide[:, :, 0]))))
    whole("interlaced.png", "exact", png(81, 61, 8, 2, adam7(np.asarray(second)), interlaced=True))
    whole("animated.png", "exact", saved(small.resize((40, 30)), "PNG", save_all=True, append_images=[second.resize((40, 30))]))
    palette = bytes([10, 20, 30, 200, 100, 50, 0, 0, 255])
    beyond = png(4, 1, 8, 3, b"\0\0\1\2\3", extra=chunk(b"PLTE", palette))
    whole("beyond_palette.png", "exact", beyond)
    exif = Image.Exif()
    exif[0x0112] = 8
    (HERE / "exif_8.png").write_bytes(saved(second.resize((24, 17)), "PNG", exif=exif))
    case("exif_8_png", "exif_8.png", "exact", layout="hwc", size=[24, 17], orientation="exif")
    for file in ("rgb", "palette", "rgba", "gray", "gray_alpha"):
        case(f"{file}_as_gray", f"{file}.png", "exact", channels="gray")
    case("gray_as_rgb_chw", "gray.png", "exact")
    case("rgb_as_bgr", "rgb.png", "exact", channels="bgr")


def webps():
    whole("lossy.webp", "webp", saved(small, "WEBP", quality=80))
    whole("lossy_low.webp", "webp", saved(second, "WEBP", quality=30))
    whole("lossy_clear.webp", "webp", saved(clear, "WEBP", quality=80))
    whole("lossless.webp", "exact", saved(small, "WEBP", lossless=True))
    whole("lossless_clear.webp", "exact", saved(clear, "WEBP", lossless=True, exact=True))
    frames = [second.resize((40, 30))]
    whole("animated.webp", "exact", saved(small.resize((40, 30)), "WEBP", save_all=True, append_images=frames, lossless=True))
    whole("animated_clear.webp", "exact", saved(clear.resize((40, 30)), "WEBP", save_all=True, append_images=frames, lossless=True, exact=True))
    exif = Image.Exif()
    exif[0x0112] = 3
    (HERE / "exif_3.webp").write_bytes(saved(second.resize((24, 17)), "WEBP", lossless=True, exif=exif))
    case("exif_3_webp", "exif_3.webp", "exact", layout="hwc", size=[17, 24], orientation="exif")


def resizes():
    for name in FILTERS:
        case(f"down_{name}", "rgb.png", "exact", size=[31, 44], filter=name)
        case(f"far_down_{name}", "rgb.png", "exact", size=[3, 5], filter=name, layout="hwc")
        case(f"up_{name}", "rgb.png", "exact", size=[78, 93], filter=name)
        case(f"wider_{name}", "rgb.png", "exact", size=[34, 100], filter=name, layout="hwc")
        case(f"row_only_{name}", "rgb.png", "exact", size=[61, 42], filter=name)
        case(f"column_only_{name}", "rgb.png", "exact", size=[43, 81], filter=name)
        case(f"gray_{name}", "gray.png", "exact", size=[29, 53], filter=name, channels="gray")
        case(f"crop_{name}", "rgb.png", "exact", size=[32, 32], filter=name, fit="crop")
        case(f"crop_256_{name}", "rgb.png", "exact", size=[28, 28], resize=32, filter=name, fit="crop")
    for size in ([33, 20], [20, 33], [64, 31], [61, 81], [1, 1], [85, 85]):
        case("crop_{}x{}".format(*size), "rgb.png", "exact", size=size, fit="crop")
    case("crop_odd", "rgb.png", "exact", size=[29, 30], resize=48, fit="crop")
    case("crop_up", "rgb.png", "exact", size=[75, 70], resize=90, fit="crop")
    for size in ([64, 64], [65, 64], [40, 90], [81, 81], [31, 5], [90, 90]):
        case("letterbox_{}x{}".format(*size), "rgb.png", "exact", size=size, fit="letterbox")
    case("letterbox_fill", "rgb.png", "exact", size=[50, 50], fit="letterbox", fill=[255, 0, 80], layout="hwc")
    case("letterbox_bgr", "rgb.png", "exact", size=[50, 50], fit="letterbox", fill=[255, 0, 80], channels="bgr")
    case("letterbox_gray", "rgb.png", "exact", size=[50, 50], fit="letterbox", fill=[255, 0, 80], channels="gray")
    case("letterbox_top_left", "rgb.png", "exact", size=[50, 60], fit="letterbox", align="top_left")
    case("letterbox_top_left_wide", "rgb.png", "exact", size=[60, 30], fit="letterbox", align="top_left", fill=[127] * 3)
    case("letterbox_of_gray", "gray.png", "exact", size=[50, 50], fit="letterbox", fill=[255, 0, 80])
    thin = np.tile(rng.integers(0, 256, (1, 400, 3)), (2, 1, 1)).astype(np.uint8)
    (HERE / "thin.png").write_bytes(saved(Image.fromarray(thin), "PNG"))
    for name in FILTERS:
        case(f"thin_{name}", "thin.png", "exact", size=[20, 20], fit="crop", filter=name)
        case(f"thin_letterbox_{name}", "thin.png", "exact", size=[20, 20], fit="letterbox", filter=name)


def classifier():
    """The common way of image classifiers, on a photograph of common size."""
    photo = china.resize((640, 480), Image.Resampling.LANCZOS)
    (HERE / "photo.jpg").write_bytes(saved(photo, "JPEG", quality=75))
    case("photo", "photo.jpg", "jpeg", size=[224, 224], resize=256, fit="crop")


for step in (jpegs, pngs, webps, resizes, classifier):
    step()
(HERE / "cases.json").write_text(
    "[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n", encoding="utf-8"
)
(HERE / "expected.bin").write_bytes(expectations)
total = sum(path.stat().st_size for path in HERE.iterdir() if path.is_file())
print(f"{len(cases)} cases, {total / 1e6:.2f} MB in all")
