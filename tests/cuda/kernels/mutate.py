#!/usr/bin/env python3
"""Plant small faults in the CUDA kernels, one at a time, and see whether the tests notice.

Each fault is a change of one place: a barrier dropped, a comparison or an operator exchanged, a bound off by one, a test left out. A fault
is caught when a test that includes the file does not compile, fails, or does not end. What survives is printed. Survivors
that no test could catch stand in equivalent.txt, each with the reason.

  mutate.py                   every fault in every file
  mutate.py gather.cu ...     in some files
  mutate.py --sample 200      so many of them, the same ones every time
  mutate.py --list            print them and run nothing
"""

import sys

if sys.version_info < (3, 8):
    sys.exit("mutate: Python 3.8 or newer is needed, not %d.%d: install it, and run this again." % sys.version_info[:2])

import argparse
import os
import random
import re
import shutil
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, NamedTuple, Set, Tuple

import run

KERNELS = run.PROJECT / "kernels"
EQUIVALENT = run.HERE / "equivalent.txt"
FLAGS = ["-std=c++17", "-w", "-DGPU_HOST_SHIM", "-ffp-contract=off"]
FLAVOURS = {"plain": ["-O0"], "sanitized": ["-O0", *run.SANITIZERS]}
SCHEDULES = {"plain": 8, "sanitized": 2}
TIMEOUT = 40

# What to look for, and what to write instead. Operators stand between spaces, so that templates and pointers are left alone.
RULES = [
    (r"__syncthreads\(\);|__syncwarp\(\);", ";"),
    (r"(?<=distance = )16", "8"),
    (r"(?<=distance < )32", "16"),
    (r"(?<=distance > )0", "1"),
    (r"(?<= )<(?= )", "<="),
    (r"(?<= )<=(?= )", "<"),
    (r"(?<= )>(?= )", ">="),
    (r"(?<= )>=(?= )", ">"),
    (r"(?<= )==(?= )", "!="),
    (r"(?<= )!=(?= )", "=="),
    (r"(?<= )&&(?= )", "||"),
    (r"(?<= )\|\|(?= )", "&&"),
    (r"(?<= )\+(?= )", "-"),
    (r"(?<= )-(?= )", "+"),
    (r"(?<= )\*(?= )", "+"),
    (r"(?<= )/(?= )", "*"),
    (r"(?<= )%(?= )", "/"),
    (r"\+=", "="),
    (r"(?<=[ ;(])(?:int|int32_t|int64_t|unsigned) (\w+) = 0(?=; \1)", lambda m: m.group(0)[:-1] + "1"),
    (r"\b(?:continue|break);(?!.*case)", ";"),
    (r"(?<=return )(?:true|false)(?=;)", lambda m: "false" if m.group(0) == "true" else "true"),
    (r"(?<=[(& ])!(?=[a-z(])", ""),
    (r"atomicMax\(fault, [^;]*;", ";"),
    (r"(?<=\[)0(?=\])", "1"),
    (r"__shfl_up_sync", "__shfl_down_sync"),
]


class Fault(NamedTuple):
    file: str
    line: int  # from 1
    column: int
    text: str  # the whole line with the fault in it

    def key(self) -> str:
        return "%s: %s" % (self.file, self.text.strip())


def faults_of(path: Path) -> List[Fault]:
    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        code = line.split("//")[0]
        if not code.strip() or code.lstrip().startswith("#") or "static_assert" in code or code.startswith(("template", "extern")):
            continue
        for pattern, replacement in RULES:
            for match in re.finditer(pattern, code):
                new = replacement(match) if callable(replacement) else replacement
                found.append(Fault(path.name, number, match.start(), code[: match.start()] + new + code[match.end():]))
    return found


def known_equivalent() -> Dict[str, str]:
    """Lines of the form `FILE: LINE  ## reason`."""
    known = {}
    for line in EQUIVALENT.read_text().splitlines() if EQUIVALENT.exists() else []:
        if "  ## " in line:
            key, reason = line.rsplit("  ## ", 1)
            known[key.strip()] = reason
    return known


