"""A worker as one would write it by hand: nats-py, and ONNX Runtime on what has come in meanwhile.

  python nats_worker.py MODEL WORKERS URL INPUT OUTPUT

What waits in the subscription when the model is free goes through it together, 256 rows at most:
no timer, and nothing waits that need not. Several workers are processes that share the subject.
"""

import asyncio
import os
import sys

import nats
import numpy as np
import onnxruntime
import orjson
import uvloop

FIELDS = ["f%d" % n for n in range(30)]
MOST = 256


async def main(model: str, url: str, source: str, sink: str) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # on so small a model a second thread only costs
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    connection = await nats.connect(url)
    waiting = []
    subscription = None  # the first message may be here before `subscribe` has returned

    async def on_message(message: "nats.aio.msg.Msg") -> None:
        waiting.append(orjson.loads(message.data))
        if subscription and subscription.pending_msgs and len(waiting) < MOST:
            return
        rows = np.array([[row[field] for field in FIELDS] for row in waiting], dtype=np.float32)
        scores = session.run(["score"], {"X": rows})[0]
        for row, score in zip(waiting, scores[:, 0].tolist()):
            await connection.publish(sink, orjson.dumps({"id": row["id"], "score": score}))
        waiting.clear()

    subscription = await connection.subscribe(
        source, queue="workers", cb=on_message, pending_msgs_limit=1 << 20, pending_bytes_limit=1 << 30
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    model, workers, *rest = sys.argv[1:]
    for _ in range(int(workers) - 1):
        if os.fork() == 0:
            break
    uvloop.run(main(model, *rest))
