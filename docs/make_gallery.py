"""Write the gallery: a page and a picture for each registered cell, all that follows from its formula, and an index.

    python docs/make_gallery.py [FOLDER]

FOLDER is ``docs/gallery`` by default. Pages and pictures are generated: they are not committed.
"""

from __future__ import annotations

import argparse
import inspect
import itertools
import math
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from flow import Box, flow_of
from flow_picture import alternative, picture

from pylstm import plugins
from pylstm.cells import Derivation, FormulaError, derivation_page, derive

SIZES = {"input_size": 32, "hidden_size": 64}
LETTERS = {"input_size": "I", "hidden_size": "H"}

Sum = Counter[tuple[str, ...]]
"""A polynomial in the sizes: product of size names -> coefficient."""


def width(contract: Any, name: str) -> Sum:
    """Width of a block as a polynomial."""
    declared = "input_size" if name == "x" else contract.widths.get(name, "hidden_size")
    factors = [each.strip() for each in str(declared).split("*")]
    names = tuple(sorted(each for each in factors if not each.isdigit()))
    return Counter({names: math.prod(int(each) for each in factors if each.isdigit())})


def total(contract: Any, names: Any) -> Sum:
    return sum((width(contract, name) for name in names), Counter())


def times(a: Sum, b: Sum) -> Sum:
    product: Sum = Counter()
    for (left, m), (right, n) in itertools.product(a.items(), b.items()):
        product[tuple(sorted(left + right))] += m * n
    return product


def text(polynomial: Sum) -> str:
    """``4 H I + 4 H^2 + 4 H``."""
    terms = []
    for names, count in sorted(polynomial.items(), key=lambda item: (-len(item[0]), item[0])):
        powers = [f"{LETTERS.get(name, name)}{f'^{n}' if n > 1 else ''}" for name, n in Counter(names).items()]
        terms.append(" ".join([str(count)] * (count != 1 or not powers) + powers))
    return " + ".join(terms) or "0"


def parameters(contract: Any) -> dict[str, tuple[tuple[str, ...], Sum]]:
    """Name of a parameter or constant -> its gates, and its number of elements."""
    found = {}
    for source in contract.sources:
        gates = contract.gates_of(source)
        found[f"weight_{source}"] = gates, times(total(contract, gates), width(contract, source))
    if contract.biased:
        found["bias"] = contract.biased, total(contract, contract.biased)
    return found | {name: ((), width(contract, name)) for name in contract.params}


def number_of_parameters(contract: Any) -> int:
    """At the sizes of the index; a size that has no default is 32."""
    needed = {name: 32 for name, default in contract.sizes.items() if default is None}
    shapes = contract.parameter_shapes(contract.resolve(**SIZES, **needed))
    return sum(math.prod(shape) for name, shape in shapes.items() if name not in contract.constants)


def parameter_table(contract: Any) -> str:
    lines = ["## Parameters", "", "| parameter | gates, in the order of the rows | elements |", "| --- | --- | --- |"]
    found = parameters(contract)
    for name, (gates, size) in found.items():
        kind = "constant" if name in contract.constants else "per unit"
        lines.append(f"| `{name}` | {', '.join(gates) or kind} | {text(size)} |")
    recurrent = [size for name, (_, size) in found.items() if name.startswith("weight_") and name != "weight_x"]
    everything = sum((size for name, (_, size) in found.items() if name not in contract.constants), Counter())
    loop = "No product inside the time loop."
    if recurrent:
        loop = f"Multiplications of the products inside the time loop, per step: {text(sum(recurrent, Counter()))}."
    lines += [f"| all | | {text(everything)} |", "", f"{number_of_parameters(contract)} at I = 32, H = 64. {loop}"]
    return "\n".join(lines)


def description(cell: Any) -> str:
    """The docstring of the cell: first line as text, equations as they were written."""
    first, *rest = (inspect.getdoc(cell) or "").split("\n\n")
    equations = "\n\n".join(itertools.takewhile(lambda each: not each.startswith(".. math"), rest))
    return " ".join(first.split()) + (f"\n\n```text\n{equations}\n```" if equations else "")


