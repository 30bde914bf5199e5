#!/usr/bin/env python3
"""Writes the windows of bytes that the tests of the window step read: what magika's own code makes of them.

    pip install magika==1.0.3
    python tests/data/window/make.py
"""

import io
import json
import random
from pathlib import Path

from magika import Magika
from magika.types import Seekable

SPACE = b" \t\n\x0b\x0c\r"


def fingerprint(numbers):
    """FNV-1a, 64 bits, over the numbers as little-endian 32-bit."""
    state = 0xCBF29CE484222325
    for number in numbers:
        for byte in number.to_bytes(4, "little"):
            state = ((state ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{state:016x}"


def values(rng):
    """Values as pieces that are repeated: white space and bytes around every size that matters."""
    noise = [rng.randrange(256) for _ in range(257)]
    word = list(b"word ")
    yield []
    for size in [1, 6, 7, 8, 9, 1023, 1024, 1025, 2047, 2048, 2049, 4095, 4096, 4097, 8191, 8192, 8193, 20000]:
        yield [([0x61], size)]
        yield [([0x20], size)]
        yield [(noise, size // 257), (noise[: size % 257], 1)]
    for before in [0, 1, 1024, 4088, 4089, 4090, 4095, 4096, 4097, 5000]:
        for after in [0, 3, 4096, 5000]:
            yield [([0x20], before), (word, 40), ([0x0A], after)]
            yield [(list(SPACE), before // 6), (noise, 1), (list(SPACE), after // 6)]
    for text in [b"       a", b"a       ", b"  seven..", b"\x85eight..\xa0", b"\x00" * 8, b"\x1cfile sep\x1c"]:
        yield [(list(text), 1)]


def main():
    rng = random.Random(4)
    magika = Magika()
    config = magika._model_config
    assert (config.beg_size, config.mid_size, config.end_size, config.block_size, config.padding_token,
            config.min_file_size_for_dl, config.use_inputs_at_offsets) == (1024, 0, 1024, 4096, 256, 8, False)
    cases = []
    for pieces in values(rng):
        content = b"".join(bytes(piece) * times for piece, times in pieces)
        _, features = magika._get_result_or_features_from_seekable(Seekable(io.BytesIO(content)))
        window = features and fingerprint([*features.beg, *features.mid, *features.end])
        cases.append({"pieces": pieces, "window": window})
    small = []
    for _ in range(200):
        head, tail = rng.randrange(0, 9), rng.randrange(0, 9)
        block = max(head, tail) + rng.randrange(1, 9)
        content = bytes(rng.choice([*SPACE, 0, 0x1C, 0x85, 0xFF, 0x61, 0x62]) for _ in range(rng.randrange(0, 40)))
        made = Magika._extract_features_from_seekable(Seekable(io.BytesIO(content)), head, 0, tail, 256, block, False)
        small.append([head, tail, block, list(content), [*made.beg, *made.end]])
    # A window of no numbers is no window.
    small = [case for case in small if case[0] + case[1]]
    expected = {"magika": cases, "small": small}
    path = Path(__file__).parent / "expected.json"
    path.write_text(json.dumps(expected, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
