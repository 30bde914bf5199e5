#!/usr/bin/env python3
"""Plant small faults in the CUDA kernels, one at a time, and see whether the tests notice.

Each fault is a change of one place: a barrier dropped, a comparison or an operator exchanged, a bound off by one. A fault is
caught when a test that includes its file does not compile, fails, or does not end. What survives is printed. Survivors that no test
could catch stand in equivalent.txt, each with the reason.

Most faults are compiled into one set of programs and chosen when they run (tests/cuda/shim/host_faults.h); the others are compiled one
by one.

  mutate.py                   every fault in every file
  mutate.py gather.cu ...     in some files
  mutate.py --quick           only those that need no compiling of their own
  mutate.py --list            print them and run nothing
"""

import sys

if sys.version_info < (3, 8):
    sys.exit("mutate: Python 3.8 or newer is needed, not %d.%d: install it, and run this again." % sys.version_info[:2])

import argparse
import os
import re
import resource
import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

import run

KERNELS = run.PROJECT / "kernels"
EQUIVALENT = run.HERE / "equivalent.txt"
FLAGS = ["-std=c++17", "-w", "-DGPU_HOST_SHIM", "-ffp-contract=off", "-include", str(run.HERE.parent / "shim" / "host_faults.h")]
OPTIMISED = {"plain": ["-O1"], "sanitized": ["-O0", *run.SANITIZERS]}
SCHEDULES = {"plain": 8, "sanitized": 2}
# What nearly every test includes is tried with all of them once, and with a few of them where memory is watched.
MOST_TESTS = {"plain": None, "sanitized": 3}
CPU_SECONDS = 6  # a fault in a loop's step may run for ever


class Rule(NamedTuple):
    """What to look for; what a faulty line has instead; and how both are written at once, with the fault's number as {}."""

    pattern: str
    faulty: str
    both: Optional[str]


def operator(op: str, other: str) -> Rule:
    # Between spaces, so that templates and pointers are left alone.
    return Rule(r"(?<= )%s(?= )" % re.escape(op), other, "%s faults::At{{{}}} %s" % (op, op))


RULES = [
    Rule(r"__syncthreads\(\);", ";", "if (faults::not_in({})) __syncthreads();"),
    Rule(r"\bcontinue;", ";", "{{ if (faults::not_in({})) continue; }}"),
    Rule(r"(?<=\) )break;", ";", "{{ if (faults::not_in({})) break; }}"),
    Rule(r"atomicMax\(fault, [^;]*;", ";", None),
    Rule(r"(?<=distance = )16", "8", "faults::choose({}, 16, 8)"),
    Rule(r"(?<=distance < )32", "16", "unsigned(faults::choose({}, 32, 16))"),
    Rule(r"(?<=distance > )0", "1", "faults::choose({}, 0, 1)"),
    Rule(r"(?<= = )0(?=; \w+ <)", "1", "faults::choose({}, 0, 1)"),
    Rule(r"(?<=\[)0(?=\])", "1", "faults::choose({}, 0, 1)"),
    Rule(r"(?<=[ (])32(?=\))", "31", "faults::choose({}, 32, 31)"),
    Rule(r"__shfl_up_sync", "__shfl_down_sync", None),
    Rule(r"(?<= )&&(?= )", "||", None),
    Rule(r"(?<= )\|\|(?= )", "&&", None),
    Rule(r"(?<=return )true(?=;)", "false", "faults::not_in({})"),
    Rule(r"(?<=return )false(?=;)", "true", "!faults::not_in({})"),
    Rule(r"(?<=[(& ])!(?=[a-z(])", "", None),
    Rule(r"(?<= )\+=(?= )", "=", "+= faults::At{{{}}} +="),
] + [operator(*pair) for pair in (
    ("<", "<="), ("<=", "<"), (">", ">="), (">=", ">"), ("==", "!="), ("!=", "=="), ("+", "-"), ("-", "+"), ("*", "+"), ("/", "*"), ("%", "/"))]


class Fault(NamedTuple):
    file: str
    line: int  # from 1
    start: int
    end: int
    faulty: str
    both: Optional[str]
    text: str  # the whole line with the fault in it

    def key(self) -> str:
        return "%s: %s" % (self.file, self.text.strip())


def faults_of(path: Path) -> List[Fault]:
    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        code = line.split("//")[0].rstrip()
        if not code.strip() or code.lstrip().startswith("#") or re.match(r"\s*static_assert|template|extern|constexpr|asm|\s*asm|\s*:", code):
            continue
        for rule in RULES:
            for match in re.finditer(rule.pattern, code):
                text = code[: match.start()] + rule.faulty + code[match.end():]
                # A size that must be a constant cannot be chosen when the program runs.
                both = None if "__shared__" in code or "constexpr" in code or "copies_wait<" in code else rule.both
                found.append(Fault(path.name, number, match.start(), match.end(), rule.faulty, both, text))
    return found


def planted(source: str, at: Dict[int, List], replacement: Callable) -> str:
    """The source with replacements: by line, a list of (number, fault)."""
    lines = source.splitlines()
    for line, here in at.items():
        for number, fault in sorted(here, key=lambda pair: -pair[1].start):
            text = lines[line - 1]
            lines[line - 1] = text[: fault.start] + replacement(number, fault) + text[fault.end:]
    return "\n".join(lines) + "\n"


def known_equivalent() -> Dict[str, str]:
    known = {}
    for line in EQUIVALENT.read_text().splitlines() if EQUIVALENT.exists() else []:
        if "  ## " in line:
            key, reason = line.rsplit("  ## ", 1)
            known[key.strip()] = reason
    return known


