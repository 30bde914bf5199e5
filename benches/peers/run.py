#!/usr/bin/env python3
"""Measure forebay beside other programs that do the same work, in turns, on this machine.

`make bench-peers` builds what is needed and calls this. Every program gets the same rows and the
same model; in each round each is started, its answers are compared with ONNX Runtime's, and then

  flood    as many messages as it can take: messages/s, and CPU time a message of its processes
  alone    one message in flight: latency
  at 70 %  of the messages/s that it has just shown, sent by a timetable: latency, counted from when
           a message should have been sent

and stopped again. Writes docs/peers.md and docs/peers.svg.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parent))
import machine  # noqa: E402
import report  # noqa: E402
import targets  # noqa: E402
from machine import PROJECT, Broker, Problem, Process, say  # noqa: E402
from targets import Programs, Target  # noqa: E402

CHECKED = 64
TOLERANCE = 1e-5


def built(cargo: str) -> Programs:
    """Builds the benchmark programs, and finds them."""
    command = [cargo, "bench", "--locked", "--no-run", "--bench", "end_to_end", "--bench", "peers"]
    done = subprocess.run([*command, "--message-format=json"], cwd=str(PROJECT), stdout=subprocess.PIPE)
    if done.returncode != 0:
        raise Problem("the benchmark programs could not be built: see above")
    found = {}
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable"):
            found[message["target"]["name"]] = message["executable"]
    return Programs(
        forebay=found["forebay"],
        load=found["peers"],
        bare=found["end_to_end"],
        model=str(PROJECT / "tests/data/models/mlp30/model.onnx"),
    )


class Started:
    """A program that runs, until the end of a `with`."""

    def __init__(self, process: Process, folder: Path) -> None:
        self.process, self.folder = process, folder

    def __enter__(self) -> Process:
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.stop()
        shutil.rmtree(str(self.folder), ignore_errors=True)


class Bench:
    def __init__(self, programs: Programs, broker: Broker, python: Path, folder: Path, seconds: float) -> None:
        self.programs, self.broker, self.folder, self.seconds = programs, broker, folder, seconds
        self.best: Dict[str, Tuple[str, int]] = {}
        rows = self.load("rows", str(CHECKED))
        command = [str(python), str(machine.HERE / "reference.py"), programs.model]
        done = subprocess.run(command, input=rows, stdout=subprocess.PIPE, universal_newlines=True, check=True)
        self.expected = json.loads(done.stdout)

    def load(self, *arguments: str) -> str:
        command = [self.programs.load, *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
        if done.returncode != 0:
            raise Problem("the load generator failed ({}):\n{}".format(" ".join(arguments), done.stderr.strip()))
        return done.stdout

    def run(self, mode: str, target: Target, in_flight: int, seconds: float, *more: str) -> dict:
        milliseconds = str(int(seconds * 1000))
        return json.loads(self.load(mode, *target.address, str(in_flight), milliseconds, *more))

    def check(self, target: Target) -> None:
        """Every answer must be what ONNX Runtime gives in Python."""
        answers = [bytes.fromhex(line) for line in self.load("check", *target.address, str(CHECKED)).split()]
        if target.score is None:
            return
        for number, (answer, expected) in enumerate(zip(answers, self.expected)):
            score = target.score(answer)
            if abs(score - expected) > TOLERANCE:
                raise Problem("{}: row {} is {}, expected {}".format(target.name, number, score, expected))

    def started(self, target: Target, setting: str) -> Started:
        folder = Path(tempfile.mkdtemp(dir=str(self.folder)))
        process = target.start(folder, setting)
        try:
            process.wait_until(target.ready)
            self.check(target)
            self.run("flood", target, target.in_flight[1], 1.0)
        except BaseException:
            process.stop()
            raise
        return Started(process, folder)

    def tune(self, target: Target) -> None:
        """Finds the setting and the number in flight with which it is fastest."""
        rates: Dict[Tuple[str, int], float] = {}
        for setting in target.settings:
            with self.started(target, setting):
                # There and back: one slow moment must not decide.
                for count in [*target.in_flight, *target.in_flight[::-1]]:
                    rate = self.run("flood", target, count, 0.8)["per_second"]
                    rates[setting, count] = rates.get((setting, count), 0.0) + rate
        self.best[target.name] = max(rates, key=lambda key: rates[key])

    def turn(self, target: Target) -> dict:
        if target.name not in self.best:
            self.tune(target)
        setting, count = self.best[target.name]
        with self.started(target, setting) as process:
            own, brokers = process.cpu_seconds(), self.broker.process.cpu_seconds()
            flood = self.run("flood", target, count, self.seconds)
            own, brokers = process.cpu_seconds() - own, self.broker.process.cpu_seconds() - brokers
            alone = self.run("flood", target, 1, self.seconds / 2)
            rate = 0.7 * flood["per_second"]
            steady = self.run("open", target, count, self.seconds, str(rate))
        return {
            "per_second": flood["per_second"],
            "cpu_us": own / flood["messages"] * 1e6,
            "broker_us": brokers / flood["messages"] * 1e6 if target.over_nats else None,
            "alone_p50_us": alone["p50_us"],
            "alone_p99_us": alone["p99_us"],
            "steady_p50_us": steady["p50_us"],
            "steady_p99_us": steady["p99_us"],
        }


def measure(bench: Bench, everyone: List[Target], rounds: int) -> Dict[str, List[dict]]:
    results: Dict[str, List[dict]] = {target.name: [] for target in everyone}
    for number in range(rounds):
        # Turns change places, so that a slow minute of the machine does not always hit the same one.
        order = everyone if number % 2 == 0 else everyone[::-1]
        for target in order:
            turn = bench.turn(target)
            results[target.name].append(turn)
            say(
                "round {}/{}  {:<10} {:>9,.0f} messages/s  {:>7.1f} µs CPU  alone p50 {:>7.0f} µs  "
                "at 70 %: p99 {:>8.2f} ms".format(
                    number + 1,
                    rounds,
                    target.name,
                    turn["per_second"],
                    turn["cpu_us"],
                    turn["alone_p50_us"],
                    turn["steady_p99_us"] / 1e3,
                )
            )
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cargo", default="cargo")
    parser.add_argument("--cache", type=Path, default=PROJECT / "target" / "peers", help="for the packages")
    parser.add_argument("--out", type=Path, default=PROJECT / "docs", help="where peers.md and peers.svg go")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each flood")
    parser.add_argument("--only", action="append", help="measure this program alone (may be repeated)")
    args = parser.parse_args()
    # Whoever stops this with a signal must not leave servers behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        programs = built(args.cargo)
        cache = args.cache.resolve()
        cache.mkdir(parents=True, exist_ok=True)
        pythons = {name: machine.python_with(name, cache) for name in ("python", "mlserver", "triton")}
        with tempfile.TemporaryDirectory(prefix="forebay-peers-") as folder:
            with machine.broker(Path(folder)) as broker:
                everyone = targets.every(programs, broker, pythons)
                wanted = [target for target in everyone if not args.only or target.name in args.only]
                bench = Bench(programs, broker, pythons["python"], Path(folder), args.seconds)
                started, load = time.time(), os.getloadavg()[0]
                if load > 0.5:
                    say("the machine is busy (load average {:.1f}): the figures will be too low".format(load))
                results = measure(bench, wanted, args.rounds)
                about = report.About(
                    machine=machine.words(),
                    versions=versions(programs, broker),
                    rounds=args.rounds,
                    seconds=args.seconds,
                    minutes=(time.time() - started) / 60,
                    load=load,
                    best=bench.best,
                )
        report.write(args.out, wanted, results, about)
    except Problem as problem:
        say("bench-peers: {}".format(problem))
        return 1
    except KeyboardInterrupt:
        say("bench-peers: stopped; nothing was written")
        return 130
    return 0


def versions(programs: Programs, broker: Broker) -> List[str]:
    said = subprocess.run([programs.forebay, "--version"], stdout=subprocess.PIPE, universal_newlines=True)
    found = [said.stdout.strip(), broker.version]
    wanted = {"python": ("nats-py", "fastapi", "uvicorn", "litserve", "onnxruntime"), "mlserver": ("mlserver",)}
    for name, packages in wanted.items():
        for line in (machine.HERE / "requirements" / (name + ".txt")).read_text().splitlines():
            package, _, version = line.partition("==")
            if package in packages:
                found.append("{} {}".format(package, version))
    # The wheel is of another number than the server that is in it.
    found.append("Triton 2.51.0 (nvidia-pytriton 0.7.0)")
    return found


if __name__ == "__main__":
    sys.exit(main())