@cache
def derived(cell: Any) -> Derivation | None:
    """None for a cell whose hand-written functions cannot be read as a formula."""
    try:
        return derive(cell)
    except FormulaError:
        return None


def flow(cell: Any) -> list[Box]:
    """What the picture of the cell shows."""
    derivation = derived(cell)
    return flow_of(derivation.contract if derivation else cell.contract, derivation)


def shown(cell: Any) -> str:
    """The picture in the page."""
    return f"![{alternative(cell.name, flow(cell))}]({cell.name}.svg)"


def page(cell: Any) -> str:
    """The page of one cell, Markdown with LaTeX."""
    derivation = derived(cell)
    if derivation is None:
        parts = [f"# {cell.name}", cell.reference, description(cell), shown(cell), parameter_table(cell.contract)]
        return (
            "\n\n".join([*parts, "Its functions are written by hand and are no formula: there is no derivation."])
            + "\n"
        )
    body = derivation_page(derivation, reference=cell.reference)
    head, mark, rest = body.partition("\n\n- states: ")
    declaration, line, equations = (mark + rest).partition("\n\n## ")
    head += f"\n\n{description(cell)}{declaration}\n\n{shown(cell)}"
    return f"{head}\n\n{parameter_table(cell.contract)}{line}{equations}"


def row(cell: Any) -> str:
    """The row of one cell in the index."""
    contract, derivation = cell.contract, derived(cell)
    counts = (
        ["", ""] if derivation is None else [sum(derivation.counts(way).values()) for way in ("forward", "backward")]
    )
    products = sum(len(contract.gates_of(source)) for source in contract.sources if source != "x")
    fields = [
        f"[{cell.name}]({cell.name}.md)",
        cell.reference,
        ", ".join(contract.states),
        ", ".join(contract.gates),
        products,
        len(contract.stages),
        number_of_parameters(contract),
        *counts,
    ]
    return f"| {' | '.join(str(field) for field in fields)} |"


def write(folder: Path, cells: list[Any]) -> list[Path]:
    """Write page and picture of each cell and ``index.md`` into `folder`; returns the pages."""
    folder.mkdir(parents=True, exist_ok=True)
    header = (
        "cell",
        "reference",
        "states",
        "gates",
        "recurrent products",
        "stages",
        "parameters",
        "forward",
        "backward",
    )
    index = [
        "# Gallery of cells",
        "",
        f"{len(cells)} cells. Recurrent products: pairs (gate, source other than x), each a product inside the loop. "
        "Parameters at I = 32, H = 64. Forward, backward: operations of the hooks per unit and step.",
        "",
        f"| {' | '.join(header)} |",
        f"|{' --- |' * len(header)}",
        *(row(cell) for cell in cells),
        "",
        "```{toctree}",
        ":hidden:",
        "",
        *(cell.name for cell in cells),
        "```",
    ]
    files = [folder / "index.md", *(folder / f"{cell.name}.md" for cell in cells)]
    for file, content in zip(files, ["\n".join(index) + "\n", *(page(cell) for cell in cells)]):
        keep(file, content)
    for cell in cells:
        keep(folder / f"{cell.name}.svg", picture(cell.name, flow(cell)))
    return files


def keep(file: Path, content: str) -> None:
    """Written only where something is new: what sphinx has built of the rest stays."""
    if not file.exists() or file.read_text(encoding="utf-8") != content:
        file.write_text(content, encoding="utf-8")


def cells() -> list[Any]:
    """All that are registered."""
    return [entry.cell for entry in plugins.registry().entries()]


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a page and a picture for each registered cell, and an index.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent / "gallery")
    files = write(parser.parse_args().folder, cells())
    print(f"{len(files)} pages and {len(files) - 1} pictures in {files[0].parent}")


if __name__ == "__main__":
    main()
