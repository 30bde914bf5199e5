"""Writes sentences/sample.jsonl and expected.jsonl.

What is expected is worked out in Python, sentence by sentence and without padding: Hugging Face's tokenizers, the
model in Python's onnxruntime, and the mean and the length in numpy.

    make models && pip install -r pipelines/requirements.txt && python pipelines/sentences/reference.py
"""

import sys
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import session, write_jsonl  # noqa: E402

MODELS = HERE.parent.parent / ".models"
MAX_LENGTH = 64  # pipeline.yaml's

# Four ways to say each of these, then what is hard to read.
SENTENCES = [
    "The pump on the north field has stopped.",
    "There is no water coming from the northern pump.",
    "The irrigation at the top of the farm broke down.",
    "North pump: flow 0 l/min since 06:40.",
    "How much will the harvest be worth this year?",
    "What price can we get for the crop?",
    "I wonder what the yield will sell for.",
    "Please estimate our revenue from the coming harvest.",
    "It is going to rain all night.",
    "The forecast says heavy showers until the morning.",
    "Take an umbrella, it will be wet.",
    "80 % chance of precipitation, 22 mm.",
    "The invoice was paid twice by mistake.",
    "We were charged two times for the same bill.",
    "Please refund the second payment.",
    "DUPLICATE PAYMENT!!! invoice #4711",
    "Die Pumpe auf dem Nordfeld steht still.",
    "La pompe du champ nord est en panne.",
    "北の畑のポンプが止まっています。",
    "naïve façades, Größenwahn & Ærøskøbing — 3,141.59 m³ 🚜",
    "tab\tand\nnew line,   many   spaces",
    "x",
    "",
    "A sentence that never ends, because it has more words than fit into a row, " * 8,
]


def main():
    tokenizer = Tokenizer.from_file(str(MODELS / "tokenizer" / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_LENGTH)
    model = session(MODELS / "minilm" / "model.onnx")
    samples, expected, vectors = [], [], []
    for index, text in enumerate(SENTENCES):
        tokens = tokenizer.encode(text)
        feeds = {"input_ids": tokens.ids, "attention_mask": tokens.attention_mask, "token_type_ids": tokens.type_ids}
        (states,) = model.run(None, {name: np.array([ids], dtype=np.int64) for name, ids in feeds.items()})
        pooled = states[0].astype(np.float64).mean(axis=0)
        vector = pooled / np.linalg.norm(pooled)
        vectors.append(vector)
        samples.append({"id": index, "text": text})
        expected.append({"id": index, "tokens": len(tokens.ids), "vector": [round(float(x), 6) for x in vector]})
    write_jsonl(HERE / "sample.jsonl", samples)
    write_jsonl(HERE / "expected.jsonl", expected)

    cosines = np.array(vectors) @ np.array(vectors).T
    np.fill_diagonal(cosines, -1)
    nearest = cosines[:16].argmax(axis=1)
    print(f"{len(SENTENCES)} sentences; of the first 16, {sum(nearest // 4 == np.arange(16) // 4)} "
          "are nearest to one that says the same")


if __name__ == "__main__":
    main()
