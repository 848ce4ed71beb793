"""The NumPy twin of a cell: its functions, called by the names that they ask for."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from pylstm.cells._twin import Kernel
from pylstm.cells.contracts.options import options_of
from pylstm.cells.contracts.sizes import usual_sizes
from pylstm.cells.contracts.stages import Stage, hook_name

RowHook = Callable[[dict[str, list[Any]]], None]
"""Kind of block -> its arrays, in the order of the declaration; what a hook makes it writes into them."""


def hook(cell: Any, direction: str, stage: str) -> Any:
    """The twin's function of a stage ('' if unnamed) in a direction, or None where the cell has none."""
    return getattr(cell, hook_name(direction, stage), None)


def call(function: Callable[..., dict[str, Any]], **spaces: dict[str, Any]) -> dict[str, Any]:
    """Call a twin's function with those of the namespaces (z, prev, e, p, u, y, d, o, size) that it asks for by name.

    Raises
    ------
    TypeError
        It asks for another name, or does not return a dict.
    """
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    if options := options_of(function):
        spaces["o"] = options
    unknown = [name for name in names if name not in spaces]
    if unknown:
        known = ", ".join({**spaces, "o": None})
        cure = "remove self: the functions of a cell are static; " if unknown == ["self"] else ""
        cure = "it declares no `options`; " if unknown == ["o"] else cure
        raise TypeError(f"{function.__qualname__} asks for {', '.join(unknown)}: {cure}it may ask for {known}")
    out = function(*(SimpleNamespace(**spaces[name]) for name in names))
    if not isinstance(out, dict):
        raise TypeError(f"{function.__qualname__} must return a dict of arrays, got {type(out).__name__}")
    return out


def twin_kernel(cell: Any, sizes: dict[str, int] | None = None) -> Any:
    """Row hooks that call the twin of `cell`: it runs in the compiled loop, one Python call per stage and step.

    `sizes` are those of the layer; without them those at which the cell is certified.

    Raises
    ------
    TypeError
        The cell has no forward or no backward function for a stage.
    """
    sizes = sizes or cell.contract.resolve(**usual_sizes(cell)).sizes
    made, functions = cell.__dict__.get("_twin_kernels", {}), (*functions_of(cell), *sizes.items())
    if functions not in made:
        contract = cell.contract
        counts = {kind: len(names) for kind, names in contract.blocks.items()}
        kernel = Kernel(contract.name, counts, [_hooks(cell, stage, sizes) for stage in contract.stages])
        cell._twin_kernels = made | {functions: kernel}  # all are kept: layers run them after others are assigned
    return cell._twin_kernels[functions].capsule


def functions_of(cell: Any) -> tuple[Any, ...]:
    """What a cell computes with: its functions in each stage, and its kernel."""
    hooks = [hook(cell, way, stage.name) for stage in cell.contract.stages for way in ("forward", "backward")]
    return (*hooks, cell.kernel)


def _hooks(cell: Any, stage: Stage, sizes: dict[str, int]) -> tuple[RowHook, RowHook]:
    for direction in ("forward", "backward"):
        if hook(cell, direction, stage.name) is None:
            raise TypeError(f"cell {cell.name!r} has neither a kernel nor {hook_name(direction, stage.name)}")
    return _forward_hook(cell, stage, sizes), _backward_hook(cell, stage, sizes)


def _made(cell: Any, stage: Stage) -> tuple[str, tuple[str, ...]]:
    """Kind and names of what a stage makes."""
    return ("states", cell.contract.states) if stage is cell.contract.stages[-1] else ("emissions", stage.emits)


def _forward_hook(cell: Any, stage: Stage, size: dict[str, int]) -> RowHook:
    function = hook(cell, "forward", stage.name)
    kind, names = _made(cell, stage)

    def run(blocks: dict[str, list[Any]]) -> None:
        named = _named(cell, blocks)
        z = {gate: named["gates"][gate] for gate in stage.gates}
        given = {"prev": named["prev"], "e": named["emissions"], "p": named["params"], "u": named["aux"], "size": size}
        out = _own(call(function, z=z, **given))
        for name in names:
            if name not in out:
                raise TypeError(f"{function.__qualname__} must return {name!r}, which is missing")
        to = {**z, **named["keep"], **{name: named[kind][name] for name in names}}
        for name, value in out.items():
            if name not in to:
                raise TypeError(f"{function.__qualname__} returned {name!r}, which is not a block of this stage")
            to[name][...] = value

    return run


def _backward_hook(cell: Any, stage: Stage, size: dict[str, int]) -> RowHook:
    function = hook(cell, "backward", stage.name)
    kind, names = _made(cell, stage)

    def run(blocks: dict[str, list[Any]]) -> None:
        named = _named(cell, blocks)
        y = {**{gate: named["gates"][gate] for gate in stage.gates}, **named["keep"]}
        y |= {name: named[kind][name] for name in names}
        d = {name: named["d" + kind][name] for name in names}
        given = {"prev": named["prev"], "e": named["emissions"], "p": named["params"], "u": named["aux"], "size": size}
        out = _own(call(function, d=d, y=y, **given))
        for gate in stage.gates:
            if gate not in out:
                raise TypeError(f"{function.__qualname__} must return {gate!r}, which is missing")
            named["dgates"][gate][...] = out.pop(gate)
        to = {**named["dprev"], **named["demissions"], **named["daux"]}
        for name, value in out.items():
            if name in named["dparams"]:
                named["dparams"][name] += value.sum(axis=0)
            elif name in to:
                to[name] += value
            else:
                raise TypeError(f"{function.__qualname__} returned {name!r}, which is not an input of this stage")

    return run


def _own(out: dict[str, Any]) -> dict[str, Any]:
    """What a function returned, without views of blocks: one is written while others are still to be read."""
    return {name: value if getattr(value, "base", None) is None else np.array(value) for name, value in out.items()}


def _named(cell: Any, blocks: dict[str, list[Any]]) -> dict[str, dict[str, Any]]:
    """Kind -> name -> array; parameters and their accumulators without the axis of rows."""
    kinds, named = cell.contract.blocks, {}
    for kind, arrays in blocks.items():
        names = kinds["states" if kind in ("prev", "dprev", "dstates") else kind.removeprefix("d")]
        named[kind] = dict(zip(names, [a[0] for a in arrays] if kind.endswith("params") else arrays))
    return named
