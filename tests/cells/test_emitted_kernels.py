"""The kernels of `plugins/` are what the emitter makes of the formulas of their cells."""

from __future__ import annotations

from pathlib import Path

import pytest

import emit_kernels as tool
from pylstm.cells import Cell, sigmoid
from pylstm.cells.formula import derive
from pylstm.cells.formula.emission import cython

ROOT = Path(__file__).resolve().parents[2]
KERNELS = tool.kernels()


def test_every_kernel_of_the_plugins_has_its_formulas():
    sources = {path for path in ROOT.glob("plugins/*/*.pyx")}
    assert {tool.path_of(module) for module in KERNELS} == sources
    assert len(sources) >= 5


@pytest.mark.parametrize("module", KERNELS)
def test_emitted_is_committed(module):
    """Otherwise: ``python tools/emit_kernels.py``."""
    assert tool.source_of(KERNELS[module]) == tool.path_of(module).read_text(encoding="utf-8")


def test_what_changed_is_written_anew(tmp_path, monkeypatch, capsys):
    for module in KERNELS:
        target = tmp_path / tool.path_of(module).relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(tool.path_of(module).read_bytes())
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    tool.main()
    assert capsys.readouterr().out == ""
    path = tool.path_of("pylstm_gru._gru")
    expected = path.read_text()
    path.write_text(expected.replace("dz[k] = ", "dz[k] = 2 * "))
    tool.main()
    assert capsys.readouterr().out.split() == ["plugins/pylstm_gru/_gru.pyx"]
    assert path.read_text() == expected


def test_cells_of_one_module_have_names_of_their_own():
    class One(Cell):
        states = ("h",)
        gates = dict(a="x+h")

        def forward(z, prev):
            return dict(h=sigmoid(z.a) * prev.h)

    class Two(One):
        pass

    text = cython.module_source([derive(One), derive(Two)], "Two cells.", "a command")
    assert text.startswith('"""Two cells.\n\nEmitted by ``a command``.\n"""\n')
    defined = [line.split("(")[0].split()[-1] for line in text.splitlines() if line.startswith("cdef")]
    assert len(defined) == len(set(defined)) == 14
    assert text.count("from pylstm._math cimport") == 1
    assert "one = publish(&one_cell)" in text and "two = publish(&two_cell)" in text
