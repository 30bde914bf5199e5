#!/usr/bin/env python3
"""Compile kernels/*.cu into kernels/prebuilt/kernels.fatbin, which `cargo build` embeds, so that nobody needs a CUDA toolkit.

  kernels.py build    compile, and write kernels.fatbin and MANIFEST anew
  kernels.py check    compile, and see that the checked-in fatbin is, byte for byte, what the sources give
  kernels.py verify   see that MANIFEST is of these sources, these flags and this fatbin; compiles nothing
  kernels.py spills   compile for every architecture and print what each kernel needs: registers, shared memory, spills
  kernels.py nvrtc    print the path of NVRTC, the library that compiles kernels at run time (90 MB), for tests

The compiler comes out of five pinned Python wheels (104 MB), which `pip` fetches once into target/cuda-toolkit/, so that your
pip configuration (index, mirror, proxy) holds here too. No GPU is needed. Linux on x86-64 only.

environment:
  FOREBAY_NVCC        your own nvcc of the same release; the wheels are then not fetched
  CARGO_TARGET_DIR    where target/ is
"""

import sys

if sys.version_info < (3, 8):
    sys.exit("kernels: Python 3.8 or newer is needed, not %d.%d: install it, and run this again." % sys.version_info[:2])

import argparse
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
import venv
from pathlib import Path
from typing import Dict, List

PROJECT = Path(__file__).resolve().parent.parent
KERNELS = PROJECT / "kernels"
FATBIN = KERNELS / "prebuilt" / "kernels.fatbin"
MANIFEST = KERNELS / "prebuilt" / "MANIFEST"

# 13.0 and not newer: PTX of a newer toolkit is refused by the drivers that 13.0 came with.
RELEASE = "13.0"
TOOLKIT = "13.0.88"
WHEELS = """\
nvidia-cuda-nvcc==13.0.88 --hash=sha256:56fe502eb77625a12f25172caa3cdddb4e4c8ba2c8c17dba44b164761b380f03
nvidia-nvvm==13.0.88 --hash=sha256:c5f41ffeb6466944a026dfa5317d7d85355c119bbec279205d22f1869d1054e0
nvidia-cuda-crt==13.0.88 --hash=sha256:2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4
nvidia-cuda-runtime==13.0.96 --hash=sha256:7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548
nvidia-cuda-cccl==13.0.85 --hash=sha256:e0da7ad981f3a8aff08241b5bfc1af868742a63e2762f53a5171c492ef242649
"""
NVRTC = "nvidia-cuda-nvrtc==13.0.88 --hash=sha256:ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575\n"
# A100, consumer Ampere, Ada, Hopper; and PTX, which drivers compile for whatever comes after.
ARCHITECTURES = ("sm_80", "sm_86", "sm_89", "sm_90")
PTX = "compute_80"
FLAGS = ["-std=c++17", "-O3", "-fatbin", "--compress-mode=size"]


class Problem(Exception):
    """Something the user can mend. Its text is all that is printed."""


def say(text: str) -> None:
    print("kernels: " + text, file=sys.stderr, flush=True)


def flags() -> List[str]:
    targets = ["arch=%s,code=%s" % (name.replace("sm_", "compute_"), name) for name in ARCHITECTURES]
    targets.append("arch=%s,code=%s" % (PTX, PTX))
    return FLAGS + [part for target in targets for part in ("-gencode", target)]


# --- what the fatbin is made from -------------------------------------------------------------


def sources_digest() -> str:
    """SHA-256 over what `sha256sum` prints for the sources, in the order of their names. build.rs computes the same."""
    paths = sorted(path for path in KERNELS.iterdir() if path.suffix in (".cu", ".cuh"))
    lines = ["%s  %s\n" % (hashlib.sha256(path.read_bytes()).hexdigest(), path.name) for path in paths]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def manifest(fatbin: bytes) -> str:
    return (
        "# What kernels.fatbin was made from. `make kernels` writes both.\n"
        "sources %s\ntoolkit %s\nflags %s\nfatbin %s\n"
        % (sources_digest(), TOOLKIT, " ".join(flags()), hashlib.sha256(fatbin).hexdigest())
    )


