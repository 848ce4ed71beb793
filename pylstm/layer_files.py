"""Layers in the header of a file: `describe` writes, `plan_of` reads, checks, and says what tensors there must be.

A file is not trusted: `Plan.shapes` come from the description alone, and only when the tensors of the file have just
these shapes does `Plan.make` allocate a layer.
"""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pylstm.schema import Entries, UnknownCell, is_number

LAYERS = {
    "recurrent": "pylstm.layers.named:Recurrent",
    "linear": "pylstm.feedforward.linear:Linear",
    "mlp": "pylstm.feedforward.mlp:MLP",
    "embedding": "pylstm.feedforward.embedding:Embedding",
    "bidirectional": "pylstm.layers.stack:Bidirectional",
    "stack": "pylstm.layers.stack:Stack",
}
"""Kind -> class of the layers that a file can hold."""

MOST_LAYERS = 1000
"""Single layers that a file can hold."""

BLOCKS = ("states", "gates", "emissions", "params", "aux", "output", "biased", "widths", "sizes")
"""What of a cell's contract must be the same when a file is read as when it was written: names, in their order.

The rest does not change what is computed (`name`, `keep`, `domain`), is in the names of the values of the probe
(`stages`), or in other entries (`options`).
"""

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Plan:
    """A layer that a file describes: its parameters, how many single layers it is made of, and how it is made."""

    shapes: Shapes
    dtype: str
    count: int
    make: Callable[[], Any]


@dataclass(frozen=True)
class Wanted:
    """What `load` was asked for: classes by name that are taken in place of registered ones; whether to certify."""

    cells: Mapping[str, Any] = field(default_factory=dict)
    certified: bool = True


def kind_of(kinds: Mapping[str, str], thing: Any) -> str:
    """The kind of `thing`, or "". Nothing is imported: whoever has an object has its class."""
    for kind, location in kinds.items():
        module, _, name = location.partition(":")
        if module in sys.modules and isinstance(thing, getattr(sys.modules[module], name)):
            return kind
    return ""


def resolve(location: str) -> Any:
    """The class at ``module:name``, of the tables of this package."""
    module, _, name = location.partition(":")
    return getattr(importlib.import_module(module), name)


def describe(layer: Any) -> dict[str, Any]:
    """What is needed to build `layer` again, besides its parameters."""
    kind = kind_of(LAYERS, layer)
    if type(layer).__module__.partition(".")[0] != "pylstm":
        raise TypeError(
            f"save: {type(layer).__qualname__} is a subclass of {LAYERS[kind].partition(':')[2]}, and would come back "
            "as that: give it `parts`, `metadata` and `from_parts` in a class of its own"
        )
    description: dict[str, Any] = {"layer": kind, "dtype": layer.params.dtype.name}
    if kind == "linear":
        arguments = {"in_features": layer.in_features, "out_features": layer.out_features, "bias": layer.bias}
    elif kind == "mlp":
        names = ("in_features", "out_features", "activation", "bias")
        arguments = {name: getattr(layer, name) for name in names} | {"sizes": list(layer.sizes)}
    elif kind == "embedding":
        arguments = {"count": layer.count, "features": layer.features}
    elif kind in ("stack", "bidirectional"):
        description["layers"] = [describe(part) for part in layer.parts.values()]
        arguments = {"dropout": layer.dropout, "residual": list(layer.residual)} if kind == "stack" else {}
    else:
        names = ("input_size", "hidden_size", "bias", "batch_first")
        arguments = {name: getattr(layer, name) for name in names} | layer.sizes
        if layer.learn_initial:
            arguments["learn_initial"] = list(layer.learn_initial)
        description |= _describe_cell(layer.cell) | ({} if layer.certified else {"certified": False})
    return description | {"arguments": arguments}


def _describe_cell(cell: Any) -> dict[str, Any]:
    from pylstm.cells.probe import probe

    options = {"options": dict(cell.options)} if cell.options else {}
    package = cell.__module__.partition(".")[0]
    return {"cell": cell.name, "package": package, "blocks": _blocks(cell.contract), "probe": probe(cell)} | options


