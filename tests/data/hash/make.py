#!/usr/bin/env python3
"""Writes the hashes that the tests of the hash step read: what scikit-learn's own code makes of them.

    pip install scikit-learn==1.9.1
    python tests/data/hash/make.py
"""

import json
from pathlib import Path

from sklearn.feature_extraction import FeatureHasher
from sklearn.utils import murmurhash3_32

# Every length modulo four, and beyond ASCII.
TEXTS = ["", "a", "ab", "abc", "abcd", "abcde", "own", "rent", "mortgage", "straße", "東京", "city=Zürich", "\x00", "a b\n", "🙂"]
TEXTS += ["x" * size for size in range(1, 40)] + [f"user-{number}" for number in range(40)]


def row(places, prefix, text, signed):
    hasher = FeatureHasher(n_features=places, input_type="string", alternate_sign=signed)
    made = hasher.transform([[prefix + text]])
    place, number = int(made.indices[0]), float(made.data[0])
    return {"places": places, "prefix": prefix, "text": text, "signed": signed, "place": place, "number": number}


hashes = [[text, int(murmurhash3_32(text, seed=0))] for text in TEXTS]
rows = [
    row(places, prefix, text, signed)
    for places in (1, 2, 7, 64, 1000, 65536)
    for prefix in ("", "city=")
    for signed in (True, False)
    for text in TEXTS[:15] + TEXTS[-8:]
    if prefix + text
]
path = Path(__file__).parent / "expected.json"
lines = ",\n".join(json.dumps(one) for one in rows)
path.write_text(f'{{"hashes": {json.dumps(hashes)},\n"rows": [\n{lines}\n]}}\n')