def entries(text: str) -> Dict[str, str]:
    lines = (line.split(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {parts[0]: parts[1] for parts in lines if len(parts) == 2}


def verify() -> None:
    try:
        fatbin, written = FATBIN.read_bytes(), entries(MANIFEST.read_text())
    except OSError as error:
        raise Problem("%s: run `make kernels`." % error)
    wanted = entries(manifest(fatbin))
    wrong = [name for name in wanted if written.get(name) != wanted[name]]
    if wrong:
        raise Problem(
            "kernels/prebuilt/kernels.fatbin is not what the sources give: MANIFEST differs in %s. Run `make kernels`, and "
            "commit kernels/prebuilt/." % ", ".join(wrong)
        )


# --- the compiler -----------------------------------------------------------------------------


def release_of(nvcc: str) -> str:
    out = subprocess.run([nvcc, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True).stdout
    found = re.search(r"release (\d+\.\d+), V(\S+)", out)
    return found.group(2) if found else "an unknown release"


def fetched(wheels: str = WHEELS, what: str = "the CUDA compiler %s (104 MB)" % TOOLKIT, path: str = "bin/nvcc") -> str:
    """The path of a file of pinned wheels; fetches them where they are not yet there."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise Problem(
            "The pinned CUDA compiler is for Linux on x86-64 and this is %s on %s: install CUDA %s and set FOREBAY_NVCC to its nvcc."
            % (platform.machine(), platform.system(), RELEASE)
        )
    target = Path(os.environ.get("CARGO_TARGET_DIR", str(PROJECT / "target")))
    folder = target / "cuda-toolkit" / hashlib.sha256(wheels.encode()).hexdigest()[:16]
    if not (folder / "complete").exists():
        say("fetching " + what)
        shutil.rmtree(str(folder), ignore_errors=True)
        venv.create(str(folder), with_pip=True)
        (folder / "wheels.txt").write_text(wheels)
        done = subprocess.run(
            [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
             "--only-binary=:all:", "--require-hashes", "-r", str(folder / "wheels.txt")],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
        if done.returncode != 0:
            raise Problem(
                "pip could not install it:\n%s\nCheck the network and pip's configuration (`pip config list`), or set "
                "FOREBAY_NVCC to the nvcc of a CUDA %s toolkit, and run this again." % (done.stdout.strip(), RELEASE)
            )
        (folder / "complete").write_text("")
    found = sorted(folder.glob("lib/python3*/site-packages/nvidia/cu13/" + path))
    if not found:
        raise Problem("The wheels hold no %s where it was: remove %s, and run this again." % (path, folder))
    return str(found[0])


def compiler() -> str:
    own = os.environ.get("FOREBAY_NVCC", "")
    if own and not shutil.which(own):
        raise Problem("FOREBAY_NVCC is %s, which cannot be run: correct it, or unset it to have nvcc fetched." % own)
    nvcc = shutil.which(own) if own else fetched()
    release = release_of(str(nvcc))
    if release != TOOLKIT:
        raise Problem("%s is %s; the checked-in kernels are made by %s: name that one in FOREBAY_NVCC, or unset it." % (nvcc, release, TOOLKIT))
    return str(nvcc)


def compiled() -> bytes:
    nvcc = compiler()
    say("compiling for %s and PTX" % ", ".join(ARCHITECTURES))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "kernels.fatbin"
        command = [nvcc, *flags(), "--threads", "0", "kernels.cu", "-o", str(out)]
        done = subprocess.run(command, cwd=str(KERNELS), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
        if done.returncode != 0:
            raise Problem("nvcc failed:\n" + done.stdout.strip())
        return out.read_bytes()


# --- the commands -----------------------------------------------------------------------------


def build() -> None:
    fatbin = compiled()
    FATBIN.parent.mkdir(exist_ok=True)
    FATBIN.write_bytes(fatbin)
    MANIFEST.write_text(manifest(fatbin))
    say("wrote %s (%d bytes)" % (FATBIN.relative_to(PROJECT), len(fatbin)))


def check() -> None:
    verify()
    if compiled() != FATBIN.read_bytes():
        raise Problem("kernels/prebuilt/kernels.fatbin is not, byte for byte, what the sources give: run `make kernels`, and commit it.")
    say("the checked-in fatbin is what the sources give")


def spills() -> None:
    nvcc = compiler()
    with tempfile.TemporaryDirectory() as folder:
        for name in ARCHITECTURES:
            command = [nvcc, "-std=c++17", "-O3", "-cubin", "-arch=" + name, "-Xptxas", "-v", "kernels.cu", "-o", str(Path(folder) / "cubin")]
            done = subprocess.run(command, cwd=str(KERNELS), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
            if done.returncode != 0:
                raise Problem("nvcc failed:\n" + done.stdout.strip())
            for kernel, text in re.findall(r"Compiling entry function '(\w+)'(.*?Used [^\n]*)", done.stdout, re.S):
                stack, stores, loads = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", text)[0]
                registers = re.findall(r"Used (\d+) registers", text)[0]
                shared = re.findall(r"(\d+) bytes smem", text) or ["0"]
                print("%s %-20s %3s registers, %5s B shared, %4s B stack, %4s B spilled" % (name, kernel, registers, shared[0], stack, stores))


def nvrtc() -> None:
    print(fetched(NVRTC, "NVRTC %s (90 MB)" % TOOLKIT, "lib/libnvrtc.so.13"))


COMMANDS = {"build": build, "check": check, "verify": verify, "spills": spills, "nvrtc": nvrtc}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=sorted(COMMANDS))
    try:
        COMMANDS[parser.parse_args().command]()
    except Problem as problem:
        print("kernels: %s" % problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
