"""Small files of many kinds: some of this repository, and some that are made here, the same each time."""

import bz2
import csv
import gzip
import io
import json
import lzma
import marshal
import pickle
import plistlib
import sqlite3
import struct
import tarfile
import tempfile
import wave
import zipfile
import zlib
from email.message import EmailMessage
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from sources import SOURCES

REPOSITORY = Path(__file__).resolve().parents[2]
# Longer files are left out, so that the sample stays small; magika itself reads no more than the first and the last
# 4,096 bytes.
LONGEST = 2_600
PATTERNS = [
    ("src/**/*.rs", 12), ("tests/**/*.rs", 4), ("**/*.md", 8), ("pipelines/**/*.yaml", 4), ("**/*.py", 5),
    ("**/*.toml", 4), (".gitignore", 1), ("Makefile", 1), (".ci/run", 1), ("tests/data/images/*.png", 4),
    ("tests/data/images/*.jpg", 4), ("tests/data/images/*.webp", 4), ("tests/data/audio/*.wav", 3),
    ("tests/data/models/**/*.onnx", 4), ("pipelines/penguins/model.onnx", 1), ("tests/data/**/*.json", 3),
    ("tests/it/snapshots/*.snap", 2), ("proptest-regressions/**/*.txt", 1), ("tests/data/audio/*.f32", 2),
]
FOREIGN = {".git", ".runtime", ".models", ".venv", "target", "filetype", "sentences", "textline"}


def of_repository():
    """Names and contents."""
    for pattern, count in PATTERNS:
        paths = sorted(path for path in REPOSITORY.glob(pattern) if path.is_file())
        names = [path.relative_to(REPOSITORY) for path in paths]
        fitting = [
            name for name, path in zip(names, paths)
            if not FOREIGN & set(name.parts) and 8 <= path.stat().st_size <= LONGEST
        ]
        step = max(1, len(fitting) // count)
        for name in fitting[::step][:count]:
            yield name.as_posix(), (REPOSITORY / name).read_bytes()


def made():
    """Names and contents."""
    for files in (texts(), pictures(), archives(), binaries()):
        for name, content in files:
            assert len(content) <= LONGEST, f"{name} has {len(content)} bytes"
            yield name, content


ROWS = [[f"field {n}", 2020 + n % 7, round(3.5 + n * 0.37 % 4, 2), "maize" if n % 3 else "oats"] for n in range(36)]


def texts():
    for name, delimiter in [("yield.csv", ","), ("yield.tsv", "\t")]:
        out = io.StringIO()
        csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows([["field", "year", "t_per_ha", "crop"], *ROWS])
        yield name, out.getvalue().encode()
    keys = ["field", "year", "yield", "crop"]
    yield "yield.json", json.dumps([dict(zip(keys, row)) for row in ROWS[:9]], indent=2).encode()
    yield "yield.jsonl", "".join(json.dumps(dict(zip(keys, row))) + "\n" for row in ROWS).encode()
    yield "minified.json", json.dumps({"rows": ROWS}, separators=(",", ":")).encode()
    yield "latin1.txt", ("Die Größe der Äcker überrascht. " * 20).encode("latin-1")
    yield "utf16.txt", ("Die Größe der Äcker überrascht. " * 20).encode("utf-16")
    yield "prose.txt", (PROSE * 3).encode()
    yield "windows.txt", PROSE.replace("\n", "\r\n").encode()
    yield "spaces_before.html", b" \n\t " * 200 + SOURCES["page.html"].encode()
    yield "spaces_behind.sql", SOURCES["report.sql"].encode() + b"\n  \r\n" * 400
    yield "eight_bytes", b"a = b;\n\n."
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.org", "b@example.org", "The north pump"
    mail["Date"] = "Mon, 02 Nov 2026 08:00:00 +0000"
    mail.set_content(PROSE)
    yield "message.eml", mail.as_bytes()
    yield "list.plist", plistlib.dumps({"fields": ["north", "south"], "crop": "oats", "area": 12.5})
    for name, text in SOURCES.items():
        yield name, text.encode()


def pictures():
    image = Image.new("RGB", (36, 20), (30, 90, 160))
    draw = ImageDraw.Draw(image)
    draw.ellipse((6, 2, 30, 18), fill=(230, 200, 40))
    draw.line((0, 19, 35, 0), fill=(200, 20, 20), width=3)
    for kind in ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "ICO", "TGA", "PDF", "JPEG2000"]:
        out = io.BytesIO()
        picture = image.resize((16, 16)) if kind == "ICO" else image
        picture.save(out, kind)
        yield f"picture.{kind.lower()}", out.getvalue()


