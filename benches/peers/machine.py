"""Processes and the machine: start, stop, the CPU time they took, Pythons with pinned packages."""

import contextlib
import hashlib
import os
import platform
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional

PROJECT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
# The oldest and the newest that every pinned package has a wheel for.
PYTHONS = ((3, 11), (3, 12))


class Problem(Exception):
    """Something the user can mend. Its text is all that is printed."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


class Process:
    """A program in a process group of its own, with whatever it starts."""

    def __init__(self, name: str, command: List[str], log: Path, environment: Optional[Dict[str, str]] = None) -> None:
        self.name, self.log = name, log
        with log.open("wb") as out:
            self.child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return self.child.pid

    def wait_until(self, ready: Callable[[], bool], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not ready():
            if self.child.poll() is not None:
                raise Problem("{} ended by itself:\n{}".format(self.name, self.tail()))
            if time.monotonic() > end:
                raise Problem("{} is not ready after {:.0f} s:\n{}".format(self.name, seconds, self.tail()))
            time.sleep(0.02)

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])

    def cpu_seconds(self) -> float:
        """CPU time of the program and all that it started, so far."""
        return sum(ticks for ticks in tree(self.pid).values()) / TICKS

    def stop(self) -> None:
        left = set(tree(self.pid)) | {self.pid}
        for how, seconds in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, how)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                self.child.poll()
                left = {pid for pid in left if alive(pid)}
                if not left:
                    return
                time.sleep(0.02)


def alive(pid: int) -> bool:
    fields = stat(pid)
    return fields is not None and fields[0] != "Z"


def stat(pid: int) -> Optional[List[str]]:
    """The fields of /proc/PID/stat behind the name, or none where the process is gone."""
    try:
        text = Path("/proc", str(pid), "stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def tree(root: int) -> Dict[int, int]:
    """CPU ticks of a process and its descendants, those that ended included, by their ids."""
    parents, ticks = {}, {}
    for name in os.listdir("/proc"):
        fields = stat(int(name)) if name.isdigit() else None
        if fields is not None:
            parents[int(name)] = int(fields[1])
            ticks[int(name)] = sum(int(field) for field in fields[11:15])

    def below(pid: int) -> bool:
        while pid not in (0, root):
            pid = parents.get(pid, 0)
        return pid == root

    return {pid: count for pid, count in ticks.items() if below(pid)}


@contextlib.contextmanager
def broker(folder: Path) -> Iterator["Broker"]:
    program = Path(os.environ.get("FOREBAY_NATS_SERVER", PROJECT / ".runtime/nats-server/nats-server"))
    if not program.exists():
        raise Problem("{} is missing: run `make setup`".format(program))
    port, monitor = free_port(), free_port()
    command = [str(program), "-a", "127.0.0.1", "-p", str(port), "-m", str(monitor)]
    process = Process("nats-server", command, folder / "nats-server.log")
    try:
        found = Broker(process, port, monitor, program)
        process.wait_until(lambda: answers(found.monitor + "/healthz"), 10)
        yield found
    finally:
        process.stop()


class Broker:
    def __init__(self, process: Process, port: int, monitor: int, program: Path) -> None:
        self.process = process
        self.url = "nats://127.0.0.1:{}".format(port)
        self.monitor = "http://127.0.0.1:{}".format(monitor)
        said = subprocess.run([str(program), "--version"], stdout=subprocess.PIPE, universal_newlines=True)
        self.version = said.stdout.strip().replace(": v", " ")

    def has_reader(self, subject: str) -> bool:
        return '"subscriptions_list"' in get("{}/subsz?subs=1&test={}".format(self.monitor, subject))

    def wait_until_nobody_reads(self, subject: str) -> None:
        until = time.monotonic() + 10
        while self.has_reader(subject):
            if time.monotonic() > until:
                raise Problem("something still reads {} from the broker".format(subject))
            time.sleep(0.02)


def python_with(name: str, cache: Path) -> Path:
    """A Python with the packages of requirements/NAME.txt, made once for each content of that file."""
    wanted = HERE / "requirements" / (name + ".txt")
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        raise Problem(
            "The pinned packages of the other programs need Python {} to {}, this is {}: run "
            "`make bench-peers PYTHON=python3.11`.".format(
                *[".".join(map(str, version)) for version in PYTHONS], platform.python_version()
            )
        )
    digest = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache / "{}-{}".format(name, digest)
    python = folder / "bin" / "python"
    if (folder / "complete").exists():
        return python
    say("installing requirements/{}.txt into {}".format(name, folder))
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    if subprocess.run([*pip, "-r", str(wanted)]).returncode != 0:
        raise Problem("pip could not install {}: see above; check the network and pip's configuration".format(wanted))
    (folder / "complete").touch()
    return python


def words() -> str:
    """The machine, in words."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(": ", 1)[1]
            break
    return "{} cores, {}".format(len(os.sched_getaffinity(0)), model)
