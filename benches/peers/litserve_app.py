"""A LitServe server with its own batching: `max_batch_size` and `batch_timeout`.

  python litserve_app.py MODEL PORT API_PROCESSES
"""

import sys

import litserve
import numpy as np
import onnxruntime

FIELDS = ["f%d" % n for n in range(30)]


class Api(litserve.LitAPI):
    def setup(self, device: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])

    def decode_request(self, request: dict) -> np.ndarray:
        return np.array([request[field] for field in FIELDS], dtype=np.float32)

    def batch(self, inputs: list) -> np.ndarray:
        return np.stack(inputs)

    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.session.run(["score"], {"X": rows})[0]

    def unbatch(self, scores: np.ndarray) -> list:
        return scores[:, 0].tolist()

    def encode_response(self, score: float) -> dict:
        return {"score": score}


if __name__ == "__main__":
    server = litserve.LitServer(Api(max_batch_size=256, batch_timeout=0.001), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[2]),
        num_api_servers=int(sys.argv[3]),
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )
