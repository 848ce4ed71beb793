"""Runs PyTorch's own tests of its recurrent modules with those of pylstm.torch in their place, and prints what differs.

    python -P tools/pytorch_tests.py FOLDER [--only REGEX] [--verbose]

FOLDER is the folder `test` of PyTorch's sources: of a clone (``git clone --depth 1 --branch v2.6.0
https://github.com/pytorch/pytorch``), a release tarball, or Debian's source package (``apt-get source pytorch``).
The tests import `expecttest` and `hypothesis` from PyPI.

Each file runs twice, in processes of its own: with ``torch.nn.LSTM``, ``GRU`` and ``RNN`` as they are, and replaced
before the file and PyTorch's list of modules are imported. Only tests that make such a module, or would if they were
not skipped, and those of packed sequences are counted. What fails with PyTorch's own modules, too, is a matter of the
versions of the tests and of the wheel.

Tests in `ON_CPU` are skipped without CUDA, though they check the module as well on the CPU: they run with a `cuda()`
that does nothing. Those that fail so with PyTorch's own modules, and all others that want a device, are not applicable.

`REASONS` says why a test differs; exit status 1 if one differs without a reason, or has a reason and passes.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

FILES = (
    "test_nn.py",
    "test_modules.py",
    "nn/test_packed_sequence.py",
    "nn/test_load_state_dict.py",
    "nn/test_module_hooks.py",
    "nn/test_pruning.py",
    "nn/test_parametrization.py",
    "nn/test_lazy_modules.py",
    "nn/test_dropout.py",
    "nn/test_init.py",
)
NAMES = ("LSTM", "GRU", "RNN")
MENTIONS = re.compile(r"\bnn\.(LSTM|GRU|RNN)\b|getattr\(nn, mode\)|_test_rnn|_test_RNN|check_weight_norm\(")
NAMED = re.compile(r"_nn_(LSTM|GRU|RNN)_|rnn|RNN|LSTM|GRU|pack|variable_sequence")
CELLS = re.compile(r"(RNN|LSTM|GRU)_?[Cc]ell")
ON_CPU = re.compile(
    "test_RNN_(dropout|dropout_state|change_dropout|cudnn_weight_norm|cpu_vs_cudnn_no_dropout)$|test_partial_flat_weights"
    "|test_error_RNN_seq_len_zero|test_cudnn_weight_tying|test_rnn_fused"
)
REASONS = {
    "test_grad_nn_": "gradients of a batch of cotangents (is_grads_batched) are not computed; all others are right",
    "test_error_RNN_seq_len_zero": "no steps are legal: an empty output, and the initial states as the final ones",
}
"""Regular expression of a test's name -> why it differs."""


class Outcomes(unittest.TestResult):
    """Outcome and last line of what was said, by test."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[str]] = {}

    def _note(self, test: Any, outcome: str, said: str = "") -> None:
        self.found.setdefault(_name(test), [outcome, said])

    def addSuccess(self, test: Any) -> None:
        self._note(test, "passed")

    def addSkip(self, test: Any, reason: str) -> None:
        self._note(test, "skipped", reason)

    def addFailure(self, test: Any, err: Any) -> None:
        self._note(test, "failed", _last(err))

    def addError(self, test: Any, err: Any) -> None:
        self._note(test, "failed", _last(err))

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        self._note(test, "passed")

    def addUnexpectedSuccess(self, test: Any) -> None:
        self._note(test, "failed", "passes, though PyTorch expects a failure")

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self._note(test, "failed", _last(err))


def _name(test: Any) -> str:
    return f"{type(test).__name__}.{getattr(test, '_testMethodName', test)}"


def _last(err: Any) -> str:
    said = str(err[1]).partition("To execute this test")[0]
    return " ".join(f"{err[0].__name__}: {said}".split())[:300]


def swap() -> None:
    """Put our modules in the place of PyTorch's."""
    import torch

    import pylstm.torch

    for name in NAMES:
        for space in (torch.nn, torch.nn.modules, torch.nn.modules.rnn):
            setattr(space, name, getattr(pylstm.torch, name))


def pretend() -> None:
    """A `cuda()` that does nothing, for tests that do on the CPU what they do there."""
    import torch
    from torch.testing._internal import common_cuda

    common_cuda.TEST_CUDA = common_cuda.TEST_CUDNN = True
    for kind in (torch.Tensor, torch.nn.Module):
        kind.cuda = lambda self, *arguments, **options: self


def counted(made: list[int]) -> None:
    """Add to `made` whenever a recurrent module is made."""
    import torch

    import pylstm.torch

    for owner in (torch.nn.RNNBase, pylstm.torch.LSTM.__mro__[2]):

        def counting(self: Any, *args: Any, __init__: Any = owner.__init__, **options: Any) -> None:
            made.append(1)
            __init__(self, *args, **options)

        owner.__init__ = counting


class Absent(list[Any]):
    """Of a helper that is not there: no items, False, a decorator that does nothing."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return arguments[0] if arguments and inspect.isroutine(arguments[0]) else self


def fill(path: Path) -> None:
    """Put an `Absent` where a file imports one of PyTorch's helpers for tests that this wheel has not."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch.testing._internal."):
            helpers = importlib.import_module(str(node.module))
            for alias in node.names:
                if not hasattr(helpers, alias.name):
                    setattr(helpers, alias.name, Absent())


