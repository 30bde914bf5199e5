#!/usr/bin/env python3
"""Pack what a machine with a GPU needs to prove and measure the CUDA engine, into one folder: no Rust, no network there.

    gpu_bundle.py FOLDER      writes FOLDER/{run.sh, torch_variants.py, parts.tar.gz, README.md}

`make gpu-bundle` builds the programs first. The parts: forebay and the benchmark, stripped; ONNX Runtime; nats-server; ONNX's
own cases of operators, the exported models of the tests and small models of well-known shapes, with what ONNX Runtime
gives for them on the CPU. Cases of operators that ONNX Runtime does not pass on the CPU are left out: they say nothing of a GPU.
"""

import sys

if sys.version_info < (3, 8):
    sys.exit("gpu_bundle: Python 3.8 or newer is needed, not %d.%d: install it, and run this again." % sys.version_info[:2])

import argparse
import collections
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
# What a machine that is lent for half an hour takes.
MOST = 60 << 20
# Cases of operators with more data than this say nothing that smaller ones don't.
LARGEST_CASE = 256 << 10


def say(text):
    print("gpu_bundle: " + text, file=sys.stderr, flush=True)


def benchmark():
    """The benchmark's program, as cargo names it."""
    command = ["cargo", "bench", "--locked", "--bench", "gpu", "--no-run", "--message-format=json-render-diagnostics"]
    made = subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.PIPE).stdout
    for line in made.decode().splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact" and message["target"]["name"] == "gpu" and message["executable"]:
            return Path(message["executable"])
    sys.exit("gpu_bundle: cargo built no benchmark named gpu")


def strip(source, target):
    subprocess.run(["strip", "--strip-all", "-o", str(target), str(source)], check=True)
    target.chmod(0o755)


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def not_passed(report):
    """Of what `forebay verify --json` wrote on the CPU, the cases that do not pass: by name, in what way."""
    found = {}
    for data in report["data_sets"]:
        if data["result"] == "passed":
            continue
        if data["result"] != "failed":
            way = "it lacks the operator, the type or the version"
        elif data["why"].startswith("output `"):
            way = "it gives something else than ONNX has written down"
        else:
            way = "it refuses to load or to run them"
        found.setdefault(Path(data["data_set"]).parent.name, way)
    return found


def leave_out(program, known, ours, environment):
    """Removes the cases that ONNX Runtime does not pass on the CPU, and says how many, and why."""
    # Where a case wants a locale, a machine may have it or not: here none has. Those cases are left out.
    environment = dict(environment, LOCPATH="/nowhere")
    command = [str(program), "verify", str(known), "--device", "cpu", "--json"]
    ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    # 1: some differ. 69: some cannot be run.
    if ran.returncode not in (0, 1, 69):
        sys.exit("gpu_bundle: %s: exit %d: %s" % (" ".join(command), ran.returncode, ran.stderr.decode(errors="replace")))
    found = not_passed(json.loads(ran.stdout.decode()))
    wrong = sorted(set(found) & ours)
    if wrong:
        sys.exit("gpu_bundle: on the CPU these do not give what they gave a moment ago: %s" % ", ".join(wrong))
    for name in found:
        shutil.rmtree(known / name)
    ways = collections.Counter(found.values())
    return ["%d cases of operators that ONNX Runtime does not pass on the CPU: %s" % (count, way) for way, count in ways.most_common()]


def pack(folder, cases):
    target = Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target"))
    runtime = Path(os.environ.get("FOREBAY_ONNXRUNTIME") or PROJECT / ".runtime/onnxruntime/libonnxruntime.so")
    server = Path(os.environ.get("FOREBAY_NATS_SERVER") or PROJECT / ".runtime/nats-server/nats-server")
    with tempfile.TemporaryDirectory() as scratch:
        parts = Path(scratch)
        strip(target / "release/forebay", parts / "forebay")
        program = benchmark()
        strip(program, parts / "gpu")
        shutil.copy(runtime, parts / "libonnxruntime.so")
        shutil.copy(server, parts / "nats-server")
        known = parts / "cases"
        known.mkdir()
        environment = dict(os.environ, FOREBAY_ONNXRUNTIME=str(runtime))
        command = [str(program), "--cases", str(known), "--models", str(PROJECT / "tests/data/models")]
        subprocess.run(command, check=True, env=environment)
        ours = {case.name for case in known.iterdir()}
        large = 0
        for case in sorted(cases.iterdir()) if cases else []:
            if size_of(case) > LARGEST_CASE:
                large += 1
            else:
                shutil.copytree(case, known / case.name)
        left_out = leave_out(parts / "forebay", known, ours, environment)
        if large:
            left_out.append("%d cases of operators for their size" % large)
        for line in left_out:
            say("left out: " + line)
        count = sum(1 for case in known.iterdir() if case.is_dir())
        contents = [(path.name, size_of(path) if path.is_dir() else path.stat().st_size) for path in sorted(parts.iterdir())]
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        with tarfile.open(folder / "parts.tar.gz", "w:gz", compresslevel=6) as archive:
            for path in sorted(parts.iterdir()):
                archive.add(path, path.name)
    for name in ("run.sh", "torch_variants.py"):
        shutil.copy(PROJECT / "benches/gpu" / name, folder / name)
    lines = ["- `%s`: %.1f MB" % (name + (", %d cases" % count if name == "cases" else ""), size / 1e6) for name, size in contents]
    (folder / "README.md").write_text(
        "# forebay on a GPU\n\nOn Linux (x86-64) with an NVIDIA driver, 580 or newer: `./run.sh`. It says what is there, compares with ONNX Runtime\n"
        "on the CPU, runs compute-sanitizer and PyTorch where they are, measures, and writes `results/report.md` and `results/report.json`.\n\n"
        "In `parts.tar.gz`, unpacked on the first run:\n\n" + "\n".join(lines + ["- left out: " + line for line in left_out]) + "\n"
    )
    return size_of(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=Path, help="ONNX's cases of operators, as onnx_node_tests.py writes them")
    args = parser.parse_args()
    size = pack(args.folder, args.cases)
    say("%s: %.1f MiB" % (args.folder, size / 2**20))
    if size > MOST:
        sys.exit("gpu_bundle: that is more than the %d MiB that it may have" % (MOST >> 20))


if __name__ == "__main__":
    main()