def tests_by_file(cxx: str) -> Dict[str, List[Path]]:
    """Which tests include each file of kernels/, the one with the most of it in its own name first."""
    tests: Dict[str, List[Path]] = {}
    for source in sorted(run.HERE.glob("*.cpp")):
        command = [cxx, *FLAGS, *run.include_flags(KERNELS), "-MM", str(source)]
        text = subprocess.run(command, stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout
        for path in text.replace("\\\n", " ").split():
            if str(KERNELS) in path:
                tests.setdefault(Path(path).name, []).append(source)
    for name, sources in tests.items():
        sources.sort(key=lambda source: (not name.startswith(source.stem), source.stem == "shim", source.stem))
    return tests


class Bench:
    """A copy of kernels/ for each thread, in which faults are planted."""

    def __init__(self, cxx: str, folder: Path, tests: Dict[str, List[Path]]):
        self.cxx, self.folder, self.tests, self.local = cxx, folder, tests, threading.local()

    def copy(self) -> Path:
        if not hasattr(self.local, "path"):
            self.local.path = Path(tempfile.mkdtemp(dir=self.folder))
            shutil.copytree(KERNELS, self.local.path / "kernels", ignore=shutil.ignore_patterns("prebuilt"))
        return self.local.path

    def caught(self, fault: Fault) -> str:
        """How the fault was noticed, or nothing."""
        place = self.copy()
        target = place / "kernels" / fault.file
        original = target.read_text()
        lines = original.splitlines()
        lines[fault.line - 1] = fault.text
        target.write_text("\n".join(lines) + "\n")
        try:
            for flavour in (run.PLAIN, run.SANITIZED):
                for source in self.tests.get(fault.file, []):
                    how = self.notices(place, source, flavour)
                    if how:
                        return how
            return ""
        finally:
            target.write_text(original)

    def notices(self, place: Path, source: Path, flavour: run.Flavour) -> str:
        program = place / "program"
        command = [self.cxx, *FLAGS, *FLAVOURS[flavour.name], *run.include_flags(place / "kernels"), str(source), "-o", str(program)]
        if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
            return "%s does not compile" % source.stem
        try:
            ran = subprocess.run(
                [str(program)], env=run.environment(SCHEDULES[flavour.name]), timeout=TIMEOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return "%s does not end" % source.stem
        return "%s fails (%s)" % (source.stem, flavour.name) if ran.returncode != 0 else ""


def choose(names: List[str], sample: int) -> Tuple[List[Fault], int]:
    files = sorted(path for path in KERNELS.iterdir() if path.suffix in (".cu", ".cuh") and path.name not in ("args.cuh", "kernels.cu"))
    unknown = set(names) - {path.name for path in files}
    if unknown:
        sys.exit("mutate: there is no file %s in %s" % (", ".join(sorted(unknown)), KERNELS))
    faults: List[Fault] = []
    for path in files:
        if not names or path.name in names:
            faults.extend(faults_of(path))
    known = known_equivalent()
    left = [fault for fault in faults if fault.key() not in known]
    if sample and sample < len(left):
        left = random.Random(1).sample(left, sample)
        left.sort()
    return left, len(faults) - len(left) if not sample else len([f for f in faults if f.key() in known])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="only so many, chosen at random but always the same")
    parser.add_argument("--list", action="store_true", help="print the faults and run nothing")
    args = parser.parse_args()
    faults, equivalent = choose(args.files, args.sample)
    if args.list:
        for fault in faults:
            print("%s:%d: %s" % (fault.file, fault.line, fault.text.strip()))
        print("%d faults, and %d that are equivalent" % (len(faults), equivalent))
        return 0
    cxx = run.compiler()
    tests = tests_by_file(cxx)
    untested: Set[str] = {fault.file for fault in faults} - set(tests)
    if untested:
        sys.exit("mutate: no test includes %s" % ", ".join(sorted(untested)))
    start, survivors, done = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(cxx, Path(folder), tests)
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
            for fault, how in zip(faults, pool.map(bench.caught, faults)):
                done += 1
                survivors += not how
                if not how:
                    print("SURVIVED %s:%d: %s" % (fault.file, fault.line, fault.text.strip()), flush=True)
                elif done % 50 == 0:
                    print("... %d of %d, %d survived, %.0f s" % (done, len(faults), survivors, time.monotonic() - start), flush=True)
    caught = len(faults) - survivors
    print("mutate: %d of %d faults caught (%.1f %%); %d more are known to change nothing" % (
        caught, len(faults), 100.0 * caught / max(1, len(faults)), equivalent))
    return 0 if caught >= 0.9 * len(faults) else 1


if __name__ == "__main__":
    sys.exit(main())