def _blocks(contract: Any) -> dict[str, Any]:
    """Names of a cell's blocks in order, with the sources of each gate, and other names that `BLOCKS` lists."""
    blocks: dict[str, Any] = {kind: list(getattr(contract, kind)) for kind in BLOCKS if kind != "output"}
    blocks["gates"] = [f"{gate}={'+'.join(contract.gate_sources[gate])}" for gate in contract.gates]
    blocks["output"] = [contract.output]
    blocks |= {
        kind: sorted(f"{name}={size}" for name, size in getattr(contract, kind).items()) for kind in ("widths", "sizes")
    }
    return blocks


def plan_of(entries: Entries, wanted: Wanted) -> Plan:
    """The layer that `entries` describe.

    Raises
    ------
    ValueError
        An entry that is not what `describe` writes; the cell has changed since.
    UnknownCell
        The cell is not registered.
    """
    kind = entries.text("layer", LAYERS)
    dtype = entries.text("dtype", ("float32", "float64"))
    return _PLANS[kind](entries, entries.entries("arguments"), dtype, wanted)


def _plan_linear(entries: Entries, given: Entries, dtype: str, wanted: Wanted) -> Plan:
    entries.only(("layer", "dtype", "arguments"))
    given.only(("in_features", "out_features", "bias"))
    shapes = _linear_shapes(given.integer("in_features"), given.integer("out_features"), given.flag("bias"))
    return Plan(shapes, dtype, 1, lambda: resolve(LAYERS["linear"])(**given.value, dtype=dtype))


def _linear_shapes(inputs: int, outputs: int, bias: bool, prefix: str = "") -> Shapes:
    return {f"{prefix}weight": (outputs, inputs)} | ({f"{prefix}bias": (outputs,)} if bias else {})


def _plan_mlp(entries: Entries, given: Entries, dtype: str, wanted: Wanted) -> Plan:
    entries.only(("layer", "dtype", "arguments"))
    given.only(("in_features", "out_features", "activation", "bias", "sizes"))
    given.text("activation", ("relu", "tanh"))
    sizes = [given.integer("in_features"), *given.list("sizes", int), given.integer("out_features")]
    if len(sizes) > MOST_LAYERS or min(sizes) < 1:
        given.refuse(f"must hold up to {MOST_LAYERS - 2} integers of at least 1", sizes[1:-1], "sizes")
    bias, shapes = given.flag("bias"), {}
    for k, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        shapes |= _linear_shapes(inputs, outputs, bias, f"{k}.")
    return Plan(shapes, dtype, len(sizes) - 1, lambda: resolve(LAYERS["mlp"])(**given.value, dtype=dtype))


def _plan_embedding(entries: Entries, given: Entries, dtype: str, wanted: Wanted) -> Plan:
    entries.only(("layer", "dtype", "arguments"))
    given.only(("count", "features"))
    shape = given.integer("count"), given.integer("features")
    return Plan({"weight": shape}, dtype, 1, lambda: resolve(LAYERS["embedding"])(*shape, dtype=dtype))


def _plan_parts(entries: Entries, kinds: tuple[str, ...], wanted: Wanted) -> list[Plan]:
    described = entries.only(("layer", "dtype", "arguments", "layers")).list("layers", dict)
    if not 1 <= len(described) <= MOST_LAYERS:
        entries.refuse(f"must hold 1 to {MOST_LAYERS} layers", len(described), "layers")
    parts = [Entries(each, f"{entries.where}.layers[{k}]") for k, each in enumerate(described)]
    for each in parts:
        each.text("layer", kinds)
    return [plan_of(each, wanted) for each in parts]


def _plan_bidirectional(entries: Entries, given: Entries, dtype: str, wanted: Wanted) -> Plan:
    given.only(())
    if len(entries.list("layers", dict)) != 2:
        entries.refuse("must hold 2 layers", len(entries.list("layers")), "layers")
    plans = _plan_parts(entries, ("recurrent",), wanted)
    make = lambda: resolve(LAYERS["bidirectional"])(*(plan.make() for plan in plans))  # noqa: E731
    return _together(plans, ("", "reverse."), dtype, make)