def unknown(faults: List[Fault], known: Dict[str, str]) -> List[Fault]:
    """Those that are not known to be equivalent. Where a file has the same faulty line twice, ` #1` and ` #2` tell which."""
    seen: Counter = Counter()
    left = []
    for fault in faults:
        seen[fault.key()] += 1
        if fault.key() not in known and "%s #%d" % (fault.key(), seen[fault.key()]) not in known:
            left.append(fault)
    return left


def tests_by_file(cxx: str) -> Dict[str, List[Path]]:
    """Which tests include each file of kernels/, the one that is named like it first."""
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


def compiled(cxx: str, kernels: Path, source: Path, flavour: str, program: Path) -> bool:
    command = [cxx, *FLAGS, *OPTIMISED[flavour], *run.include_flags(kernels), str(source), "-o", str(program)]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def fails(program: Path, flavour: str, number: int) -> bool:
    variables = {**run.environment(SCHEDULES[flavour]), "KERNEL_FAULT": str(number), "SHIM_STOP": "1"}
    limit = lambda: resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    return subprocess.run([str(program)], env=variables, preexec_fn=limit, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0


class Bench:
    def __init__(self, cxx: str, folder: Path, tests: Dict[str, List[Path]], faults: List[Fault]):
        self.cxx, self.folder, self.tests, self.faults, self.local = cxx, folder, tests, faults, threading.local()
        self.catches: Counter = Counter()
        self.locks = {(source, flavour): threading.Lock() for sources in tests.values() for source in sources for flavour in OPTIMISED}
        shutil.copytree(KERNELS, folder / "all", ignore=shutil.ignore_patterns("prebuilt"))
        for name in {fault.file for fault in faults}:
            at: Dict[int, List] = {}
            for number, fault in enumerate(faults):
                if fault.file == name and fault.both:
                    at.setdefault(fault.line, []).append((number, fault))
            path = folder / "all" / name
            path.write_text(planted(path.read_text(), at, lambda number, fault: fault.both.format(number)))

    def shared_program(self, source: Path, flavour: str) -> Path:
        """The program that holds all faults, compiled when it is first needed."""
        program = self.folder / ("%s-%s" % (source.stem, flavour))
        with self.locks[(source, flavour)]:
            if not program.exists():
                if not compiled(self.cxx, self.folder / "all", source, flavour, program) or fails(program, flavour, -1):
                    sys.stderr.write("mutate: %s with all faults does not compile, or fails with none of them chosen\n" % source.stem)
                    os._exit(2)
        return program

    def survives(self, number: int) -> bool:
        fault = self.faults[number]
        for flavour in ("plain", "sanitized"):
            # What found most faults of a file so far will likely find the next.
            tests = sorted(self.tests[fault.file], key=lambda source: -self.catches[(fault.file, source)])
            for source in tests[: MOST_TESTS[flavour]]:
                if fault.both:
                    caught = fails(self.shared_program(source, flavour), flavour, number)
                else:
                    caught = self.alone(fault, number, source, flavour)
                if caught:
                    self.catches[(fault.file, source)] += 1
                    return False
        return True

    def alone(self, fault: Fault, number: int, source: Path, flavour: str) -> bool:
        if not hasattr(self.local, "path"):
            self.local.path = Path(tempfile.mkdtemp(dir=str(self.folder)))
            shutil.copytree(KERNELS, self.local.path / "kernels", ignore=shutil.ignore_patterns("prebuilt"))
        path, program = self.local.path / "kernels" / fault.file, self.local.path / "program"
        original = path.read_text()
        path.write_text(planted(original, {fault.line: [(number, fault)]}, lambda _, fault: fault.faulty))
        try:
            return not compiled(self.cxx, self.local.path / "kernels", source, flavour, program) or fails(program, flavour, number)
        finally:
            path.write_text(original)


def choose(names: List[str], quick: bool) -> List[Fault]:
    files = sorted(path for path in KERNELS.iterdir() if path.suffix in (".cu", ".cuh") and path.name != "kernels.cu" and not path.name.startswith("args"))
    unknown = set(names) - {path.name for path in files}
    if unknown:
        sys.exit("mutate: there is no file %s in %s" % (", ".join(sorted(unknown)), KERNELS))
    faults = [fault for path in files if not names or path.name in names for fault in faults_of(path)]
    return [fault for fault in faults if fault.both or not quick]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="only faults that need no compiling of their own")
    parser.add_argument("--list", action="store_true", help="print the faults and run nothing")
    args = parser.parse_args()
    known, everything = known_equivalent(), choose(args.files, args.quick)
    faults = unknown(everything, known)
    if args.list:
        for fault in faults:
            print("%s:%d: %s" % (fault.file, fault.line, fault.text.strip()))
        print("%d faults, and %d that are equivalent" % (len(faults), len(everything) - len(faults)))
        return 0
    cxx = run.compiler()
    tests = tests_by_file(cxx)
    untested = {fault.file for fault in faults} - set(tests)
    if untested:
        sys.exit("mutate: no test includes %s" % ", ".join(sorted(untested)))
    start, survivors = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(cxx, Path(folder), tests, faults)
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
            for number, survived in enumerate(pool.map(bench.survives, range(len(faults))), 1):
                survivors += survived
                if survived:
                    fault = faults[number - 1]
                    print("SURVIVED %s:%d: %s" % (fault.file, fault.line, fault.text.strip()), flush=True)
                if number % 100 == 0:
                    print("... %d of %d, %d survived, %.0f s" % (number, len(faults), survivors, time.monotonic() - start), flush=True)
    caught = len(faults) - survivors
    print("mutate: %d of %d faults caught (%.1f %%); %d more are known to change nothing" % (
        caught, len(faults), 100.0 * caught / max(1, len(faults)), len(everything) - len(faults)))
    return 0 if caught >= 0.9 * len(faults) else 1


if __name__ == "__main__":
    sys.exit(main())