def tests_of(module: Any) -> list[Any]:
    """All tests of a file; its `load_tests`, which shares them out among machines, is left aside."""
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, unittest.TestCase)]
    loader = unittest.TestLoader()
    return [test for kind in kinds if kind.__module__ == module.__name__ for test in loader.loadTestsFromTestCase(kind)]


def concerns(test: Any, file: str) -> bool:
    """Whether a test may make a recurrent module; a cell of one step is none."""
    name = test._testMethodName
    if CELLS.search(name):
        return False
    if file == "test_modules.py":
        return re.search(r"_nn_(LSTM|GRU|RNN)_", name) is not None
    if file != "test_nn.py":
        return True
    method = inspect.unwrap(getattr(type(test), name))
    try:
        text = inspect.getsource(method)
    except (OSError, TypeError):
        text = ""
    return MENTIONS.search(text) is not None or NAMED.search(name) is not None


def run(path: Path, file: str, ours: bool, only: str, on_cpu: bool) -> dict[str, Any]:
    """Outcomes of the tests of a file, in this process."""
    warnings.simplefilter("ignore")
    made: list[int] = []
    if ours:
        swap()
    if on_cpu:
        pretend()
    counted(made)
    fill(path)
    spec = importlib.util.spec_from_file_location(f"pytorch_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found: dict[str, Any] = {}
    for test in tests_of(module):
        name = _name(test)
        if not concerns(test, file) or not re.search(only, name) or (on_cpu and not ON_CPU.search(name)):
            continue
        outcomes, before = Outcomes(), len(made)
        test.run(outcomes)
        said = outcomes.found.get(name) or next(iter(outcomes.found.values()), ["skipped", "nothing was run"])
        named = NAMED.search(name) is not None or file == "nn/test_packed_sequence.py"
        found[name] = [*said, len(made) > before or named]
    return found


def start(folder: Path, file: str, ours: bool, only: str) -> dict[str, Any]:
    """`run` in a process of its own, and in another one for tests that run in the place of skipped ones."""
    found = _start(folder, file, [*(["--ours"] if ours else []), "--only", only])
    if any(ON_CPU.search(name) for name in found):
        again = _start(folder, file, [*(["--ours"] if ours else []), "--only", only, "--on-cpu"])
        found |= {name: said for name, said in again.items() if found[name][0] == "skipped"}
    return found


def _start(folder: Path, file: str, options: list[str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "found.json"
        command = [sys.executable, "-P", __file__, str(folder), "--run", file, "--out", str(out), *options]
        environment = os.environ | {"PYTORCH_TESTING_DEVICE_ONLY_FOR": "cpu"}
        done = subprocess.run(command, cwd=name, env=environment, capture_output=True, text=True)
        if not out.exists():
            raise SystemExit(f"{file} did not run:\n{done.stdout}\n{done.stderr}")
        result: dict[str, Any] = json.loads(out.read_text())
        return result


def judged(theirs: Any, ours: Any) -> tuple[str, str]:
    """What to say of a test: "passed", "differs", "not applicable", with the reason."""
    if ours[0] == "passed":
        return "passed", ""
    if ours[0] == "skipped":
        return "not applicable", ours[1]
    if theirs is not None and theirs[0] == "failed":
        return "not applicable", f"fails with torch.nn, too: {theirs[1]}"
    return "differs", ours[1]


def report(folder: Path, files: list[str], only: str, verbose: bool) -> int:
    """Print the table and the differences; 1 if one has no reason."""
    print("| file | passed | differs | not applicable |\n|---|---|---|---|")
    lines, unexplained, missing, total = [], [], [], Counter()
    for file in files:
        theirs, ours = start(folder, file, False, only), start(folder, file, True, only)
        count: Counter[str] = Counter()
        for name, found in ours.items():
            other = theirs.get(name)
            if not (found[2] or (other is not None and other[2])):
                continue
            verdict, said = judged(other, found)
            count[verdict] += 1
            reason = next((why for pattern, why in REASONS.items() if re.search(pattern, name)), None)
            if verdict == "differs":
                lines.append(f"{file}: {name}\n    {reason or 'NO REASON'}\n    {said}")
                unexplained += [] if reason else [name]
            elif verdict == "passed" and reason:
                unexplained.append(f"{name} passes, though it has a reason")
            elif verbose:
                lines.append(f"{file}: {name}: {verdict} {said}")
        missing += [f"{file}: {name}" for name, found in theirs.items() if name not in ours and found[2]]
        total += count
        print(f"| {file} | {count['passed']} | {count['differs']} | {count['not applicable']} |", flush=True)
    print(f"| all | {total['passed']} | {total['differs']} | {total['not applicable']} |\n")
    print("\n".join(lines))
    for name in missing:
        print(f"{name}: not found with our modules")
    for name in unexplained:
        print(f"without a reason: {name}")
    return int(bool(unexplained or missing))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", metavar="REGEX", help="tests with this in Class.name")
    parser.add_argument("--files", help=f"of {', '.join(FILES)}")
    parser.add_argument("--verbose", action="store_true", help="list all tests")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--ours", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--on-cpu", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    folder = args.folder.resolve()
    if args.run:
        found = run(folder / args.run, args.run, args.ours, args.only, args.on_cpu)
        args.out.write_text(json.dumps(found))
        return 0
    files = args.files.split(",") if args.files else [name for name in FILES if (folder / name).exists()]
    if not files:
        parser.error(f"{folder} has none of {', '.join(FILES)}")
    return report(folder, files, args.only, args.verbose)


if __name__ == "__main__":
    raise SystemExit(main())
