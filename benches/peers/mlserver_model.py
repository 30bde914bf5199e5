"""A runtime of MLServer's own kind, with its adaptive batching (`max_batch_size`, `max_batch_time`).

  python mlserver_model.py MODEL PORT OTHER_PORT WORKERS FOLDER

writes the settings into FOLDER and starts MLServer there.
"""

import json
import os
import sys
from pathlib import Path

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Mlp(MLModel):
    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        model = self.settings.parameters.uri
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0])
        scores = self.session.run(["score"], {"X": rows})[0]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("score", scores)])


def main(model: str, port: str, other_port: str, workers: str, folder: str) -> None:
    settings = {
        "debug": False,
        "host": "127.0.0.1",
        "http_port": int(port),
        "grpc_port": int(other_port),
        "metrics_endpoint": None,
        "parallel_workers": int(workers),
    }
    of_model = {
        "name": "mlp",
        "implementation": "mlserver_model.Mlp",
        "max_batch_size": 256,
        "max_batch_time": 0.001,
        "parameters": {"uri": model},
    }
    Path(folder, "settings.json").write_text(json.dumps(settings))
    Path(folder, "model-settings.json").write_text(json.dumps(of_model))
    here = os.path.dirname(os.path.abspath(__file__))
    os.environ["PYTHONPATH"] = here
    program = os.path.join(os.path.dirname(sys.executable), "mlserver")
    os.execv(program, [program, "start", folder])


if __name__ == "__main__":
    main(*sys.argv[1:])
