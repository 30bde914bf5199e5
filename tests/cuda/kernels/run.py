#!/usr/bin/env python3
"""Run the CUDA kernels on the host, against references in double precision. Needs g++, and neither a GPU nor nvcc.

Each tests/cuda/kernels/NAME.cpp becomes two programs under target/cuda-kernels/: a plain one, which runs every case in 16
schedules, and one with the address and undefined-behaviour sanitizers, which runs 4. A program whose sources (found by the
compiler), flags and compiler have not changed since it last passed is not run again.

  run.py              all of them
  run.py NAME ...     some
  run.py --fresh      all, whether they passed before or not

environment:
  CXX                 the compiler (g++)
  CARGO_TARGET_DIR    where target/ is
"""

import sys

if sys.version_info < (3, 8):
    sys.exit("kernels: Python 3.8 or newer is needed, not %d.%d: install it, and run this again." % sys.version_info[:2])

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[2]
BASE_FLAGS = [
    "-std=c++17", "-DGPU_HOST_SHIM", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas",
    "-ffp-contract=off",
]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
# With optimisation the sanitizers take three times as long to compile as they save in running.
TIMEOUT = 300


class Flavour(NamedTuple):
    name: str
    flags: List[str]
    schedules: int


PLAIN = Flavour("plain", ["-O1"], 16)
SANITIZED = Flavour("sanitized", ["-O0", "-g1", *SANITIZERS], 4)


class Outcome(NamedTuple):
    name: str
    passed: bool
    cached: bool
    text: str
    seconds: float


def compiler() -> str:
    """The compiler's path, or the end with a sentence."""
    name = os.environ.get("CXX", "g++")
    found = shutil.which(name)
    if not found:
        sys.exit(
            "kernels: the compiler `%s` was not found: install it (Debian: apt-get install g++) or name another in CXX; "
            "the CUDA kernels are tested by compiling them as C++." % name
        )
    return found


def include_flags(kernels: Path) -> List[str]:
    return ["-I%s" % kernels, "-I%s" % (HERE.parent / "shim"), "-I%s" % HERE]


def command(cxx: str, source: Path, program: Path, flavour: Flavour, kernels: Path) -> List[str]:
    return [cxx, *BASE_FLAGS, *flavour.flags, *include_flags(kernels), "-MMD", "-MF", "%s.d" % program, str(source), "-o", str(program)]


def environment(schedules: int) -> Dict[str, str]:
    # Fibers' stacks live as long as the program does.
    return {**os.environ, "SHIM_SEEDS": str(schedules), "ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}


def digest(paths: List[str], extra: List[str]) -> Optional[str]:
    """A hash over the flags and the files' contents, or None where a file is gone."""
    sha = hashlib.sha256(json.dumps(extra).encode())
    for path in paths:
        try:
            content = Path(path).read_bytes()
        except OSError:
            return None
        sha.update(path.encode() + b"\0" + hashlib.sha256(content).digest())
    return sha.hexdigest()


def dependencies(program: Path) -> List[str]:
    """The project's files that the compiler read for a program."""
    text = Path("%s.d" % program).read_text().replace("\\\n", " ").split(":", 1)[1]
    return sorted(path for path in text.split() if path.startswith(str(PROJECT)))


def passed_before(program: Path, extra: List[str]) -> bool:
    try:
        stamp = json.loads(Path("%s.passed" % program).read_text())
        return bool(stamp["files"]) and digest(stamp["files"], extra) == stamp["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def test(cxx: str, version: str, source: Path, flavour: Flavour, out: Path, fresh: bool) -> Outcome:
    start = time.monotonic()
    name = "%s (%s)" % (source.stem, flavour.name)
    program = out / ("%s-%s" % (source.stem, flavour.name))
    build = command(cxx, source, program, flavour, PROJECT / "kernels")
    extra = [version, str(flavour.schedules), *build]
    if not fresh and passed_before(program, extra):
        return Outcome(name, True, True, "", 0.0)
    stamp = Path("%s.passed" % program)
    if stamp.exists():
        stamp.unlink()
    built = subprocess.run(build, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if built.returncode != 0:
        return Outcome(name, False, False, built.stdout, time.monotonic() - start)
    try:
        ran = subprocess.run(
            [str(program)], env=environment(flavour.schedules), timeout=TIMEOUT,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, errors="replace",
        )
    except subprocess.TimeoutExpired:
        return Outcome(name, False, False, "did not end within %d s" % TIMEOUT, time.monotonic() - start)
    if ran.returncode == 0:
        files = dependencies(program)
        stamp.write_text(json.dumps({"files": files, "digest": digest(files, extra)}))
    return Outcome(name, ran.returncode == 0, False, ran.stdout, time.monotonic() - start)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="which tests (all unless named)")
    parser.add_argument("--fresh", action="store_true", help="run what passed before too")
    args = parser.parse_args()

    sources = sorted(HERE.glob("*.cpp"))
    unknown = set(args.names) - {source.stem for source in sources}
    if unknown:
        sys.exit("kernels: there is no test %s in %s" % (", ".join(sorted(unknown)), HERE))
    if args.names:
        sources = [source for source in sources if source.stem in args.names]

    cxx = compiler()
    version = subprocess.run([cxx, "--version"], stdout=subprocess.PIPE, universal_newlines=True).stdout
    out = Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target")) / "cuda-kernels"
    out.mkdir(parents=True, exist_ok=True)
    jobs = [(source, flavour) for flavour in (SANITIZED, PLAIN) for source in sources]
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        outcomes = list(pool.map(lambda job: test(cxx, version, job[0], job[1], out, args.fresh), jobs))

    for outcome in outcomes:
        if not outcome.passed:
            print("FAILED %s\n%s" % (outcome.name, outcome.text))
    failed = sum(not outcome.passed for outcome in outcomes)
    print("kernels: %d of %d programs passed (%d unchanged since they last did)" % (
        len(outcomes) - failed, len(outcomes), sum(outcome.cached for outcome in outcomes)))
    return 1 if failed or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
