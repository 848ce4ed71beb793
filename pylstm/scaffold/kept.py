"""A distribution of a cell whose functions are kept as they were written: nothing is derived, nothing compiled."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from pylstm.cells import Cell
from pylstm.cells.certification.certify import certify
from pylstm.cells.contracts.sizes import usual_sizes
from pylstm.cells.contracts.stages import hook_name
from pylstm.cells.probe import difference, probe
from pylstm.layers.named import Recurrent
from pylstm.scaffold.needs import literal
from pylstm.scaffold.source import written_source
from pylstm.scaffold.texts import COMMON, execute, fill, filled, more_of, summary_of

KEPT = {
    "meson.build": "kept_meson.build.txt",
    "README.md": "kept_README.md.txt",
    "tests/test_$name.py": "kept_test.py.txt",
}


def gives_backward(cell: type[Cell]) -> bool:
    """Whether the backward of a stage was written by hand."""
    stages = (cell.declared if cell.formulas else cell.contract).stages
    return any(s.name not in cell.formulas and getattr(cell, hook_name("backward", s.name), None) for s in stages)


def kept_files(name: str, source: type[Cell]) -> dict[str, str]:
    """Path -> content of all files: the class with forward and backward as they were written, and its tests.

    Raises
    ------
    ValueError
        The source of a function cannot be found, or it uses what cannot be written into a file.
    """
    place = f"pylstm_{name}/{name}.py"
    imports, text = written_source(source, name)
    module = fill("kept_cell.py.txt", name, imports="\n".join(imports), class_source="\n" + text)
    made = execute(module, name, place)
    if wrong := difference(probe(source), made):
        raise ValueError(f"cell {source.name!r}: the package would compute another {wrong}")
    failures = certify(made, raise_=False).failures
    sizes = usual_sizes(made)
    words = {
        "sizes": literal(sizes),
        "summary": summary_of(made),
        "more": more_of(made),
        "tools": "",
        "certified": "" if not failures else ", certified=False",
        "departs": literal(tuple(sorted({path.name for path in failures}))),
        "expected": "\n".join(f"    {literal(key)}: {_row(value)}," for key, value in numbers(source, sizes).items()),
        "numbers": inspect.getsource(numbers).strip(),
    }
    return filled(COMMON | KEPT, name, **words) | {place: module}


def numbers(cell: type[Cell], sizes: Any) -> dict[str, np.ndarray]:
    """Two sums of the output, and of each gradient, of a run on fixed numbers."""
    contract = cell.contract

    def wave(*shape: int) -> Any:
        return np.sin(1.0 + 7 * np.arange(np.prod(shape))).reshape(shape)

    layer = Recurrent(cell, **sizes, dtype="float64", certified=False)
    legal = {name: contract.domain.get(name, (None, None)) for name in (*contract.params, *contract.aux)}
    for name, array in layer.params.items():
        array[...] = np.clip(0.6 + 0.3 * wave(*array.shape), *legal[name]) if name in legal else wave(*array.shape)
    shapes = {name: (12, 3, layer.widths[name]) for name in contract.aux if name != "x"}
    aux = {name: np.clip(0.6 + 0.3 * wave(*shape), *legal[name]) for name, shape in shapes.items()}
    run = layer(2 * wave(12, 3, layer.input_size), aux=aux)
    grads = run.backward(wave(*run.y.shape))
    arrays = {"y": run.y, "x": grads.x, **grads.initial, **dict(grads.params.items())}
    return {name: np.array([np.abs(a).sum(), a.ravel() @ wave(a.size)]) for name, a in arrays.items()}


def _row(values: np.ndarray) -> str:
    return "[" + ", ".join(map(literal, values)) + "]"
