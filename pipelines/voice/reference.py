"""Writes voice/sample.jsonl and expected.jsonl.

Two sentences out of "Sense and Sensibility" stand for two speakers (LibriVox, public domain; they lie in the tests of the
pocketsphinx package), and a machine hums. What is expected is what the silero-vad package's wrapper for ONNX Runtime
computes, chunk after chunk, for one speaker after another.

    make models && pip install -r pipelines/requirements.txt
    python pipelines/voice/reference.py
"""

import base64
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import wave
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import plain, session, write_jsonl  # noqa: E402

MODEL = HERE.parent.parent / ".models" / "silero" / "model.onnx"
RATE, CHUNK, CONTEXT = 16000, 512, 64
SOURCE = ("pocketsphinx==5.1.1", "675778b309a22dfc9b7d37f7621976bba491d2a5f8c59696bd77fd6d07271355")
FOLDER = "pocketsphinx-5.1.1/test/data/librivox/sense_and_sensibility_01_austen_64kb-"


def recordings():
    """The named recordings out of the source package, which is downloaded, checked by hash and not installed."""
    requirement, sha256 = SOURCE
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        name = requirement.split("==")[0]
        wanted = ["--no-deps", "--no-binary", name, "--dest", folder, requirement]
        subprocess.run(pip + wanted, check=True)
        archive = next(Path(folder).glob("*.tar.gz")).read_bytes()
    found = hashlib.sha256(archive).hexdigest()
    if found != sha256:
        raise SystemExit(f"{requirement}: the archive's SHA-256 is {found}, not {sha256}")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for number in ["0880", "0930"]:
            with wave.open(files.extractfile(f"{FOLDER}{number}.wav")) as wav:
                assert (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) == (RATE, 1, 2)
                yield np.frombuffer(wav.readframes(wav.getnframes()), "<i2")


def hum():
    """Two seconds of a machine: 50 Hz with overtones, and noise."""
    time = np.arange(2 * RATE) / RATE
    tones = sum(np.sin(2 * np.pi * 50 * n * time) / n for n in range(1, 6))
    noise = np.random.default_rng(7).normal(0, 0.3, len(time))
    return np.clip(2500 * (tones + noise), -32768, 32767).astype("<i2")


class Wrapper:
    """What `OnnxWrapper` of silero-vad 6.2.3 does for one speaker, without PyTorch."""

    def __init__(self, model):
        self.model = model
        self.state = np.zeros((2, 1, 128), np.float32)
        self.context = np.zeros((1, CONTEXT), np.float32)

    def __call__(self, samples):
        heard = np.concatenate([self.context, samples[None]], 1)
        feeds = {"input": heard, "state": self.state, "sr": np.array(RATE, np.int64)}
        speech, self.state = self.model.run(["output", "stateN"], feeds)
        self.context = heard[:, -CONTEXT:]
        return speech[0, 0]


def main():
    model = session(MODEL)
    sounds = dict(zip(["left", "right"], recordings()))
    sounds["pump"] = hum()
    chunks = []
    for speaker, sound in sounds.items():
        whole = len(sound) // CHUNK
        hears = Wrapper(model)
        for number, chunk in enumerate(sound[: whole * CHUNK].reshape(whole, CHUNK)):
            speech = hears(chunk.astype(np.float32) / 32768)
            row = {"speaker": speaker, "number": number}
            chunks.append((number / whole, row, chunk, speech))
    # They speak at the same time.
    chunks.sort(key=lambda one: one[0])
    write_jsonl(HERE / "sample.jsonl", [row | {"chunk": base64.b64encode(chunk.tobytes()).decode()}
                                        for _, row, chunk, _ in chunks])
    write_jsonl(HERE / "expected.jsonl", [row | {"speech": plain(speech)} for _, row, _, speech in chunks])
    for speaker in sounds:
        scores = [speech for _, row, _, speech in chunks if row["speaker"] == speaker]
        print(f"{speaker}: {len(scores)} chunks, {sum(score > 0.5 for score in scores)} with speech")


if __name__ == "__main__":
    main()
