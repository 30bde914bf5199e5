"""Scores rows with ONNX Runtime in Python: what every program must answer.

  python reference.py MODEL < rows.jsonl
"""

import json
import sys

import numpy as np
import onnxruntime

rows = [json.loads(line) for line in sys.stdin]
values = np.array([[row["f%d" % n] for n in range(30)] for row in rows], dtype=np.float32)
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
print(json.dumps(session.run(["score"], {"X": values})[0][:, 0].tolist()))
