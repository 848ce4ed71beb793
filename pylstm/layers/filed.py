"""A layer of one cell in the header of a file: `describe_cell` writes, `plan_cell` reads and checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pylstm.cells.contracts.matrices import misfit
from pylstm.cells.contracts.options import base_of, with_options
from pylstm.cells.limited import at_most
from pylstm.cells.probe import difference, probe
from pylstm.kinds import Plan, Wanted
from pylstm.layers.arguments import find_cell
from pylstm.layers.constants import check_constants
from pylstm.schema import Entries, UnknownCell, is_number

BLOCKS = ("states", "gates", "emissions", "params", "aux", "output", "biased", "widths", "sizes")
"""What of a cell's contract must be the same when a file is read as when it was written: names, in their order.

The rest does not change what is computed (`name`, `keep`, `domain`), is in the names of the values of the probe
(`stages`), or in other entries (`options`).
"""


def describe_cell(layer: Any) -> dict[str, Any]:
    """Description of a layer of one cell for a file.

    Raises
    ------
    ValueError
        A constant of the cell has been changed in the layer.
    """
    check_constants(layer)
    names, cell = ("input_size", "hidden_size", "bias", "batch_first"), layer.cell
    arguments = {name: getattr(layer, name) for name in names} | layer.sizes
    if layer.learn_initial:
        arguments["learn_initial"] = list(layer.learn_initial)
    found = {"arguments": arguments} | ({} if layer.certified else {"certified": False})
    options = {"options": dict(cell.options)} if cell.options else {}
    package = cell.__module__.partition(".")[0]
    return (
        {
            "cell": cell.name,
            "package": package,
            "blocks": _blocks(cell.contract) | _structure(cell.contract, layer.widths),
            "probe": probe(cell),
        }
        | options
        | found
    )


def _blocks(contract: Any) -> dict[str, Any]:
    """Names of a cell's blocks in order, with the sources of each gate, and other names that `BLOCKS` lists."""
    blocks: dict[str, Any] = {kind: list(getattr(contract, kind)) for kind in BLOCKS if kind != "output"}
    blocks["gates"] = [f"{gate}={'+'.join(contract.gate_sources[gate])}" for gate in contract.gates]
    blocks["output"] = [contract.output]
    if contract.constants:
        blocks["constants"] = list(contract.constants)
    blocks |= {
        kind: sorted(f"{name}={size}" for name, size in getattr(contract, kind).items()) for kind in ("widths", "sizes")
    }
    return blocks


def _structure(contract: Any, widths: Any) -> dict[str, list[str]]:
    """The structures of the matrices at the sizes of a layer."""
    matrices = contract.matrices(widths) if contract.structure else {}
    return {"structure": [matrices[source].described for source in contract.structure]} if matrices else {}


def plan_cell(make: Callable[..., Any], entries: Entries, dtype: str, wanted: Wanted) -> Plan:
    """The plan of the layer that `make` makes of the cell that `entries` describe, and of its arguments."""
    given = entries.entries("arguments")
    entries.only(("layer", "dtype", "arguments", "cell", "package", "blocks", "probe", "options", "certified"))
    if "certified" in entries.value and not entries.flag("certified") and wanted.certified:
        raise ValueError(
            f"{entries.where} was made with certified=False: the gradients of its cell may be wrong; "
            "load(path, certified=False) reads it nevertheless"
        )
    cell = _cell_of(entries, wanted)
    contract = cell.contract
    given.only(("input_size", "hidden_size", "bias", "batch_first", "learn_initial", *contract.sizes))
    sizes = {name: given.integer(name) for name in given.value if name in contract.sizes}
    widths = contract.resolve(given.integer("input_size"), given.integer("hidden_size"), **sizes)
    if wrong := misfit(contract.name, contract.matrices(widths) if contract.structure else {}):
        given.refuse(f"must fit the cell ({wrong})", given.value)
    _check_structure(entries, contract, widths)
    given.flag("batch_first")
    learned = given.list("learn_initial", str) if "learn_initial" in given.value else []
    if len(set(learned)) != len(learned) or not set(learned) <= set(contract.states):
        given.refuse(f"must hold states ({', '.join(contract.states)})", learned, "learn_initial")
    shapes = contract.parameter_shapes(widths, given.flag("bias"))
    shapes |= {f"initial_{name}": (widths[name],) for name in learned}
    options = {"dtype": dtype, "certified": wanted.certified}
    return Plan(shapes, dtype, 1, lambda: make(cell, **given.value, **options))


