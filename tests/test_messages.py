"""What a message says of a wrong argument: the value, cut where it is long, and what to do."""

from __future__ import annotations

import ast
import errno
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

import pylstm
from pylstm import cli, files
from pylstm.cells import LSTM, Cell, audit, tanh
from pylstm.cells.certification.certificate import CertificationError
from pylstm.cells.certification.certify import certify
from pylstm.datasets import read_table, read_text
from pylstm.layers.arguments import CellOptions


def checkpointed(path):
    return pylstm.Trainer(pylstm.SequenceModel("gru", 1, 2, 1), (np.zeros((2, 3, 1), "f4"), np.zeros(2, "f4"))).resume(
        path
    )


def cell(forward, **body):
    return type(Cell)("Ours", (Cell,), {"states": ("h",), "gates": {"a": "x+h"}, "forward": forward} | body)


def beyond(value):
    return value * (1 / 0)


def by_hand(d):
    return {"a": d.h}


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (
            lambda z: {"h": z.a.sum(1)},
            r"test_messages\.py:\d+: .*has no sum: write row_sum\(z\.a\), with the functions of pylstm.cells",
        ),
        (lambda z: {"h": z.a.T}, r"test_messages\.py:\d+: .*has no T: use operators"),
        (lambda z: {"h": z.a.real}, r"has no real: leave it out"),
        (lambda self, z: {"h": tanh(z.a)}, r"unknown argument 'self': remove it, .*static.*o \(options\)"),
        (lambda z, q: {"h": tanh(z.a)}, r"unknown argument 'q': a formula may ask for z .*o \(options\)"),
        (lambda z: {"h": absent(z.a)}, r"test_messages\.py:\d+: .*: the formula raises NameError: name 'absent'"),  # noqa: F821
        (lambda z: {"h": tanh(z.a) + [][0]}, r"test_messages\.py:\d+: .*raises IndexError: list index out of range"),
        (lambda z: {"h": beyond(z.a)}, r"raises ZeroDivisionError: division by zero"),
    ],
)
def test_formulas(forward, message):
    with pytest.raises(TypeError, match=message) as caught:
        certify(cell(forward))
    assert type(caught.value).__name__ == "FormulaError"


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (
            lambda self, z: {"h": z.a},
            "asks for self: remove self: the functions of a cell are static.*z, prev, .*, o",
        ),
        (lambda z, o: {"h": z.a}, "asks for o: it declares no `options`"),
        (lambda z, q: {"h": z.a}, "asks for q: it may ask for z, prev, e, p, u, size, o"),
    ],
)
def test_twins(forward, message):
    with pytest.raises(CertificationError, match=message):
        certify(cell(forward, backward=by_hand))


LONG = "y" * 5000


@pytest.mark.parametrize(
    "call",
    [
        lambda: pylstm.Recurrent(LONG, 3, 4),
        lambda: pylstm.Recurrent([LONG], 3, 4),
        lambda: pylstm.LSTM(3, LONG),
        lambda: pylstm.LSTM(3, 4, dtype=LONG),
        lambda: pylstm.Recurrent("cornn", 3, 4, dt=LONG),
        lambda: pylstm.Recurrent("cornn", 3, 4, num_layers=LONG),
        lambda: certify(LONG),
        lambda: certify([LONG]),
    ],
)
def test_long_values_are_cut(call):
    with pytest.raises((TypeError, LookupError)) as caught:
        call()
    assert "yyy..." in str(caught.value) and len(str(caught.value)) < 1000


def test_a_missing_folder_is_named_as_it_was_given(tmp_path):
    for folder in ("gone", "file"):
        (tmp_path / "file").write_text("")
        path = tmp_path / folder / "net.safetensors"
        with pytest.raises(OSError, match=f"{path}: .*{tmp_path / folder} (does not exist|is a file, not a folder)"):
            pylstm.save(path, pylstm.LSTM(3, 4))


def test_a_size_beyond_all_memory(tmp_path):
    path = tmp_path / "net.safetensors"
    pylstm.save(path, pylstm.LSTM(3, 4))
    header, tensors = files.read_file(path)
    header["parts"][""]["arguments"]["hidden_size"] = 10**18
    files.write_file(path, header, tensors)
    message = r"hidden_size must be an integer of at least 1 and at most 2\*\*40, got 10{18}"
    with pytest.raises(ValueError, match=message):
        pylstm.load(path)


