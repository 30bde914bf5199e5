"""What is measured: how each program is started, when it is ready, and what its answers look like."""

import json
import os
import struct
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

import machine
from machine import HERE, Broker, Process

# How many messages may be without an answer; the fastest number is found out first.
OVER_NATS = (256, 1024, 4096)
OVER_HTTP = (16, 64, 256)


class Target(NamedTuple):
    name: str
    """For the table."""
    how: str
    """Of a folder for its files and one of `settings`."""
    start: Callable[[Path, str], Process]
    ready: Callable[[], bool]
    """For the load generator."""
    address: List[str]
    in_flight: tuple
    """What its documentation leaves to the user (processes, mostly); the fastest is found out first."""
    settings: tuple
    """The score in an answer; none for what answers with the message itself."""
    score: Optional[Callable[[bytes], float]]

    @property
    def over_nats(self) -> bool:
        return self.address[0] == "nats"


class Programs(NamedTuple):
    """Paths of what is built."""

    forebay: str
    load: str
    bare: str
    model: str


def scalar(value: object) -> float:
    while isinstance(value, list):
        (value,) = value
    return float(value)  # type: ignore[arg-type]


def of_json(answer: bytes) -> float:
    return scalar(json.loads(answer)["score"])


def of_v2(answer: bytes) -> float:
    return scalar(json.loads(answer)["outputs"][0]["data"])


def of_v2_binary(answer: bytes) -> float:
    return struct.unpack("<f", answer[-4:])[0]


PIPELINE = """name: peers
source:
  nats: {{ url: "{url}", subject: {source} }}
fields:
{fields}
models:
  mlp: {{ path: "{model}", workers: 1, device: cpu }}
steps:
  - model: mlp
    inputs: {{ X: [{names}] }}
encode:
  json: {{ pass: [id], outputs: {{ score: score }} }}
sink:
  nats: {{ subject: {sink} }}
http: {{ listen: "127.0.0.1:{port}" }}
"""


def pipeline(model: str, url: str, source: str, sink: str, port: int) -> str:
    fields = ["f%d" % n for n in range(30)]
    return PIPELINE.format(
        url=url,
        source=source,
        sink=sink,
        model=model,
        port=port,
        fields="\n".join("  %s: { dtype: f32 }" % field for field in fields),
        names=", ".join(fields),
    )


def over_nats(name: str, how: str, command: List[str], broker: Broker, score: Optional[Callable] = of_json) -> Target:
    """A program that reads one subject and answers on another, which are the last of its arguments."""
    source, sink = name + ".in", name + ".out"

    def start(folder: Path, _: str) -> Process:
        # The broker may not have noticed yet that the one before is gone: it would be taken for this one.
        broker.wait_until_nobody_reads(source)
        return Process(name, [*command, broker.url, source, sink], folder / (name + ".log"))

    return Target(
        name,
        how,
        start,
        lambda: broker.has_reader(source),
        ["nats", broker.url, source, sink],
        OVER_NATS,
        ("",),
        score,
    )


def forebay(programs: Programs, broker: Broker) -> Target:
    port = machine.free_port()

    def start(folder: Path, _: str) -> Process:
        file = folder / "forebay.yaml"
        file.write_text(pipeline(programs.model, broker.url, "forebay.in", "forebay.out", port))
        environment = dict(os.environ, FOREBAY_LOG="warn")
        return Process("forebay", [programs.forebay, "run", str(file)], folder / "forebay.log", environment)

    return Target(
        "forebay",
        "one engine; checks, metrics and batching as by default",
        start,
        lambda: machine.answers("http://127.0.0.1:%d/readyz" % port),
        ["nats", broker.url, "forebay.in", "forebay.out"],
        OVER_NATS,
        ("",),
        of_json,
    )


def over_http(
    name: str, how: str, settings: tuple, command: Callable, path: str, form: str, ready: str, score: Callable
) -> Target:
    """A server; `command` makes its command line of a port, a setting and an empty folder."""
    port = machine.free_port()
    address = "127.0.0.1:%d" % port

    def start(folder: Path, setting: str) -> Process:
        own = folder / name
        own.mkdir()
        return Process(name, command(str(port), setting, str(own)), folder / (name + ".log"))

    return Target(
        name,
        how,
        start,
        lambda: machine.answers("http://" + address + ready),
        ["http", address, path, form],
        OVER_HTTP,
        settings,
        score,
    )


def every(programs: Programs, broker: Broker, pythons: Dict[str, Path]) -> List[Target]:
    """Every program, in the order of the table."""
    model = programs.model

    def script(python: str, file: str, *arguments: str) -> List[str]:
        return [str(pythons[python]), str(HERE / file), *arguments]

    return [
        over_nats("echo", "async-nats, gives each message back", [programs.bare, "echo"], broker, None),
        forebay(programs, broker),
        over_nats(
            "rust-loop",
            "by hand, one thread: async-nats, serde, ort; no checks, no metrics",
            [programs.bare, "by_hand"],
            broker,
        ),
        over_nats(
            "nats-py",
            "by hand, one process: nats-py, orjson, uvloop, ONNX Runtime on what has come in meanwhile",
            script("python", "nats_worker.py", model, "1"),
            broker,
        ),
        over_nats(
            "nats-py-2",
            "the same, two processes that share the subject",
            script("python", "nats_worker.py", model, "2"),
            broker,
        ),
        over_http(
            "triton",
            "dynamic batching, {} of the model (Python backend with ONNX Runtime), binary tensors over HTTP",
            ("1 instance", "2 instances"),
            lambda port, setting, folder: script("triton", "triton_server.py", model, port, setting[0], folder),
            "/v2/models/mlp/infer",
            "v2-binary",
            "/v2/health/ready",
            of_v2_binary,
        ),
        over_http(
            "fastapi",
            "{} of uvicorn, uvloop, httptools, Pydantic; what comes in one turn is run together",
            ("1 worker", "2 workers"),
            lambda port, setting, folder: script("python", "fastapi_app.py", model, port, setting[0]),
            "/predict",
            "json",
            "/ready",
            of_json,
        ),
        over_http(
            "mlserver",
            "adaptive batching (256 rows, 1 ms), {}, V2 in JSON",
            ("0 parallel workers", "1 parallel worker"),
            lambda port, setting, folder: script(
                "mlserver", "mlserver_model.py", model, port, str(machine.free_port()), setting[0], folder
            ),
            "/v2/models/mlp/infer",
            "v2",
            "/v2/models/mlp/ready",
            of_v2,
        ),
        over_http(
            "litserve",
            "batching (256 rows, 1 ms), {} for the API",
            ("1 process", "2 processes"),
            lambda port, setting, folder: script("python", "litserve_app.py", model, port, setting[0]),
            "/predict",
            "json",
            "/health",
            of_json,
        ),
    ]
