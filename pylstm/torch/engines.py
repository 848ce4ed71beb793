"""`Engine`: the layers of pylstm behind all modules of one description, in terms of NumPy arrays."""

from __future__ import annotations

import functools
import json
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pylstm.cells.cell import Cell
from pylstm.cells.contracts.options import base_of, changed
from pylstm.checks import Array
from pylstm.layers.arguments import find_cell, is_registered
from pylstm.layers.composite import Composite
from pylstm.layers.inputs.protocols import SingleLayer
from pylstm.layers.named import Recurrent
from pylstm.layers.runs.composite import single
from pylstm.layers.runs.run import KINDS, bare_gradients, outputs_of
from pylstm.layers.stack import Stack
from pylstm.torch.naming import naming_of, suffix_of


@dataclass(frozen=True)
class Description:
    """What the layers of a module are, but for their dtype.

    Attributes
    ----------
    cell : type
    input_size, hidden_size, num_layers : int
    bidirectional, bias : bool
    learn_initial : bool, or tuple of str
    torch_names : bool
        Whether the parameters have PyTorch's names.
    sizes : tuple of (str, number)
        Extra sizes of the cell.
    """

    cell: type[Cell]
    input_size: int
    hidden_size: int
    num_layers: int = 1
    bidirectional: bool = False
    bias: bool = True
    learn_initial: bool | tuple[str, ...] = False
    torch_names: bool = False
    sizes: tuple[tuple[str, Any], ...] = ()

    def layer(self, dtype: str, seed: Any = 0, **options: Any) -> Any:
        """A layer, or a stack."""
        make: Any = Recurrent
        return make(
            self.cell,
            self.input_size,
            self.hidden_size,
            self.num_layers,
            bidirectional=self.bidirectional,
            bias=self.bias,
            learn_initial=self.learn_initial,
            dtype=dtype,
            seed=seed,
            **dict(self.sizes),
            **options,
        )

    @property
    def is_registered(self) -> bool:
        """Whether the cell is found by its name in another process, too."""
        return is_registered(base_of(self.cell))

    @property
    def key(self) -> str:
        """A str for the graphs of torch.compile; of a registered cell another process makes the same engine of it."""
        says = {name: getattr(self, name) for name in self.__dataclass_fields__}
        base = base_of(self.cell)
        says["cell"] = base.name if self.is_registered else f"{base.__module__}:{base.__qualname__}#{id(base):x}"
        says["options"] = changed(self.cell)
        return json.dumps(says)


def described(key: str) -> Description:
    """The description that has `key`, of a registered cell."""
    says = json.loads(key)
    options, sizes = says.pop("options"), says.pop("sizes")
    if "#" in says["cell"]:
        name = says["cell"].partition("#")[0]
        raise RuntimeError(f"the cell {name} is not registered: make a module of it in this process first")
    learn = says.pop("learn_initial")
    cell = find_cell(says.pop("cell"))
    return Description(
        cell.with_options(**options) if options else cell,
        learn_initial=learn if isinstance(learn, bool) else tuple(learn),
        sizes=tuple((name, value) for name, value in sizes),
        **says,
    )


class Passed:
    """The names of what comes with x and the weights.

    Attributes
    ----------
    text : str
        All names, with spaces between.
    names : tuple of str
        ``initial.<state>``, ``<aux, pre or blend>.<single layer>.<block>``, with ``.1`` where one number stands for all
        units; then ``reset``, ``lengths``, ``dropout`` and its ``seed``.
    smooth : int
        How many of them, the first, have gradients.
    states : list of str
        Those that are initial states.
    """

    def __init__(self, text: str) -> None:
        self.text, self.names = text, tuple(text.split())
        self.smooth = sum(name.startswith(("initial.", *KINDS)) for name in self.names)
        self.states = [name for name in self.names if name.startswith("initial.")]


passed_of = functools.cache(Passed)

