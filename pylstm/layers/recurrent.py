"""`RecurrentLayer`: one layer of any cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np

from pylstm import _core
from pylstm.cells._twin import is_twin
from pylstm.cells.cell import Cell
from pylstm.cells.certification.once import ensure_certified, ensure_certified_at
from pylstm.cells.contracts.matrices import misfit
from pylstm.cells.contracts.options import changed, split
from pylstm.cells.formula.tangents import Tangents, tangent_cell
from pylstm.cells.formula.tape_tangents import DX, tape_tangent_cell
from pylstm.cells.kernels import load_kernel
from pylstm.cells.twin import twin_kernel
from pylstm.checks import (
    Dtype,
    Seed,
    as_array,
    as_size,
    check_array,
    check_dtype,
    check_flag,
    check_lengths,
    check_names,
    generator,
)  # fmt: skip
from pylstm.described import Layer, call_of
from pylstm.engine.memory import Workspaces
from pylstm.engine.threads import allowed_threads
from pylstm.hints import explained, refuse_call, refuse_options, takes_input
from pylstm.layers.arguments import check_extra, find_cell
from pylstm.layers.constants import constant_rows, set_constants
from pylstm.layers.core import core_of
from pylstm.layers.initialisers import Initialiser, initialise, set_values
from pylstm.layers.inputs.given import take_given, take_initial
from pylstm.layers.inputs.layout import Layout
from pylstm.layers.inputs.learned import check_learned, first_states
from pylstm.layers.inputs.made import maker_of
from pylstm.layers.inputs.saturated import Counts
from pylstm.layers.runs.checkpointed import CheckpointedRun, kept, refuse_with_checkpoint, segments_of
from pylstm.layers.runs.ragged import Packing, RaggedRun
from pylstm.layers.runs.run import Run
from pylstm.layers.streams.streamed import Streamed
from pylstm.layers.structured import adjust_structured
from pylstm.parameters import Parameters

if TYPE_CHECKING:
    from pylstm.arrays import ArrayLike


class RecurrentLayer(Streamed, Layer, hints="single"):
    """One layer of one cell: what `Recurrent`, `LSTM`, `GRU` and `RNN` are, with all that they do."""

    fixed = (
        "input_size", "hidden_size", "output_size", "sizes", "widths",
        "cell", "bias", "batch_first", "dtype", "learn_initial", "certified",
    )  # fmt: skip
    cell: type[Cell]
    learn_initial: tuple[str, ...]

    def __init__(
        self,
        cell: str | type[Cell],
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        batch_first: bool = False,
        dtype: Dtype = "float32",
        seed: Seed = None,
        learn_initial: bool | Iterable[str] = False,
        certified: bool = True,
        **sizes: Any,
    ) -> None:
        self.cell, sizes = split(find_cell(cell), sizes)
        self.certified = check_flag("certified", certified)
        self.input_size, self.hidden_size = as_size("input_size", input_size), as_size("hidden_size", hidden_size)
        known = self.cell.contract.sizes
        refuse_options(sizes, known)
        if sizes.keys() - known.keys():
            check_extra(type(self).__name__, self.cell, sizes, type(self), RecurrentLayer.__init__)
        self.sizes = {name: as_size(name, value) for name, value in sizes.items()}
        self.bias, self.batch_first = check_flag("bias", bias), check_flag("batch_first", batch_first)
        self.dtype = check_dtype(dtype)
        contract = self.cell.contract
        self.widths = contract.resolve(self.input_size, self.hidden_size, **self.sizes)
        if wrong := misfit(contract.name, contract.matrices(self.widths) if contract.structure else {}):
            raise ValueError(f"{wrong}; choose other sizes, or another structure")
        self.output_size = self.widths[contract.output]
        self.learn_initial = check_learned(learn_initial, contract.states)
        first = {f"initial_{name}": (self.widths[name],) for name in self.learn_initial}
        shapes = contract.parameter_shapes(self.widths, self.bias) | first
        self._params = Parameters(shapes, self.dtype, constants=constant_rows(contract, self.widths))
        self.reset_parameters(seed)
        self._prepare()

    def _prepare(self) -> None:
        if self.certified:
            ensure_certified(self.cell)
        kernel = load_kernel(self.cell, self.widths.sizes)
        if self.certified and not kernel:
            ensure_certified_at(self.cell, self.widths)
        kernel = kernel or twin_kernel(self.cell, self.widths.sizes)
        self._compiled = not is_twin(kernel)  # a Python twin would only wait for the interpreter in several threads
        self._maker = maker_of(self.cell.contract, self.widths, self.params.shapes)
        shapes = self._maker.shapes if self._maker else self.params.shapes
        self._core = core_of(kernel, self.cell.contract, self.widths, shapes, self.dtype)
        self.workspaces = Workspaces()
        self._tangents: dict[Any, list[Any]] = {}
        self._ends: dict[float, Any] = {}
        self._layouts = (Layout(False, self.batch_first), Layout(True, self.batch_first))

    @property
    def recurrents(self) -> list[RecurrentLayer]:
        """The single layers of which it is made, as of a stack: itself."""
        return [self]

    @property
    def _structures(self) -> dict[str, str]:
        """The structure of matrices that are more than stored, for `summary`."""
        return {f"weight_{source}": str(each) for source, each in self.cell.contract.structure.items()}

    def loop_weights(self) -> np.ndarray:
        """What the time loop takes of the parameters as they are now: ``params.flat``, or a buffer made of it."""
        return self._maker.make(self.params).flat if self._maker else self.params.flat

    def matrix(self, source: str) -> np.ndarray:
        """The matrix by which a source is multiplied, whatever its structure; a copy where it is no parameter itself.

        Parameters
        ----------
        source : str
            ``"x"``, or a state or emission that is a source of the cell.

        Returns
        -------
        ndarray, shape (sum of the widths of the gates that it feeds, width of the source)

        Raises
        ------
        ValueError
            The cell has no such source.

        Examples
        --------
        >>> import pylstm
        >>> pylstm.LSTM(3, 5).matrix("h").shape
        (20, 5)
        """
        check_names("source", {source: None}, self.cell.contract.sources)
        return self.cell.contract.matrices(self.widths)[source].matrix(self.params)

    def beside_tangent(self, params: bool, *, dx: bool | None = None) -> tuple[Tangents | None, Any]:
        """The names of the tangents of its cell, and a layer in which it runs beside them.

        With `dx`, whether the input moves, the layer is of the tangents alone, from a tape; None twice where the tape
        does not have what they are made of.
        """
        inputs, units = self.input_size, self.hidden_size
        options: dict[str, Any] = {name: self.widths.sizes[name] for name in self.cell.contract.sizes}
        options |= {"dtype": self.dtype, "certified": False, "seed": 0, "bias": self.bias}
        if dx is not None:
            found = tape_tangent_cell(self.cell, dx=dx, params=params)
            if found is None:
                return None, None
            total = sum(inputs if part in (DX, "x") else self.widths[part] for part in found.parts)
            return found, RecurrentLayer(found.cell, total, units, **(options | {found.inputs: inputs}))
        tangents = tangent_cell(self.cell, params=params)
        learned = (*self.learn_initial, *(tangents.of[name] for name in self.learn_initial))
        options |= {"batch_first": self.batch_first, "learn_initial": learned, tangents.inputs: inputs}
        return tangents, RecurrentLayer(tangents.cell, 2 * inputs, units, **options)

    def tape_width(self) -> int:
        """Numbers on the tape per step and row: the input, and every gate, state, emission and kept value.

        Examples
        --------
        >>> import pylstm
        >>> pylstm.LSTM(3, 10).tape_width()  # I + (4 gates, 2 states, tanh c) H
        73
        """
        contract = self.cell.contract
        blocks = (*contract.gates, *contract.states, *contract.emissions, *contract.keep)
        return self.input_size + sum(self.widths[name] for name in blocks)

    def workspace_bytes(self, T: int, B: int, *, tape: bool = True) -> int:
        """Memory that a run over T steps of B rows takes, in bytes, all its backward pass needs included.

        It is T B tape_width() numbers, the weights packed twice, and what a chunk of about 256 rows needs (a few times
        256 times the width of all gates). The gradients, which `Run.backward` returns, come on top: T B input_size
        numbers and those of the parameters. Without a tape: T B output_size numbers and a chunk.
        """
        return self._core.plan(T, B, tape, 0, 0, allowed_threads() if self._compiled else 1).nbytes

    def reset_parameters(self, seed: Seed = None) -> None:
        """Draw all parameters anew; those in the cell's `initial_values` as it says."""
        rng, bound = generator(seed), 1 / np.sqrt(self.hidden_size)
        learned = sum(self.widths[name] for name in self.learn_initial)  # at the end; they begin at 0
        self.params.flat[...] = 0
        self.params.flat[: self.params.size - learned] = rng.uniform(-bound, bound, self.params.size - learned)
        adjust_structured(self)
        if self.cell.initial_values:
            set_values(self, self.cell.initial_values, rng)
        if self.cell.constants:
            set_constants(self)

    @explained()
    def initialise(self, how: Initialiser | Callable[..., Any], *arguments: Any, **options: Any) -> Self:
        """Set initial values; returns the layer.

        Parameters
        ----------
        how : str or callable
            Name of a function of `pylstm.layers.initialisers`, or a function of your own, which is called with the
            layer first.
        *arguments, **options
            For it, such as ``seed=``.

        Raises
        ------
        ValueError
            No initialiser of that name; as it does.

        Examples
        --------
        >>> import pylstm
        >>> layer = pylstm.LSTM(3, 2).initialise("orthogonal", seed=0).initialise("gate_bias", "f", 1.0)
        """
        initialise(self, how, *arguments, **options)
        return self

    @overload
    def __call__(
        self,
        x: ArrayLike,
        initial: Mapping[str, ArrayLike | None] | None = None,
        *,
        aux: Mapping[str, ArrayLike] | None = None,
        pre: Mapping[str, ArrayLike] | None = None,
        reset: ArrayLike | None = None,
        blend: Mapping[str, ArrayLike] | None = None,
        lengths: ArrayLike,
        tape: bool = True,
        saturation: bool | float = False,
    ) -> RaggedRun: ...
    @overload
    def __call__(
        self,
        x: ArrayLike,
        initial: Mapping[str, ArrayLike | None] | None = None,
        *,
        aux: Mapping[str, ArrayLike] | None = None,
        pre: Mapping[str, ArrayLike] | None = None,
        reset: ArrayLike | None = None,
        blend: Mapping[str, ArrayLike] | None = None,
        lengths: ArrayLike | None = None,
        tape: bool = True,
        checkpoint: str | int | None = None,
        saturation: bool | float = False,
    ) -> Run: ...
    @takes_input
    def __call__(
        self,
        x: Any = ...,
        initial: Mapping[str, Any] | None = None,
        *more: Any,
        aux: Mapping[str, Any] | None = None,
        pre: Mapping[str, Any] | None = None,
        reset: Any = None,
        blend: Mapping[str, Any] | None = None,
        lengths: Any = None,
        tape: bool = True,
        checkpoint: Any = None,
        saturation: Any = False,
        **other: Any,
    ) -> Any:
        """Run the layer over a batch of sequences.

        Parameters
        ----------
        x : array_like, shape (T, B, input_size), or (T, input_size) for a single sequence
            (B, T, input_size) with `batch_first`. Of the layer's dtype. T = 0 and B = 0 are legal.
        initial : dict of str to array_like, shape (B, width)
            Initial states; those not given are 0, or learned.
        aux : dict of str to array_like, shape (T, B, width)
            The cell's per-step inputs; all must be given.
        pre : dict of str to array_like, shape (T, B, width) or (T, B, 1)
            Factor on a previous state before it is used at a step (decay, dropout).
        reset : array_like of bool, shape (T, B)
            Where True, the row starts anew before that step (and before its `pre`): from 0, or the learned initial
            states, never from `initial`, which belongs to step 0 alone. Nothing flows back past it.
        blend : dict of str to array_like, shape (T, B, width) or (T, B, 1)
            s_t = s_prev + blend (s_new - s_prev), where s_prev is the previous state after reset and `pre`.
        lengths : array_like of int, shape (B,)
            Steps of each row, 0..T; what stands beyond is not looked at.
        tape : bool
            Keep all that `Run.backward` needs, and all states and gates. Without, memory does not grow with T times
            the number of gates; only ``y`` and ``final`` can be read.
        checkpoint : "sqrt", int or str, optional
            Keep the states at some steps instead of a tape, and compute the rest again in `backward`: at about sqrt(T)
            steps, or as a budget of memory allows, in bytes or like ``"64 MB"``. Not together with `lengths`.
        saturation : bool or float
            Count in the loop how often gates are near the ends of their ranges, for `pylstm.diagnostics.saturation` of
            the run, which then needs no tape. A number: its threshold, for True 0.05.

        Returns
        -------
        Run, or with `lengths` RaggedRun, with `checkpoint` CheckpointedRun (Run where the whole tape is in the budget)

        Raises
        ------
        TypeError
            A dtype other than the layer's, or not a dict by name.
        ValueError
            A wrong shape or an unknown name; a budget below the least possible.
        OverflowError, MemoryError
            The run does not fit into memory.
        """
        if other or more or x is ...:
            refuse_call(other, more)
        if tape is not True and tape is not False:
            tape = check_flag("tape", tape)
        source, (layout, x, T, B) = x, self._take_input(x, lengths)
        start, learned = take_initial(self, layout, B, initial)
        made = self._maker.make(self.params) if self._maker else None
        given = take_given(self, layout, (T, B), (learned, made), aux=aux, pre=pre, reset=reset, blend=blend)
        threads = allowed_threads() if self._compiled else 1
        if saturation is not False:
            given = given.counting(Counts.of(self, saturation, threads))
        if checkpoint is not None:
            refuse_with_checkpoint(lengths, tape)
            segments = segments_of(self, checkpoint, T, B, (given.scaled, given.blended), threads)
            if segments is not None:
                return CheckpointedRun(self, kept(self, x, source), start, layout, given, segments)
        options = (T if B else 0, B, tape, given.scaled, given.blended, threads)  # no rows: no step, however many
        plan = self._core.plan_now(*options) if lengths is None else layout.plan(self._core, *options)
        buffer = self.workspaces.take(plan.nbytes)
        again = not tape and lengths is None  # inference often finds the weights of the call before
        flat = made.flat if made else self.params.flat
        _core.forward(plan, buffer, flat, x, start, given, again=again, order=layout.order)
        return (Run if lengths is None else RaggedRun)(self, plan, buffer, layout, (T, B), given)

    def _take_input(self, x: Any, lengths: Any) -> tuple[Any, np.ndarray, int, int]:
        """The layout, the input in it, and T and B."""
        if not (
            type(x) is np.ndarray
            and x.dtype == self.dtype
            and x.ndim == 3
            and x.shape[2] == self.input_size
            and x.flags.aligned
        ):
            x = as_array("x", x)
            x = check_array("x", x, self._input_shape(x.ndim), self.dtype)
        if lengths is None:
            layout: Layout = self._layouts[x.ndim == 2]
            x = layout.given_in(x)
            return layout, x, x.shape[0], x.shape[1]
        if x.ndim == 2:
            raise ValueError("lengths needs a batch of sequences: x must have 3 axes, got 2")
        B, T = x.shape[:2] if self.batch_first else x.shape[1::-1]
        layout = Packing(check_lengths(lengths, T, B), T, self.batch_first)
        return layout, layout.given_in(x), T, B

    def _input_shape(self, ndim: int) -> tuple[str | int, ...]:
        if ndim == 2:
            return ("T", self.input_size)
        return ("B", "T", self.input_size) if self.batch_first else ("T", "B", self.input_size)

    def _first_states(self, batch_size: int) -> bytes:
        """The states that a stream begins with, and a row after a reset."""
        return first_states(self, batch_size)

    def __repr__(self) -> str:
        return self._call("Recurrent", self.cell.name)

    def _call(self, kind: str, *first: str, **own: Any) -> str:
        """The call that makes such a layer, with the options that are not the default."""
        usual = {"bias": True, "batch_first": False, "learn_initial": (), "certified": True}
        unusual = {name: getattr(self, name) for name in usual if getattr(self, name) != usual[name]}
        options = own | self.sizes | changed(self.cell) | unusual | {"dtype": self.dtype.name}
        return call_of(kind, *first, self.input_size, self.hidden_size, **options)

    def __getstate__(self) -> Any:
        state: Any = super().__getstate__()
        own, slots = state if isinstance(state, tuple) else (state, {})
        made = ("_core", "workspaces", "_layouts", "_tangents", "_ends")
        own = {name: value for name, value in own.items() if name not in made}
        return (own, slots) if slots else own

    def __setstate__(self, state: Any) -> None:
        own, slots = state if isinstance(state, tuple) else (state, {})
        self.__dict__.update({"learn_initial": (), "certified": True} | own)
        for name, value in slots.items():  # of derived classes
            object.__setattr__(self, name, value)
        self._prepare()
