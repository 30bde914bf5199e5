"""What benches/image.rs measures, with Pillow: best of nine runs of fifty, in microseconds.

    pip install -r tests/data/images/requirements.txt && python benches/image.py
"""

import io
import time
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

PHOTO = (Path(__file__).parent.parent / "tests/data/images/photo.jpg").read_bytes()


def decode():
    return Image.open(io.BytesIO(PHOTO)).convert("RGB")


def to_model(image):
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def crop(image):
    image = image.resize((341, 256), Image.Resampling.BILINEAR)
    return image.crop((58, 16, 58 + 224, 16 + 224))


def best(work, runs=9, times=50):
    fastest = float("inf")
    for _ in range(runs):
        begin = time.perf_counter()
        for _ in range(times):
            work()
        fastest = min(fastest, (time.perf_counter() - begin) / times)
    return round(fastest * 1e6)


print("Pillow", PIL.__version__)
print("decode alone", best(decode))
for name in ("NEAREST", "BILINEAR", "BICUBIC", "LANCZOS"):
    filter = Image.Resampling[name]
    print("to 224 x 224,", name, best(lambda: to_model(decode().resize((224, 224), filter))))
print("resize 256, crop 224, BILINEAR", best(lambda: to_model(crop(decode()))))
