"""A model of Triton's Python backend: ONNX Runtime on what Triton's dynamic batcher put together.

The wheel `nvidia-pytriton` carries the server and this backend, not the one for ONNX Runtime.
"""

import os
import sys

# The backend starts a Python of its own, without the packages of the one that the wheel is in.
sys.path.insert(0, os.environ["PEER_PACKAGES"])

import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
import triton_python_backend_utils as triton  # noqa: E402


class TritonPythonModel:
    def initialize(self, args: dict) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            os.environ["PEER_MODEL"], options, providers=["CPUExecutionProvider"]
        )

    def execute(self, requests: list) -> list:
        inputs = [triton.get_input_tensor_by_name(request, "X").as_numpy() for request in requests]
        rows = np.concatenate(inputs) if len(inputs) > 1 else inputs[0]
        scores = self.session.run(["score"], {"X": rows})[0]
        responses, start = [], 0
        for one in inputs:
            part = scores[start : start + len(one)]
            start += len(one)
            responses.append(triton.InferenceResponse([triton.Tensor("score", part)]))
        return responses