def _cell_of(entries: Entries, wanted: Wanted) -> Any:
    """The cell with the options of the file, if it is still the one that the file was written with."""
    name, package = entries.text("cell"), entries.text("package")
    try:
        given = find_cell(wanted.cells.get(name) or _own_cell(name, package))
    except LookupError as error:
        raise UnknownCell(
            f"needs the cell {name[:60]!r} of package {package[:60]!r}, which is not registered: install that package, "
            f"call pylstm.register with the cell before load, or load(path, cell=...) with its class ({error})"
        ) from None
    cell = base_of(given)
    changed, now = f"the cell {name!r} has changed since", cell.__module__.partition(".")[0]
    saved, blocks = entries.entries("blocks").only((*BLOCKS, "constants", "structure")), _blocks(cell.contract)
    constants = saved.list("constants", str) if "constants" in saved.value else []
    if constants != list(cell.contract.constants):
        raise ValueError(f"{changed}: constants were {constants!r:.200}, now {list(cell.contract.constants)!r:.200}")
    for kind in BLOCKS:
        if saved.list(kind, str) != blocks[kind]:
            was, is_ = (", ".join(each[kind]) or "none" for each in (saved.value, blocks))
            raise ValueError(
                f"{changed}: {kind} {'was' if kind == 'output' else 'were'} {was[:200]} (package {package[:60]!r}), "
                f"now {is_[:200]} (package {now!r})"
            )
    options = entries.entries("options").value if "options" in entries.value else {}
    if not options or options in (given.options, cell.options):
        _check_probe(entries, with_options(cell, options), changed)
        return with_options(cell, options)
    return _with_options_of_file(entries, cell, options, changed)


def _check_structure(entries: Entries, contract: Any, widths: Any) -> None:
    saved, now = entries.entries("blocks"), _structure(contract, widths).get("structure", [])
    was = saved.list("structure", str) if "structure" in saved.value else []
    if was != now:
        raise ValueError(
            f"the cell {contract.name!r} has changed since: structure was {', '.join(was)[:200] or 'none'}, now "
            f"{', '.join(now)[:200] or 'none'}"
        )


def _own_cell(name: str, package: str) -> Any:
    """The cell of this package that is not registered, or else the name."""
    if package != "pylstm" or not name.endswith("_hard_sigmoid"):
        return name
    from pylstm.cells.hard_sigmoid import CELLS  # here: few files need them

    return CELLS.get(name, name)


MOST_STEPS, MOST_INTEGER = 100_000, 10_000
"""Limits of options of files: steps that a cell may take for its probe, in `at_most`; the largest integer."""


def _with_options_of_file(entries: Entries, cell: Any, options: dict[str, Any], changed: str) -> Any:
    """The cell with options that only the file asks for: they must not make it run for hours."""
    where = f"{entries.where}.options"
    cure = "if you trust the file, load(path, cell=...) with the class of the cell, .with_options(...) of these values"
    for name, value in options.items():
        most = max(MOST_INTEGER, abs(cell.options.get(name, 0)))
        if isinstance(value, int) and abs(value) > most:
            given = value if abs(value) < 2**63 else "a larger one"
            raise ValueError(f"{where}.{name} must be an integer of at most {most} in a file, got {given}: {cure}")
    with at_most(
        MOST_STEPS, f"{where}: with these the cell takes more than {MOST_STEPS} calls and lines for a few rows: {cure}"
    ):
        try:
            cell = with_options(cell, options)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: {error}: {changed}, or the file is damaged") from None
        _check_probe(entries, cell, changed)
    return cell


def _check_probe(entries: Entries, cell: Any, changed: str) -> None:
    saved = entries.entries("probe")
    for name in saved.value:
        if not all(each is None or is_number(each) for each in saved.list(name)):
            saved.refuse("must hold finite numbers or null only", saved.value[name], name)
    what = difference(saved.value, cell)
    if what:
        raise ValueError(
            f"{changed}: {what} has other values, so the layer would compute something else: pass the class that it "
            "was trained with, load(path, cell=...), or train again"
        )