def _plan_stack(entries: Entries, given: Entries, dtype: str, wanted: Wanted) -> Plan:
    dropout, residual = given.only(("dropout", "residual")).number("dropout", 0, 1), given.list("residual", bool)
    plans = _plan_parts(entries, ("recurrent", "bidirectional"), wanted)
    make = lambda: resolve(LAYERS["stack"])(  # noqa: E731
        [plan.make() for plan in plans], dropout=dropout, residual=residual
    )
    return _together(plans, [f"{k}." for k in range(len(plans))], dtype, make)


def _together(plans: list[Plan], prefixes: Any, dtype: str, make: Callable[[], Any]) -> Plan:
    shapes = {prefix + name: shape for prefix, plan in zip(prefixes, plans) for name, shape in plan.shapes.items()}
    return Plan(shapes, dtype, sum(plan.count for plan in plans), make)


def _plan_recurrent(entries: Entries, given: Entries, dtype: str, wanted: Wanted) -> Plan:
    entries.only(("layer", "dtype", "arguments", "cell", "package", "blocks", "probe", "options", "certified"))
    if "certified" in entries.value and not entries.flag("certified") and wanted.certified:
        raise ValueError(
            f"{entries.where} was made with certified=False: the gradients of its cell may be wrong; "
            "load(path, certified=False) reads it all the same"
        )
    cell = _cell_of(entries, wanted)
    contract = cell.contract
    given.only(("input_size", "hidden_size", "bias", "batch_first", "learn_initial", *contract.sizes))
    sizes = {name: given.integer(name) for name in given.value if name in contract.sizes}
    widths = contract.resolve(given.integer("input_size"), given.integer("hidden_size"), **sizes)
    given.flag("batch_first")
    learned = given.list("learn_initial", str) if "learn_initial" in given.value else []
    if len(set(learned)) != len(learned) or not set(learned) <= set(contract.states):
        given.refuse(f"must hold states ({', '.join(contract.states)})", learned, "learn_initial")
    shapes = contract.parameter_shapes(widths, given.flag("bias"))
    shapes |= {f"initial_{name}": (widths[name],) for name in learned}
    options = {"dtype": dtype, "certified": wanted.certified}
    return Plan(shapes, dtype, 1, lambda: resolve(LAYERS["recurrent"])(cell, **given.value, **options))


_PLANS: dict[str, Callable[..., Plan]] = {
    "recurrent": _plan_recurrent,
    "linear": _plan_linear,
    "mlp": _plan_mlp,
    "embedding": _plan_embedding,
    "bidirectional": _plan_bidirectional,
    "stack": _plan_stack,
}


def _cell_of(entries: Entries, wanted: Wanted) -> Any:
    """The cell with the options of the file, if it is still the one that the file was written with."""
    from pylstm.cells.options import base_of, with_options
    from pylstm.layers.arguments import find_cell

    name, package = entries.text("cell"), entries.text("package")
    try:
        given = find_cell(wanted.cells.get(name, name))
    except LookupError as error:
        raise UnknownCell(
            f"needs the cell {name[:60]!r} of package {package[:60]!r}, which is not registered: install that package, "
            f"call pylstm.register with the cell before load, or load(path, cell=...) with its class ({error})"
        ) from None
    cell = base_of(given)
    changed, now = f"the cell {name!r} has changed since", cell.__module__.partition(".")[0]
    saved, blocks = entries.entries("blocks").only(BLOCKS), _blocks(cell.contract)
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


MOST_STEPS, MOST_INTEGER = 100_000, 10_000
"""With options that only a file names: steps that a cell may take for its probe, in `at_most`; the largest integer."""


def _with_options_of_file(entries: Entries, cell: Any, options: dict[str, Any], changed: str) -> Any:
    """The cell with options that nobody but the file has asked for: they must not make it run for hours."""
    from pylstm.cells.limited import at_most
    from pylstm.cells.options import with_options

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
    from pylstm.cells.probe import difference, probe

    if "probe" not in entries.value:  # written before there was one
        probe(cell)  # that it can be computed, and within the limits of the caller
        return
    saved = entries.entries("probe")
    for name in saved.value:
        if not all(each is None or is_number(each) for each in saved.list(name)):
            saved.refuse("must hold finite numbers or null only", saved.value[name], name)
    what = difference(saved.value, cell)
    if what:
        raise ValueError(
            f"{changed}: {what} has other values, so the layer would compute otherwise; pass the class that it was "
            "trained with, load(path, cell=...), or train again"
        )
