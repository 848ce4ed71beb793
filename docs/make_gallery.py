"""Write the gallery: a page and a picture for each registered cell, all that follows from its formula, and an index.

    python docs/make_gallery.py [FOLDER]

FOLDER is ``docs/gallery`` by default. Pages and pictures are generated: they are not committed.
"""

from __future__ import annotations

import argparse
import html
import inspect
import itertools
import json
import math
import re
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from flow import Box, flow_of
from flow_picture import alternative, picture
from folds import narrow

from pylstm import plugins
from pylstm.cells import Derivation, FormulaError, derivation_page, derive

HERE = Path(__file__).resolve().parent
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
    """The docstring of the cell: first line as text, equations as they were written, roles as Markdown."""
    first, *rest = (inspect.getdoc(cell) or "").split("\n\n")
    equations = "\n\n".join(itertools.takewhile(lambda each: not each.startswith(".. math"), rest))
    first = re.sub(r":math:`([^`]*)`", r"$\1$", " ".join(first.split()))
    return first + (f"\n\n```text\n{equations}\n```" if equations else "")


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
    told = f"{description(cell)}\n\n{facts(cell)}"
    if derivation is None:
        parts = [f"# {cell.name}", cell.reference, told, shown(cell), parameter_table(cell.contract)]
        return (
            "\n\n".join([*parts, "Its functions are written by hand and are no formula: there is no derivation."])
            + "\n"
        )
    body = derivation_page(derivation, reference=cell.reference)
    head, mark, rest = body.partition("\n\n- states: ")
    declaration, line, equations = (mark + rest).partition("\n\n## ")
    head += f"\n\n{told}{declaration}\n\n{shown(cell)}"
    return f"{head}\n\n{parameter_table(cell.contract)}{line}{narrow(equations)}"


def family(cell: Any) -> str:
    """Of a cell of the zoo its module, ``compiled`` for what else is in this distribution; of others their package."""
    package, *_, module = cell.__module__.split(".")
    if package == "pylstm_zoo":
        return module
    return "compiled" if package.startswith("pylstm_") or package == "pylstm" else package


@cache
def families() -> dict[str, str]:
    """Family -> what its cells share, in the order of docs/zoo.md."""
    table = re.findall(r"^\| `(\w+)`: ([^|]+) \|", (HERE / "zoo.md").read_text(encoding="utf-8"), re.M)
    return {"compiled": "with a kernel of their own", **dict(table)}


@cache
def speeds() -> dict[str, Any]:
    """What ``benchmarks/cell_speeds.py`` has written."""
    return json.loads((HERE / "speeds.json").read_text(encoding="utf-8"))


def facts(cell: Any) -> str:
    """Its family, its speed, and how to get a layer of it."""
    sizes = "".join(f", {name}=32" for name, default in cell.contract.sizes.items() if default is None)
    kind, ratio = family(cell), speeds()["ratios"].get(cell.name)
    lines = [f"Family: [{kind}](#family-{kind})" + (f", {families()[kind]}." if kind in families() else ".")]
    if cell.name == "lstm":
        lines.append("Training times of the others are [measured beside it](#speed).")
    elif ratio is not None:
        lines.append(f"Training takes {ratio:.2f} of the time of an LSTM of the same sizes ([how measured](#speed)).")
    return f'{" ".join(lines)}\n\n```python\nlayer = pylstm.Recurrent("{cell.name}", 32, 64{sizes})\n```'


def time_of(cell: Any) -> str:
    """Of training, beside an LSTM; nothing where it was not measured."""
    ratio = speeds()["ratios"].get(cell.name)
    return "" if ratio is None else "1" if cell.name == "lstm" else f"{ratio:.2f}"


def source(cell: Any) -> str:
    """First author and year: ``Greff et al. (2015)``."""
    found = re.match(r"([^(;]*?)(,? et al\.)? \((\d{4})\)", cell.reference)
    if not found:
        return cell.reference
    first, *others = re.split(r", | & ", found[1])
    names = (
        first if not others and not found[2] else f"{first} et al." if len(others) != 1 else f"{first} & {others[0]}"
    )
    return f"{names} ({found[3]})"


def row(cell: Any) -> str:
    """The row of one cell in the index."""
    contract, derivation = cell.contract, derived(cell)
    ways = () if derivation is None else ("forward", "backward")
    words = html.escape(cell.reference).replace("|", "&#124;")
    fields = [
        f"[{cell.name}]({cell.name}.md)",
        time_of(cell),
        re.sub(r"([|*<])", r"\\\1", description(cell).partition("\n\n```")[0]),
        f'{source(cell)}<span data-words="{words}"></span>',
        sum(len(contract.gates_of(each)) for each in contract.sources if each != "x"),
        number_of_parameters(contract),
        " + ".join(str(sum(derivation.counts(way).values())) for way in ways),
        ", ".join(contract.states),
        ", ".join(contract.gates),
    ]
    return f"| {' | '.join(str(field) for field in fields)} |"


HEADER = ("cell", "time", "what it is", "source", "products", "parameters", "operations", "states", "gates")
INDEX = """# Gallery of cells

{cells} cells, by family. Products: pairs (gate, source other than x), each a product inside the loop. Parameters at
I = 32, H = 64. Operations: of the hooks forward and backward, per unit and step. Time: of training, beside an LSTM of
the same sizes, so 0.50 is twice as fast ([how measured](#speed))."""
SPEED = """(speed)=
## How the times were measured

`python -P benchmarks/cell_speeds.py --save docs/speeds.json`: forward and backward of {B} sequences of {T} steps,
I = {I}, H = {H}, float32, on one thread; cell and LSTM in turn in one process, the least of several rounds. On
{machine}. Cells with a kernel of their own are compiled; formulas run on the expression machine, without a compiler."""


def index(cells: list[Any]) -> str:
    """The page of all cells: a table for each family."""
    kinds = {kind: [cell for cell in cells if family(cell) == kind] for kind in [*families(), *map(family, cells)]}
    parts = [INDEX.format(cells=len(cells))]
    for kind, members in kinds.items():
        title = f"{kind}: {families()[kind]}" if kind in families() else kind
        head = [f"| {' | '.join(HEADER)} |", f"| --- | ---: |{' --- |' * 2}{' ---: |' * 3}{' --- |' * 2}"]
        if members:
            parts += [f"(family-{kind})=\n## {title}", "\n".join([*head, *map(row, members)])]
    parts.append(SPEED.format(machine=speeds()["machine"], **speeds()["size"]))
    parts.append("\n".join(["```{toctree}", ":hidden:", "", *(cell.name for cell in cells), "```"]))
    return "\n\n".join(parts) + "\n"


def write(folder: Path, cells: list[Any]) -> list[Path]:
    """Write page and picture of each cell and ``index.md`` into `folder`; returns the pages."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "index.md", *(folder / f"{cell.name}.md" for cell in cells)]
    for file, content in zip(files, [index(cells), *map(page, cells)]):
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