def archives():
    inside = {"readme.txt": PROSE.encode(), "run.sh": SOURCES["run.sh"].encode()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in inside.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    yield "files.zip", out.getvalue()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in ["META-INF/MANIFEST.MF", "org/example/Pump.class"]:
            content = b"Manifest-Version: 1.0\r\nMain-Class: org.example.Pump\r\n\r\n"
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content)
    yield "program.jar", out.getvalue()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in inside.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    tar = out.getvalue()[:2560]
    yield "files.tar", tar
    for name, packed in [("tar.gz", gzip.compress(tar, mtime=0)), ("tar.bz2", bz2.compress(tar)),
                         ("tar.xz", lzma.compress(tar)), ("text.zlib", zlib.compress((PROSE * 9).encode()))]:
        yield name, packed


def binaries():
    random = np.random.default_rng(4)
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes((np.sin(np.arange(1000) / 9) * 9000).astype("<i2").tobytes())
    yield "tone.wav", out.getvalue()
    out = io.BytesIO()
    np.save(out, np.arange(200, dtype=np.float32))
    yield "numbers.npy", out.getvalue()
    yield "numbers.f32", np.linspace(0, 1, 400, dtype="<f4").tobytes()
    yield "random.bin", random.bytes(1500)
    yield "random_letters.txt", bytes(random.integers(33, 127, 1500, dtype=np.uint8))
    yield "zeros.bin", bytes(900)
    yield "rows.pickle", pickle.dumps({"rows": ROWS}, protocol=4)
    code = compile("def area(w, h):\n    return w * h\n\nprint(area(3, 4))\n" * 9, "area.py", "exec")
    yield "area.pyc", struct.pack("<IIII", 0x0A0D0DA7, 0, 0, 400) + marshal.dumps(code, 4)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fields.db"
        base = sqlite3.connect(path)
        base.execute("pragma page_size = 512")
        base.execute("create table fields (name text, year int, yield real, crop text)")
        base.executemany("insert into fields values (?, ?, ?, ?)", ROWS)
        base.commit()
        base.close()
        yield "fields.db", path.read_bytes()
    section = bytes([1, 7, 1, 0x60, 2, 0x7F, 0x7F, 1, 0x7F, 3, 2, 1, 0, 7, 7, 1, 3]) + b"add" + bytes([0, 0])
    yield "add.wasm", b"\0asm\1\0\0\0" + section + bytes([10, 9, 1, 7, 0, 0x20, 0, 0x20, 1, 0x6A, 0x0B])
    header = struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0x1040, 64, 0, 0, 64, 56, 0, 64, 0, 0)
    yield "program.elf", b"\x7fELF\2\1\1" + bytes(9) + header + random.bytes(900)
    midi = b"MThd" + struct.pack(">IHHH", 6, 0, 1, 96) + b"MTrk"
    notes = b"".join(bytes([0, 0x90, 60 + n, 64, 96, 0x80, 60 + n, 0]) for n in range(24)) + b"\0\xff\x2f\0"
    yield "scale.mid", midi + struct.pack(">I", len(notes)) + notes
    packets = b"".join(struct.pack("<IIII", 1_700_000_000 + n, 0, 60, 60) + random.bytes(60) for n in range(12))
    yield "traffic.pcap", struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + packets


PROSE = """The pump on the north field has stopped again. We looked at it in the morning, and found
that a stone had come in through the pipe. It took two of us to get it out. The water now
runs as it should, but somebody ought to look at the sieve before the summer.
"""