class Aged(Cell):
    states = ("h",)
    gates = {"a": "x+h"}
    aux = ("dt",)
    domain = {"dt": (0, None)}

    def forward(z, prev, u):
        return {"h": tanh(z.a) + prev.h * (1 + u.dt)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("domain", [(0, None), (None, 0), (-1, 1)])
def test_nan_is_outside_of_a_domain(dtype, domain):
    bounded = type(Cell)("Bounded", (Cell,), dict(vars(Aged), domain={"dt": domain}, forward=Aged.formulas[""]))
    layer = pylstm.Recurrent(bounded, 3, 4, dtype=dtype)
    x, dt = np.ones((5, 2, 3), dtype), np.zeros((5, 2, 1), dtype)
    dt[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"aux\['dt'\] must be at .*got nan at \(3, 1, 0\)"):
        layer(x, aux={"dt": dt})
    with pytest.raises(ValueError, match=r"aux\['dt'\] must be at"):
        layer.stream(2).step(x[3], aux={"dt": dt[3]})
    ends = layer(x, aux={"dt": dt}, lengths=[5, 3])  # beyond the end of its row
    assert np.isfinite(ends.y).all()


@pytest.mark.parametrize("formula", [True, False])
def test_a_function_that_is_assigned_is_certified(formula):
    def forward(z, prev):
        return {"h": tanh(z.a) + 0.5 * prev.h}

    def right(d, y):
        return {"a": d.h * (1 - np.tanh(y.a) ** 2), "h": 0.5 * d.h}

    def wrong(d, y):
        return {"a": d.h * (1 - np.tanh(y.a) ** 2), "h": 0.4 * d.h}

    M = cell(forward, **({} if formula else {"backward": right}))
    first = pylstm.Recurrent(M, 3, 4, seed=0)
    kept, M.backward = M.backward, staticmethod(wrong)
    with pytest.raises(CertificationError, match="previous h"):
        pylstm.Recurrent(M, 3, 4)
    M.backward = staticmethod(kept)
    again = pylstm.Recurrent(M, 3, 4, seed=0)
    x = np.ones((3, 2, 3), "f4")
    dy = np.ones((3, 2, 4), "f4")
    assert np.array_equal(first(x).backward(dy).x, again(x).backward(dy).x)


def test_uncertified_layers_run_what_was_assigned():
    M = cell(lambda z: {"h": np.tanh(z.a)}, backward=lambda d, y: {"a": d.h * (1 - np.tanh(y.a) ** 2)})
    x, dy = np.ones((1, 2, 3), "f4"), np.ones((1, 2, 4), "f4")
    before = pylstm.Recurrent(M, 3, 4, seed=0)(x).backward(dy).x
    M.backward = staticmethod(lambda d, y: {"a": 2 * d.h * (1 - np.tanh(y.a) ** 2)})
    after = pylstm.Recurrent(M, 3, 4, seed=0, certified=False)(x).backward(dy).x
    np.testing.assert_allclose(after, 2 * before, rtol=1e-6)


@pytest.mark.parametrize("read", [pylstm.load, read_table, read_text, checkpointed])
def test_a_file_that_cannot_be_read_is_named_with_a_cure(read, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        read(tmp_path / "none")
    assert str(caught.value) == f"{tmp_path}/none: does not exist: check the name and the folder"
    assert caught.value.errno == errno.ENOENT
    with pytest.raises(FileNotFoundError, match=f"none/a: the folder {tmp_path}/none does not exist: create it"):
        read(tmp_path / "none" / "a")
    with pytest.raises(IsADirectoryError, match="is a folder, not a file: name a file in it"):
        read(tmp_path)


def test_a_file_that_cannot_be_written_is_named_with_a_cure(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"none/a: the folder {tmp_path}/none does not exist: create it"):
        pylstm.save(tmp_path / "none" / "a", pylstm.LSTM(2, 3))


@pytest.mark.parametrize("content", [b"x", b"\xff" * 100, b"{}" * 9])
def test_a_damaged_file_is_not_described_in_the_words_of_a_library(content, tmp_path):
    (tmp_path / "damaged").write_bytes(content)
    with pytest.raises(ValueError, match=r"cut short or damaged: write or fetch it again$"):
        pylstm.load(tmp_path / "damaged")


@pytest.mark.parametrize("series", ["abc", ["a", "b"], {"a": [1.0]}, [[1.0, 2.0], "ab"]])
def test_series_that_are_not_numbers(series):
    with pytest.raises(TypeError, match=r"^(y|series 1) must be numbers, an array \(T,\) or"):
        pylstm.ForecastModel().fit(series)
    with pytest.raises(TypeError, match=r"^exogenous must be numbers"):
        pylstm.ForecastModel().fit(np.arange(9.0), "abc")


def test_type_checkers_know_all_options_of_bundled_cells():
    cells = [pylstm.plugins.registry().get(name) for name in pylstm.plugins.registry().names()]
    bundled = [each for each in cells if each.__module__.startswith("pylstm")]
    names = {name for each in bundled for name in (*each.contract.sizes, *each.options)}
    assert len(bundled) > 80 and names == set(CellOptions.__annotations__)


def test_a_claim_that_is_not_a_function():
    with pytest.raises(TypeError, match=r"claimed must be a function, .* got 3"):
        audit(LSTM, 3)


@pytest.mark.parametrize("returned", [3, None, (3,), (1, 2, 3), (np.zeros((2, 1, 3)), 1.0), ("a", np.zeros((2, 1, 3)))])
def test_a_loss_of_truncated_bptt_that_returns_something_else(returned):
    layer, x = pylstm.LSTM(2, 3, seed=0), np.ones((6, 1, 2), "f4")
    with pytest.raises(
        TypeError, match=r"^loss must return a number and its derivative|value of loss must be a number"
    ):
        list(pylstm.truncated_bptt(layer, x, lambda y, steps: returned, 2))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train text --hidden 0", "argument --hidden: must be at least 1, got 0"),
        ("train text --epochs 0", "argument --epochs: must be above 0 and finite, got 0"),
        ("train text --epochs few", "argument --epochs: must be a number, got 'few'"),
        ("train text --length 0", "argument --length: must be at least 1, got 0"),
        ("train text --lr nan", "argument --lr: must be above 0 and finite, got nan"),
        ("train classify digits --layers 0", "argument --layers: must be at least 1, got 0"),
        ("train forecast sunspots --epochs 0", "argument --epochs: must be at least 1, got 0"),
        ("train forecast s.csv --delimiter ab", "argument --delimiter: must be one character, got 'ab'"),
        ("predict model --delimiter ab", "argument --delimiter: must be one character, got 'ab'"),
        ("compare lstm --task copy --seeds 0", "argument --seeds: must be at least 1, got 0"),
        ("compare lstm --task copy --minutes 0", "argument --minutes: must be above 0 and finite, got 0"),
        ("predict model --interval 3", "--interval must be between 0 and 1, got 3"),
    ],
)
def test_the_command_line_names_its_option(command, message, capsys):
    with pytest.raises(SystemExit) as end:
        sys.exit(cli.main(command.split()))
    assert end.value.code == 2 and message in capsys.readouterr().err