Constant = tuple[str, int, int, Array]
"""Rows of an array that are a constant of the cell: its name, the first and the one after the last, their values."""


class Engine:
    """All layers of one description: each call takes one that nobody uses, so several threads may call at once.

    A run keeps what it needs of the weights, so its layer is free again before its backward pass.
    """

    def __init__(self, description: Description) -> None:
        self.description, self.key = description, description.key
        self.layers: dict[np.dtype, list[Any]] = {np.dtype("float32"): [], np.dtype("float64"): []}
        first = self._take(np.dtype("float32"))
        self.leaves: list[SingleLayer] = first.recurrents
        names = self.leaves[0].params.constants
        self.naming = naming_of(description.cell.name, description.torch_names, names)
        self.states: tuple[str, ...] = self.leaves[0].cell.contract.states
        self._check_states(first)
        self.widths, self.output_size = self.leaves[0].widths, first.output_size
        self.shapes, self.size = self._shapes(), first.params.size
        self.shape_of = {name: shape for shapes in self.shapes for name, shape in shapes.items()}
        self.lean = not isinstance(first, Composite) and first.params.trained_whole and not first.learn_initial
        """Whether the layers are single, with parameters that are all trained weights."""
        shapes = first.params.shapes
        self._pieces = [(name, piece, shapes[name]) for name, piece in first.params.trained_pieces()]
        self.has_constants = bool(self.leaves[0].params.constant_rows)
        self.constant_shapes = self._constant_shapes(names)
        self._constants: dict[str, list[Constant]] = {}
        self.layers[first.dtype].append(first)

    def _check_states(self, layer: Any) -> None:
        alike = layer.state_names if isinstance(layer, Composite) else self.states
        for name in self.states:
            if name not in alike:
                raise ValueError(
                    f"the states {name!r} of cell {self.description.cell.name!r} have different widths in the layers "
                    "of one module: make one module for each layer"
                )

    def _shapes(self) -> list[dict[str, tuple[int, ...]]]:
        directions = 1 + self.description.bidirectional
        return [
            {name + suffix_of(k, directions): shape for name, shape in self.naming.shapes(leaf).items()}
            for k, leaf in enumerate(self.leaves)
        ]

    def _constant_shapes(self, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
        directions = 1 + self.description.bidirectional
        return {
            name + suffix_of(k, directions): leaf.params.shapes[name]
            for k, leaf in enumerate(self.leaves)
            for name in names
        }

    def constants(self, dtype: str) -> list[Constant]:
        """What is a constant of the cell in the layers, in float32 or float64."""
        if dtype not in self._constants:
            layer, directions = self.description.layer(dtype), 1 + self.description.bidirectional
            self._constants[dtype] = [
                (name + suffix_of(k, directions), first, last, leaf.params[name][first:last])
                for k, leaf in enumerate(layer.recurrents)
                for name, rows in leaf.params.constant_rows.items()
                for first, last in rows
            ]
        return self._constants[dtype]

    def _take(self, dtype: np.dtype) -> Any:
        free = self.layers[dtype]
        try:
            return free.pop()
        except IndexError:
            return self.description.layer(dtype.name)

    def initial_parameters(self, dtype: str, seed: int) -> list[Array]:
        """Values that a new layer draws, in the order of the names."""
        layer = self.description.layer(dtype, seed)
        return [array for leaf in layer.recurrents for array in self.naming.split(leaf.params)]

    def forward(
        self, x: Array, weights: Sequence[Array], passed: Passed, given: Sequence[Array], tape: bool
    ) -> tuple[list[Array], Any]:
        """Outputs (y, final states), which share no memory with anything, and the run."""
        if self.lean and not given:
            return self._forward_alone(x, weights, tape)
        layer = self._take(x.dtype)
        try:
            run = self._run(layer, x, weights, passed, given, tape)
        finally:
            self.layers[layer.dtype].append(layer)
        whole = isinstance(layer, Composite)
        finals = [run.final[name] if whole else run.final[name][None].copy() for name in self.states]
        return [_own(run.y), *finals], run

    def _run(self, layer: Any, x: Array, weights: Sequence[Array], passed: Passed, given: Any, tape: bool) -> Any:
        """The run of a layer with these weights."""
        self._join(weights, [leaf.params for leaf in layer.recurrents])
        arguments = dict(zip(passed.names, given)) if given else {}
        if isinstance(layer, Stack):
            layer.train("seed" in arguments)
            if layer.training:
                layer.dropout = float(arguments["dropout"][0])
                layer.reseed(int(arguments["seed"][0]))
        return layer(x, tape=tape, **(self._arguments(layer, arguments) if arguments else {}))

    def _join(self, weights: Sequence[Array], params: Sequence[Any]) -> None:
        """Set the parameters of all single layers from the arrays of a module."""
        at = 0
        for leaf, shapes in zip(params, self.shapes):
            self.naming.join(weights[at : at + len(shapes)], leaf)
            at += len(shapes)

    def _forward_alone(self, x: Array, weights: Sequence[Array], tape: bool) -> tuple[list[Array], Any]:
        """`forward` of one layer, with nothing but x, in few operations of Python: small layers wait for them."""
        free = self.layers[x.dtype]
        layer = self._take(x.dtype)
        try:
            self.naming.join(weights, layer.params)
            run = layer(x, tape=tape)
        finally:
            free.append(layer)
        return outputs_of(run), run

    def _arguments(self, layer: Any, given: Mapping[str, Array]) -> dict[str, Any]:
        """What a call of `layer` takes, of what is named as in `Passed`."""
        arguments: dict[str, Any] = {name: given[name] for name in ("reset", "lengths") if name in given}
        parts: list[dict[str, dict[str, Array]]] = [{} for _ in self.leaves]
        for name, array in given.items():
            kind, *rest = name.split(".")
            if kind == "initial":
                arguments.setdefault("initial", {})[rest[0]] = array if isinstance(layer, Composite) else array[0]
            elif kind in KINDS:
                parts[int(rest[0])].setdefault(kind, {})[rest[1]] = array
        for kind in KINDS:
            each = [part.get(kind) for part in parts]
            if any(each):
                arguments[kind] = self._nested(each) if isinstance(layer, Composite) else each[0]
        return arguments

    def _nested(self, each: list[Any]) -> list[Any]:
        """A list by single layer as one by part of a stack."""
        return [each[k : k + 2] for k in range(0, len(each), 2)] if self.description.bidirectional else each

    def backward(
        self, run: Any, passed: Passed, cotangents: Sequence[Array | None], needs: Sequence[bool] = ()
    ) -> list[Array]:
        """Gradients of x, of the weights, and of the first `smooth` of what was passed.

        `needs` says which of x and the weights need one (none: all do); what no weight of a layer needs is zeros.
        """
        dy, *dfinals = cotangents
        if self.lean and not passed.names and dy is not None and all(d is None for d in dfinals):
            return self._backward_alone(run, dy, needs)
        whole = isinstance(run.layer, Composite)
        grads = run.backward(dy, dfinal=self._ends(whole, dfinals), without=self._unneeded(whole, needs))
        return self._taken(grads, whole, passed.names[: passed.smooth])

    def _ends(self, whole: bool, dfinals: Sequence[Array | None]) -> dict[str, Array] | None:
        """Cotangents of the final states, as a layer takes them."""
        return {name: d if whole else d[0] for name, d in zip(self.states, dfinals) if d is not None} or None

    def _taken(self, grads: Any, whole: bool, names: Sequence[str]) -> list[Array]:
        """Gradients by x, the weights, and what was passed by these names."""
        leaves = single(grads.layers) if whole else [grads]
        out = [grads.x, *(array for leaf in leaves for array in self.naming.split(leaf.params))]
        for name in names:
            kind, *rest = name.split(".")
            if kind == "initial":
                out.append(grads.initial[rest[0]] if whole else grads.initial[rest[0]][None])
            else:
                out.append(getattr(leaves[int(rest[0])], kind)[rest[1]])
        return [np.ascontiguousarray(array) for array in out]

    def again(
        self,
        inputs: tuple[Array, Sequence[Array], Passed, Sequence[Array]],
        cotangents: Sequence[Array | None],
        directions: Sequence[Array],
    ) -> tuple[list[Array], list[Array]]:
        """Derivatives of what `backward` returns, and of (y, final states), along directions of x, weights and states.

        By the symmetry of second derivatives the first are the gradients of <directions, gradients> by x, the weights
        and the states, and the second those by the cotangents. `inputs`: as of `forward`.
        """
        x, weights, passed, given = inputs
        layer, count = self._take(x.dtype), 1 + len(weights)
        try:
            run, whole = self._run(layer, x, weights, passed, given, True), isinstance(layer, Composite)
            parts = [leaf.params.zeros_like() for leaf in layer.recurrents]
            self._join(directions[1:count], parts)
            moved = layer.params.zeros_like()
            moved.flat[...] = np.concatenate([part.flat for part in parts])
            layer.params.fill_held(moved.flat, 0)
            starts = [name.partition(".")[2] for name in passed.states]
            initial = {name: each if whole else each[0] for name, each in zip(starts, directions[count:])}
            along = run._along("gradients of gradients", directions[0], initial, moved)
            dy, *dfinals = cotangents
            grads, _ = along.back((dy, self._ends(whole, dfinals), None), (None, None, None))
        finally:
            self.layers[layer.dtype].append(layer)
        tangent = along.tangent
        leaves = [each for part in tangent.layers for each in getattr(part, "layers", [part])] if whole else [tangent]
        ends = [np.stack([each.final[name] for each in leaves]) for name in self.states]
        return self._taken(grads, whole, passed.states), [_own(tangent.y), *ends]

    def _backward_alone(self, run: Any, dy: Array, needs: Sequence[bool]) -> list[Array]:
        """`backward` of one layer, of the cotangent of y alone."""
        without = () if all(needs) else self._unneeded(False, needs)
        flat, dx = bare_gradients(run, dy, without)
        T, B, _ = dy.shape
        x = np.zeros((T, B, self.description.input_size), dy.dtype) if dx is None else dx
        if flat is None:
            return [x, *(np.zeros(shape, dy.dtype) for shape in self.shape_of.values())]
        return [x, *self.naming.split({name: flat[piece].reshape(shape) for name, piece, shape in self._pieces})]

    def _unneeded(self, whole: bool, needs: Sequence[bool]) -> Any:
        """`without` of the run's backward: "x", and "params" of the layers of which no weight needs a gradient."""
        if all(needs):
            return ()
        at, each, x = 1, [], [] if needs[0] else ["x"]
        for shapes in self.shapes:
            each.append(x + ([] if any(needs[at : at + len(shapes)]) else ["params"]))
            at += len(shapes)
        return self._nested(each) if whole else each[0]


def _own(array: Array) -> Array:
    """The array itself if nobody else has its memory, else a copy: what a caller may change in place."""
    flags = array.flags
    return array if flags.owndata and flags.writeable and flags.c_contiguous else array.copy()


_ENGINES: weakref.WeakValueDictionary[str, Engine] = weakref.WeakValueDictionary()
"""Those that a module or a run holds; with the last of them go their layers and workspaces."""


def engine_of(key: str) -> Engine:
    """The engine of the modules whose description has this key."""
    found = _ENGINES.get(key)
    return found if found is not None else _made(key)


_made = functools.lru_cache(8)(lambda key: engine_for(described(key)))
"""Engines that no module holds, by their keys: a graph, exported or compiled, has nothing else."""


def engine_for(description: Description) -> Engine:
    """The engine of a description."""
    found = _ENGINES.get(description.key)
    return found if found is not None else _ENGINES.setdefault(description.key, Engine(description))
