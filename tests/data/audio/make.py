#!/usr/bin/env python3
"""Writes the WAV files that the tests of the audio step read, and the samples that Python has for them.

    pip install numpy==2.4.6 soundfile==0.14.0
    python tests/data/audio/make.py

The files of integers are written by Python's `wave`, those of floats and the extensible ones by libsndfile (soundfile);
all are read by libsndfile. `NAME.wav` has `NAME.f32` beside it: one 32-bit float for each sample, channels side by side.
"""

import wave
from pathlib import Path

import numpy as np
import soundfile

HERE = Path(__file__).parent
RATE = 8_000
FRAMES = 200


def integers(rng, bits, channels):
    """Noise with the smallest and largest values, as bytes of a WAV file."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    values = rng.integers(low, high, size=(FRAMES, channels), endpoint=True)
    values[:6, 0] = [low, high, 0, -1, 1, low + 1]
    if bits == 8:
        return (values + 128).astype(np.uint8).tobytes()
    if bits == 24:
        return values.astype("<i4").reshape(-1, 1).view(np.uint8)[:, :3].tobytes()
    return values.astype(f"<i{bits // 8}").tobytes()


def main():
    rng = np.random.default_rng(4)
    for bits in [8, 16, 24, 32]:
        for channels in [1, 2]:
            with wave.open(str(HERE / f"pcm{bits}_{channels}.wav"), "wb") as file:
                file.setnchannels(channels)
                file.setsampwidth(bits // 8)
                file.setframerate(RATE)
                file.writeframes(integers(rng, bits, channels))
    floats = rng.uniform(-1, 1, size=(FRAMES, 3)).astype(np.float32)
    floats[:4, 0] = [-1, 1, 0, 1e-40]
    soundfile.write(HERE / "float_1.wav", floats[:, 0], RATE, subtype="FLOAT")
    soundfile.write(HERE / "float_3.wav", floats, RATE, subtype="FLOAT")
    soundfile.write(HERE / "extensible_3.wav", floats, RATE, subtype="PCM_16", format="WAVEX")
    soundfile.write(HERE / "extensible_float_1.wav", floats[:, 0], RATE, subtype="FLOAT", format="WAVEX")
    soundfile.write(HERE / "loud_1.wav", np.array([0.5, 1.25, -3.0, 1.0], np.float32), RATE, subtype="FLOAT")
    soundfile.write(HERE / "ulaw_1.wav", floats[:, 0], RATE, subtype="ULAW")
    soundfile.write(HERE / "double_1.wav", floats[:, 0], RATE, subtype="DOUBLE")
    for file in sorted(HERE.glob("*.wav")):
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
        assert rate == RATE
        (HERE / f"{file.stem}.f32").write_bytes(samples.astype("<f4").tobytes())
        if samples.shape[1] > 1:
            mean = samples.mean(axis=1, dtype=np.float64).astype("<f4")
            (HERE / f"{file.stem}.mean.f32").write_bytes(mean.tobytes())


if __name__ == "__main__":
    main()
