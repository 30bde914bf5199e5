"""Writes textline/sample.jsonl and expected.jsonl.

The pictures are drawn by Pillow, in DejaVu (Debian: apt-get install fonts-dejavu). What is expected is what the
rapidocr-onnxruntime package, PaddleOCR's models in Python, reads in them.

    make models && pip install rapidocr-onnxruntime==1.4.4 -r pipelines/requirements.txt
    python pipelines/textline/reference.py
"""

import base64
import io
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rapidocr_onnxruntime.ch_ppocr_rec import TextRecognizer

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import number, write_jsonl  # noqa: E402

MODEL = HERE.parent.parent / ".models" / "paddleocr" / "model.onnx"
FONTS = Path("/usr/share/fonts/truetype/dejavu")
FACES = ["DejaVuSans.ttf", "DejaVuSerif.ttf", "DejaVuSansMono.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif-Bold.ttf"]
INKS = [((0, 0, 0), (255, 255, 255)), ((20, 30, 120), (250, 245, 220)), ((240, 240, 240), (40, 60, 40)),
        ((150, 20, 20), (230, 230, 235))]
TEXTS = [
    "Hello", "North field", "Invoice 4711", "2026-11-03", "08:15", "1,234.50 EUR", "Total: 99.95", "No. 12 / B",
    "WARNING", "pump stopped", "LOT-7F3A-22", "12.5 kg", "Best before", "max. 80 %", "Seed wheat", "(c) example",
    "A1 B2 C3", "+49 30 1234", "Oats & barley", "user@mail.org", "Batch #0042", "Made in EU", "0.75 l/min", "END",
]


def pictures():
    for index, text in enumerate(TEXTS):
        ink, paper = INKS[index % len(INKS)]
        height = 48 if index % 3 else 30 + index
        font = ImageFont.truetype(str(FONTS / FACES[index % len(FACES)]), int(height * 0.62))
        width = int(font.getlength(text)) + 12
        picture = Image.new("RGB", (width, height), paper)
        ImageDraw.Draw(picture).text((6, height // 2), text, fill=ink, font=font, anchor="lm")
        yield text, picture


def main():
    recognizer = TextRecognizer({
        "model_path": str(MODEL), "rec_img_shape": [3, 48, 320], "rec_batch_num": 1, "use_cuda": False,
        "use_dml": False, "intra_op_num_threads": 1, "inter_op_num_threads": 1,
    })
    samples, expected = [], []
    for index, (text, picture) in enumerate(pictures()):
        file = io.BytesIO()
        kind = ["PNG", "JPEG", "WEBP"][index % 3]
        picture.save(file, kind, **({"lossless": True} if kind == "WEBP" else {"quality": 92} if kind == "JPEG" else {}))
        pixels = np.array(Image.open(io.BytesIO(file.getvalue())).convert("RGB"))
        [(read, score)], _ = recognizer([cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)])
        samples.append({"id": index, "written": text, "picture": base64.b64encode(file.getvalue()).decode()})
        classes = [recognizer.postprocess_op.dict[letter] for letter in read]
        expected.append({
            "id": index, "height": picture.height, "text": read, "classes": classes, "score": number(round(score, 6))
        })
    write_jsonl(HERE / "sample.jsonl", samples)
    write_jsonl(HERE / "expected.jsonl", expected)
    right = sum(row["text"] == sample["written"] for row, sample in zip(expected, samples))
    print(f"{right} of {len(samples)} lines are read as they were written")


if __name__ == "__main__":
    main()