def test_plugins_fit_a_terminal(capsys):
    assert cli.main(["plugins"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 5 and max(map(len, lines)) <= 100
    assert any("78, see pylstm cells" in each or "cells " in each for each in lines)


def test_docstrings_name_what_they_document():
    """None begins with a preposition: "Of the elements." names nothing."""
    wrong = [
        f"{path}:{node.lineno} {text.splitlines()[0]}"
        for path in sorted(files_of_package())
        for node, text in texts_of(ast.parse(path.read_text(encoding="utf-8")))
        if text.split()[0] in PREPOSITIONS
    ]
    assert not wrong


PREPOSITIONS = {
    *(
        "Above",
        "After",
        "Around",
        "As",
        "At",
        "Before",
        "Behind",
        "Below",
        "Beside",
        "Between",
        "By",
        "For",
        "From",
        "In",
    ),
    *("Into", "Like", "Of", "On", "Over", "Through", "To", "Under", "Until", "Where", "Whatever", "With", "Within"),
    "Without",
}


def files_of_package():
    return Path(pylstm.__file__).parent.rglob("*.py")


def texts_of(tree):
    """Docstrings of classes and functions, and the texts below what is assigned."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for before, each in itertools.pairwise(body if isinstance(body, list) else []):
            if is_text(each) and isinstance(before, ast.Assign | ast.AnnAssign):
                yield each, each.value.value.strip()
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and ast.get_docstring(node):
            yield node.body[0], ast.get_docstring(node)


def is_text(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
