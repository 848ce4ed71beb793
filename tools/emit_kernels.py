"""Writes the kernels of `plugins/` anew, from the formulas of their cells.

Run: ``python tools/emit_kernels.py``, with this pylstm installed; prints the files that changed.
`pylstm/cells/_lstm.pyx` stays by hand: it is the page that an author of kernels reads.
"""

from __future__ import annotations

from pathlib import Path

from pylstm import plugins
from pylstm.cells import Cell
from pylstm.cells.formula import derive
from pylstm.cells.formula.emission import cython

ROOT = Path(__file__).resolve().parents[1]


def kernels() -> dict[str, list[type[Cell]]]:
    """Module of a bundled kernel -> the cells in it."""
    found: dict[str, list[type[Cell]]] = {}
    registry = plugins.registry()
    for cell in (registry.get(name, certified=False) for name in registry.names()):
        module = cell.kernel.partition(":")[0] if isinstance(cell.kernel, str) else ""
        if module and path_of(module).exists():
            found.setdefault(module, []).append(cell)
    return found


def path_of(module: str) -> Path:
    """The source of a kernel."""
    return ROOT / "plugins" / Path(*module.split(".")).with_suffix(".pyx")


def source_of(cells: list[type[Cell]]) -> str:
    """The source of the kernel of `cells`."""
    names = ", ".join(f"`{cell.name}`" for cell in cells)
    summary = f"Compiled kernel of {names}: see `{cells[0].__module__}` for the equations."
    return cython.module_source([derive(cell) for cell in cells], summary, "python tools/emit_kernels.py")


def main() -> None:
    for module, cells in kernels().items():
        path, source = path_of(module), source_of(cells)
        if path.read_text(encoding="utf-8") != source:
            path.write_text(source, encoding="utf-8")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
