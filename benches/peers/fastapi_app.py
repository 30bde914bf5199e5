"""A FastAPI application, as its documentation has it: a model of the body, checked by Pydantic, and
uvicorn with uvloop and httptools. FastAPI has no batching; what comes in one turn of the loop goes
through the model together.

  python fastapi_app.py MODEL PORT WORKERS
"""

import asyncio
import os
import sys

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, create_model

FIELDS = ["f%d" % n for n in range(30)]
MOST = 256

Row = create_model("Row", **{field: (float, ...) for field in FIELDS})


class Result(BaseModel):
    score: float


class Batcher:
    def __init__(self, model: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.waiting = []

    async def score(self, row: list) -> float:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        if not self.waiting:
            loop.call_soon(self.run)
        self.waiting.append((row, future))
        return await future

    def run(self) -> None:
        batch, self.waiting = self.waiting, []
        for start in range(0, len(batch), MOST):
            part = batch[start : start + MOST]
            rows = np.array([row for row, _ in part], dtype=np.float32)
            scores = self.session.run(["score"], {"X": rows})[0]
            for (_, future), score in zip(part, scores[:, 0].tolist()):
                if not future.done():
                    future.set_result(score)


app = FastAPI()
batcher = Batcher(os.environ["PEER_MODEL"]) if "PEER_MODEL" in os.environ else None


@app.post("/predict")
async def predict(row: Row) -> Result:
    return Result(score=await batcher.score([getattr(row, field) for field in FIELDS]))


@app.get("/ready")
async def ready() -> dict:
    return {}


if __name__ == "__main__":
    os.environ["PEER_MODEL"] = sys.argv[1]
    uvicorn.run(
        "fastapi_app:app",
        host="127.0.0.1",
        port=int(sys.argv[2]),
        workers=int(sys.argv[3]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        app_dir=os.path.dirname(os.path.abspath(__file__)),
    )
