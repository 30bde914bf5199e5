#!/usr/bin/env python3
"""Tests of what gpu_bundle.py leaves out, with a stand-in for forebay."""

import json
import os
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import gpu_bundle  # noqa: E402  (it lies beside this file)

# What `forebay verify --json` says of each case.
SETS = [
    {"data_set": "cases/test_abs/test_data_set_0", "result": "passed"},
    {"data_set": "cases/test_two/test_data_set_0", "result": "passed"},
    {"data_set": "cases/test_two/test_data_set_1", "result": "failed", "why": "output `y`[0]: expected 1.0, found 2.0"},
    {"data_set": "cases/test_new/test_data_set_0", "result": "not_supported", "why": "it is made for opset 27"},
    {"data_set": "cases/test_odd/test_data_set_0", "result": "cannot_be_fed", "why": "an input is of a kind"},
    {"data_set": "cases/test_no/test_data_set_0", "result": "failed", "why": "ONNX Runtime cannot load it: no locale"},
]


class LeaveOut(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.known = Path(folder.name) / "cases"
        for name in ("test_abs", "test_two", "test_new", "test_odd", "test_no", "shape_mlp"):
            (self.known / name).mkdir(parents=True)
        self.program = Path(folder.name) / "forebay"

    def leave_out(self, sets, code=1, ours=("shape_mlp",)):
        said = json.dumps({"data_sets": sets})
        self.program.write_text("#!/bin/sh\ntest \"$LOCPATH\" = /nowhere || exit 3\ncat <<'END'\n%s\nEND\necho refused >&2\nexit %d\n" % (said, code))
        self.program.chmod(0o755)
        return gpu_bundle.leave_out(self.program, self.known, set(ours), dict(os.environ))

    def left(self):
        return sorted(path.name for path in self.known.iterdir())

    def test_what_the_runtime_does_not_pass_is_left_out_and_counted(self):
        lines = self.leave_out(SETS)
        self.assertEqual(self.left(), ["shape_mlp", "test_abs"])
        before = "cases of operators that ONNX Runtime does not pass on the CPU: "
        self.assertEqual(
            sorted(lines),
            [
                "1 " + before + "it gives something else than ONNX has written down",
                "1 " + before + "it refuses to load or to run them",
                "2 " + before + "it lacks the operator, the type or the version",
            ],
        )

    def test_nothing_is_left_out_where_all_pass(self):
        self.assertEqual(self.leave_out(SETS[:1], code=0), [])
        self.assertEqual(len(self.left()), 6)

    def test_models_of_ours_are_never_left_out(self):
        ours = SETS[:1] + [{"data_set": "cases/shape_mlp/test_data_set_0", "result": "failed", "why": "output `y`"}]
        with self.assertRaises(SystemExit) as stopped:
            self.leave_out(ours)
        self.assertIn("shape_mlp", str(stopped.exception))
        self.assertEqual(len(self.left()), 6)

    def test_a_program_that_breaks_down_is_no_answer(self):
        with self.assertRaises(SystemExit) as stopped:
            self.leave_out(SETS, code=101)
        self.assertIn("exit 101: refused", str(stopped.exception))
        self.assertEqual(len(self.left()), 6)


if __name__ == "__main__":
    unittest.main()
