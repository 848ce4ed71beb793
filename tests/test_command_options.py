"""Options of the commands in `benchmarks/` and `tools/`: what they refuse, before anything is measured or built."""

from __future__ import annotations

import json
import runpy
import sys
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from pylstm.engine.threads import _available

ROOT = Path(__file__).parents[1]
ROW = {"size": "a", "contestants": {}, "ratios": [None], "wanted": None}
WORK = {"name": "lstm-train", "title": "LSTM", "rows": [ROW], "targets": [{}]}


def refusal(monkeypatch, capsys, script, *arguments):
    """The last line of the error of a command that ends with status 2."""
    monkeypatch.setattr(sys, "path", [str((ROOT / script).parent), *sys.path])
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    printed = capsys.readouterr()
    assert caught.value.code == 2 and printed.out == "" and printed.err.startswith("usage:")
    return printed.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        (
            "jobs",
            "--size 0x1x1x1x1",
            "--size: must be 5 whole numbers of at least 1, BxTxIxHxK such as 16x64x64x256x100",
        ),
        ("jobs", "--threads 0", f"whole number in 1..{_available()}, the cores that this process may use, got '0'"),
        ("jobs", "--threads -1", "got '-1'"),
        ("jobs", "--threads 99999", "got '99999'"),
        ("jobs", "--minutes nan", "--minutes: must be a number above 0 such as 0.5, got 'nan'"),
        ("jobs", "--minutes -1", "got '-1'"),
        ("jobs", "--peers foo,torch", "--peers: foo is not known; there are pylstm, torch, jax, keras"),
        ("jobs", "--peers=", "--peers: an empty name is not known"),
        ("jobs", "--peers onnxruntime", "onnxruntime is not known"),
        ("jobs", "--inference --peers foo", "there are pylstm, torch, jax, keras, onnxruntime"),
        ("jobs", "--text none.txt", "--text: none.txt does not exist"),
        ("jobs", "--from missing.json", "--from: missing.json does not exist"),
        ("jobs", "--from empty.json", "--from: empty.json is not what --json of this command writes: no machine"),
        ("jobs", "--from no.json", "--from: no.json is not JSON, as --json writes it: Expecting value"),
        ("jobs", "--from part.json", "no works[0].targets[0].label"),
        ("jobs", "--json none/x.json", "none/x.json cannot be written: make the folder"),
        ("jobs", "--json .", "--json: . cannot be written: a folder"),
        ("jobs", "--plot x.foo", "--plot: must end in .pdf or .png or .svg, got x.foo"),
        ("beside", "--rounds 0", "--rounds: must be a whole number of at least 3, got '0'"),
        ("beside", "--rounds 2", "got '2'"),
        ("beside", "--rounds -3", "got '-3'"),
        ("beside", "--tasks=", "--tasks: an empty name is not known"),
        ("meetings", "x", "must be a whole number in 2..64, got 'x'"),
        ("mapped", "0", "got '0'"),
        ("meetings", "0", "got '0'"),
        ("meetings", "1", "got '1'"),
        ("meetings", "100", "got '100'"),
        ("peers", "--sizes 1x2", "--sizes: must be 3 whole numbers of at least 1, BxTxH such as 32x100x64, got '1x2'"),
        ("peers", "--sizes 1x2x3,axbxc", "got 'axbxc'"),
        ("peers", "--sizes 0x1x1", "got '0x1x1'"),
        ("peers", "--from missing.json", "--from: missing.json does not exist"),
        ("peers", "--from list.json", "--from: list.json is not what --json of this command writes: no machine"),
        ("peers", "--works lstm-infer --threads 2", "--threads 2: none of these --works; there are lstm-"),
        ("peers", "--json none/x.json", "none/x.json cannot be written"),
        ("torch_modules", "--rounds 0", "--rounds: must be a whole number of at least 1, got '0'"),
        ("torch_modules", "--threads 0", "got '0'"),
        ("gemm_peak", "--size 0", "got '0'"),
        ("ragged", "x", "must be a whole number of at least 1, got 'x'"),
        ("scaling", "lstn", "invalid choice: 'lstn'"),
        ("formulas", "float16", "invalid choice: 'float16'"),
        ("compilers", "--sizes 1x2", "BxTxH such as 32x100x256, got '1x2'"),
        ("compilers", "--rounds 0", "got '0'"),
        ("compilers", "--compilers no-compiler", "--compilers: no-compiler is not installed; there are"),
        ("compilers", "--compilers=", "--compilers: an empty name is not installed"),
        ("compilers", "--keep no.json", "--keep: no.json is not a folder"),
    ],
)
def test_what_is_refused(monkeypatch, capsys, tmp_path, script, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("empty.json").write_text("{}")
    Path("list.json").write_text("[]")
    Path("no.json").write_text("no")
    Path("part.json").write_text(json.dumps({"machine": {}, "threads": None, "works": [WORK]}))
    folder = "tools" if script == "compilers" else "benchmarks"
    assert message in refusal(monkeypatch, capsys, f"{folder}/{script}.py", *arguments.split())


@pytest.mark.parametrize("command", ["meson", "ninja", "objdump"])
def test_what_builds_must_be_there(monkeypatch, capsys, command):
    monkeypatch.setattr("shutil.which", lambda name: None if name == command else f"/bin/{name}")
    assert f"{command} is not installed: " in refusal(monkeypatch, capsys, "tools/compilers.py", "--compilers", "gcc")


def test_help_of_what_takes_one_number(monkeypatch, capsys):
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "argv", ["meetings.py", "--help"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(ROOT / "benchmarks" / "meetings.py"), run_name="__main__")
    assert caught.value.code == 0 and "THREADS" in capsys.readouterr().out


def test_what_is_taken(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from contest import choices

    assert (
        choices.sizes("BT", "1x2")("3x4,50x6") == [(3, 4), (50, 6)] and choices.in_words([(3, 4), (5, 6)]) == "3x4,5x6"
    )
    assert choices.whole(2, 64)("64") == 64 and choices.positive("0.5") == 0.5
    assert choices.chosen(None, "--tasks", "b,a,b", "abc") == ["b", "a"]
    assert choices.chosen(None, "--tasks", None, "abc") == ["a", "b", "c"]
    file = tmp_path / "found.json"
    assert choices.to_write(str(file)) == str(file)
    file.write_text(json.dumps({"works": [WORK]}))
    assert choices.to_write(str(file)) == choices.to_read(str(file)) == str(file)
    assert choices.results("works", row=("size",))(str(file)) == {"works": [WORK]}
    with pytest.raises(ArgumentTypeError, match=r"no works\[0\]\.rows\[0\]\.notes"):
        choices.results("works", row=("size", "notes"))(str(file))
    monkeypatch.setattr(choices, "find_spec", lambda name: None)
    with pytest.raises(ArgumentTypeError, match="a plot needs matplotlib"):
        choices.to_plot(str(tmp_path / "x.png"))
