"""`OnlineStream`: a layer or a stack that learns while it is fed step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import numpy as np

from pylstm.cells.influence import UnitInfluence, unit_influence
from pylstm.checks import Array, as_array, check_array, check_reset, check_size, which_rows
from pylstm.engine.stream_arguments import check_out, check_rows, not_callable, pack_states, unpack_states
from pylstm.layers.inputs.by_layer import by_layer, check_form
from pylstm.layers.streams.online_chunk import take_chunk
from pylstm.layers.streams.online_kept import Kept
from pylstm.layers.streams.online_parts import NO_PRODUCT, OWN, WHOLE, OnlinePart, alone, engine
from pylstm.layers.streams.online_rules import FullRule, UnitRule, check_crossings
from pylstm.parameters import Parameters

if TYPE_CHECKING:
    from pylstm.arrays import ArrayLike

Rule = Literal["rtrl", "snap1", "eprop"]
RULES = ("rtrl", "snap1", "eprop")


class OnlineStream(Kept):
    """A layer or a stack, fed step by step, that has the gradient of every step at that step.

    What ``layer.stream(online="rtrl")`` returns. It keeps the influence of the parameters on the states, and never
    looks back: memory does not grow with the number of steps. `step`, then, where there is a loss, `learn`, then an
    optimiser.

    Parameters
    ----------
    layer : Recurrent or Stack
        Of one direction. Its parameters are read at every step: an optimiser may change them between `learn` and the
        next step. The influence of the past is then that of the parameters as they were, as in every online rule.
    batch_size : int
        Rows, each a sequence of its own.
    online : {"rtrl", "snap1", "eprop"}
        ``rtrl``: exact, the gradient of back-propagation through all steps so far. Where the units of the layer see
        only themselves (``"mingru"``, ``"lru"``, ``"indrnn"``, ``"sru"``, ...) in the time of a step; of a stack of
        such layers with the influence of every layer on those above, states times parameters, in compiled loops; for
        every other net with the influence of each parameter on each state, for small ones. ``snap1``: of each
        parameter on its own unit (Menick et al. 2020), in the time of a step for every cell of one stage. ``eprop``:
        the same without products with states (Bellec et al. 2020). The last two send the cotangent of a step down a
        stack (Zucchet et al. 2023).

    Attributes
    ----------
    layer : Recurrent or Stack
    batch_size : int
    online : str
    grads : Parameters
        What `learn` returns: one buffer, written anew at each call.
    dx : ndarray, shape (batch_size, input_size)
        Cotangent of the last input, through this step alone: one buffer, which `learn` writes.

    Raises
    ------
    TypeError
        A stack with two directions.
    ValueError
        Another rule; a cell whose parameters do not belong to units, for ``snap1`` and ``eprop``; a net that is too
        large for ``rtrl``.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> layer = pylstm.Recurrent("mingru", 3, 5, dtype="float64", seed=0)
    >>> x, dy = np.random.default_rng(0).normal(size=(2, 7, 1, 5))
    >>> stream, total = layer.stream(online="rtrl"), layer.params.zeros_like()
    >>> for t in range(7):
    ...     y = stream.step(x[t, :, :3])
    ...     total += stream.learn(dy[t])
    >>> through_time = layer(x[..., :3]).backward(dy).params
    >>> bool(np.allclose(total.flat, through_time.flat, atol=1e-14))
    True
    """

    def __init__(self, layer: Any, batch_size: int = 1, online: str = "rtrl") -> None:
        if online not in RULES:
            raise ValueError(f"online must be one of {', '.join(RULES)}, got {online!r}")
        self._layer, self._batch_size, self._online = layer, check_size("batch_size", batch_size), online
        self._layers = list(getattr(layer, "layers", [layer]))
        for k, each in enumerate(self._layers):
            if hasattr(each, "reverse"):
                raise TypeError(f"layer {k} has two directions: it needs the whole sequence and cannot be streamed")
        self.grads: Parameters = layer.params.zeros_like()
        self._prepare()

    def _prepare(self) -> None:
        B, residual, exact = self._batch_size, getattr(self._layer, "residual", (False,)), self._online == "rtrl"
        last = len(self._layers) - 1
        found = [
            unit_influence(each.cell, each.learn_initial, output=exact and k < last, above=exact and k > 0)
            for k, each in enumerate(self._layers)
        ]
        full = exact and any(each.dense or each.apart for each in found)
        if not exact:
            _refuse_apart(self._online, self._layers, found)
        self._parts = [
            OnlinePart(layer, B, self._products(each), None if full else each, above=exact and k > 0)
            for k, (layer, each) in enumerate(zip(self._layers, found))
        ]
        self._made = any(each._maker is not None for each in self._layers)
        self._takes_aux = any(part.given for part in self._parts)
        quick = not (full or self._made or self._takes_aux)
        if not full:
            check_crossings(self._parts, B, exact)
        self._chain = engine.Chain(
            [part.online for part in self._parts],
            [each.params for each in self._layers] if quick else [],
            residual,
            exact and not full,
            self._layer.params,
            self.grads.flat,
        )
        self._rule: Any = FullRule(self._parts, self._chain, B) if full else UnitRule(self._parts, self._chain)
        names = [each.cell.name for each in self._layers]
        self._kind = {"online": self._online, "dtype": self._layer.dtype.name, "cells": names}
        self._start(np.ones(B, bool))

    def _products(self, influence: UnitInfluence) -> int:
        if self._online == "eprop":
            return NO_PRODUCT
        return OWN if self._online == "snap1" and influence.dense else WHOLE

    @property
    def layer(self) -> Any:
        """The layer; it cannot be set: make a new stream."""
        return self._layer

    @property
    def batch_size(self) -> int:
        """Rows; it cannot be set: make a new stream."""
        return self._batch_size

    @property
    def online(self) -> str:
        """The rule; it cannot be set: make a new stream."""
        return self._online

    @property
    def dx(self) -> Array:
        """Cotangent of the last input, through that step alone, as `learn` left it: (batch_size, input_size)."""
        found: Array = self._chain.dx
        return found

    def step(
        self, x_t: ArrayLike, out: Array | None = None, *, aux: Any = None, reset: ArrayLike | None = None
    ) -> Array:
        """One step, with the parameters of now.

        Parameters
        ----------
        x_t : array_like, shape (batch_size, input_size), or (input_size,) for one row
            Of the layer's dtype.
        out : ndarray, optional
            For the result: C-contiguous, of the layer's dtype.
        aux : dict of str to array_like, or of a stack a list by layer
            The cell's per-step inputs, if it has any: (batch_size, width) each.
        reset : array_like of bool, shape (batch_size,), or () for one row
            Where True, the row starts anew before the step, as by `reset`.

        Returns
        -------
        ndarray, shape (batch_size, output_size), or (output_size,) for one row
            The output, equal to that of ``layer.stream()`` but for rounding.

        Raises
        ------
        TypeError, ValueError
            Another dtype or shape; aux inputs that are missing.
        RuntimeError
            The stream is at work in another thread; a step was interrupted, and `reset`, `state` or `load_state_dict`
            has not set its states since.
        """
        y = self._chain.quick_step(x_t, out) if aux is None and reset is None else None
        return self._step_checked(x_t, out, aux, reset) if y is None else y

    @alone
    def _step_checked(self, x_t: ArrayLike, out: Array | None, aux: Any, reset: ArrayLike | None) -> Array:
        """A step whose arguments need Python to be checked or converted."""
        B, width = self._batch_size, self._layer.input_size
        x_t = np.ascontiguousarray(as_array("x_t", x_t))
        single = B == 1 and x_t.ndim == 1
        if x_t.dtype != self.grads.dtype or x_t.shape != ((width,) if single else (B, width)):
            check_rows(x_t, B, width)
        x_t = np.ascontiguousarray(
            check_array("x_t", x_t, (width,) if single else (B, width), self.grads.dtype), self.grads.dtype
        )
        shape = (self._layer.output_size,) if single else (B, self._layer.output_size)
        y = np.empty(shape, self.grads.dtype) if out is None else check_out(out, shape, self.grads.dtype)
        anew = None
        if reset is not None:
            flags = as_array("reset", reset)
            anew = check_reset(flags, () if B == 1 and flags.ndim == 0 else (B,))
        for part, each in zip(self._parts, self._by_part(aux)):
            part.take_aux(each)
        self._move(x_t, [part.layer.loop_weights() for part in self._parts], y, anew)
        return y if out is None else out

    def _by_part(self, aux: Any) -> list[Any]:
        """What comes with a step, or with several, by layer; empty where there is nothing."""
        if aux is None and not self._takes_aux:
            return []
        check_form(self._layer, "aux", aux)
        return by_layer("aux", aux, len(self._parts)) if self._parts[1:] else [aux]

    def _move(self, x_t: Array, flats: list[Array], y: Array, anew: Array | None) -> None:
        """One step whose arguments are checked; rows start anew before it where `anew` is True."""
        self._chain.begin()
        if anew is not None:
            self._start(anew)
        self._rule.flush()
        self._chain.step(x_t, flats, y)
        self._rule.after_step()
        self._chain.end()

    @alone
    def feed(
        self, chunk: ArrayLike, out: Array | None = None, *, aux: Any = None, reset: ArrayLike | None = None
    ) -> Array:
        """Many steps in one call, with the parameters of now: such as those before the first loss.

        States and influence are then as after as many calls of `step`, to the last bit; `learn` is for the last step.

        Parameters
        ----------
        chunk : array_like, shape (T, batch_size, input_size), or (T, input_size) for one row
            (batch_size, T, input_size) if the layer is `batch_first`. Of the layer's dtype; T = 0 is legal.
        out : ndarray, optional
            For the result: C-contiguous, of the layer's dtype.
        aux : dict of str to array_like, or of a stack a list by layer
            As of `step`, with an axis of steps as `chunk` has it.
        reset : array_like of bool, shape (T, batch_size), or (T,) for one row
            Where True, the row starts anew before the step; (batch_size, T) if the layer is `batch_first`.

        Returns
        -------
        ndarray, shape (T, batch_size, output_size), or as `chunk` has its axes

        Raises
        ------
        TypeError, ValueError, RuntimeError
            As `step`. The states are then those before the call.
        """
        given = take_chunk(self, chunk, aux, reset)
        y = given.room(out)
        flats = [part.layer.loop_weights() for part in self._parts]
        for t in range(given.T):
            for part, each in zip(self._parts, given.aux):
                part.take_aux({name: array[t] for name, array in each.items()})
            self._move(given.x[t], flats, y[t], None if given.reset is None else given.reset[t])
        return given.result(y, out)

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        """A stream is not callable: TypeError."""
        not_callable(self)

    def learn(self, dy: ArrayLike) -> Parameters:
        """The gradient of the loss of the last step.

        Parameters
        ----------
        dy : array_like, shape of the output
            Cotangent of the last output.

        Returns
        -------
        pylstm.Parameters
            `grads`, written anew: of the parameters, summed over the rows, by all steps so far. The sum over all steps
            is the gradient of the sum of their losses.

        Raises
        ------
        RuntimeError
            No step has been made; the last one was interrupted; the stream is at work in another thread.
        TypeError, ValueError
            Another dtype or shape.
        """
        if not self._chain.quick_learn(dy):
            self._learn_checked(dy)
        return self.grads

    @alone
    def _learn_checked(self, dy: ArrayLike) -> None:
        """The same where Python has to check, or to make what the loop reads of the parameters."""
        self._chain.check()
        if not self._chain.stepped:
            raise RuntimeError("learn needs a step before it: y = stream.step(x_t)")
        B, width = self._batch_size, self._layer.output_size
        dy = as_array("dy", dy)
        dy = check_array("dy", dy, (width,) if B == 1 and dy.ndim == 1 else (B, width), self.grads.dtype)
        dy = np.ascontiguousarray(dy.reshape(B, width), self.grads.dtype)
        flats = [part.layer.loop_weights() for part in self._parts]
        if self._made:
            dflat = np.empty(sum(part.size for part in self._parts), dy.dtype)
            self._rule.learn(dy, flats, dflat)
            self._pull(dflat)
        else:
            self._rule.learn(dy, flats, self.grads.flat)
        self._layer.params.fill_held(self.grads.flat, 0)

    def _pull(self, dflat: Array) -> None:
        """The gradient of the parameters, from that of what the loop reads."""
        first = at = 0
        for part in self._parts:
            end, last = at + part.layer.params.size, first + part.size
            self.grads.flat[at:end] = part.pull(dflat[first:last])
            at, first = end, last

    @property
    @alone
    def state(self) -> Any:
        """Copies of the states by name, of a stack a list of these by layer.

        Assign such a value to set all: what is set has no past, so no parameter has an influence on it.
        """
        self._chain.check()
        found = [
            unpack_states(part.layer, self._batch_size, b"".join(s.tobytes() for s in part.states.values()))
            for part in self._parts
        ]
        return found if hasattr(self._layer, "layers") else found[0]

    @state.setter
    @alone
    def state(self, values: Any) -> None:
        given = by_layer("state", values, len(self._parts)) if hasattr(self._layer, "layers") else [values]
        packed = [pack_states(part.layer, self._batch_size, each) for part, each in zip(self._parts, given)]
        self._chain.halfway = True
        for part, states in zip(self._parts, packed):
            arrays = unpack_states(part.layer, self._batch_size, states)
            for name, array in part.states.items():
                array[...] = arrays[name]
        self._rule.flush()
        for array in self._rule.arrays().values():
            array[...] = 0
        self._chain.stepped = self._chain.halfway = False

    @alone
    def reset(self, rows: ArrayLike | None = None) -> None:
        """Start rows anew: their states are 0 or learned, and nothing has an influence on them.

        Parameters
        ----------
        rows : int, array_like of int, or array_like of bool of shape (batch_size,), optional
            Which rows; all without.
        """
        chosen = which_rows(rows, self._batch_size)
        if not chosen.all():
            self._chain.check()  # of an interrupted step all rows have to start anew
        self._chain.halfway = True
        self._start(chosen)
        self._chain.stepped = self._chain.halfway = False

    def _start(self, rows: Array) -> None:
        self._rule.flush()
        for b in np.flatnonzero(rows):
            self._rule.start(b)
            for part in self._parts:
                part.start(b)

    def __repr__(self) -> str:
        return f"OnlineStream({self._layer!r}, batch_size={self._batch_size}, online={self._online!r})"


def _refuse_apart(online: str, layers: Sequence[Any], found: Sequence[UnitInfluence]) -> None:
    for layer, each in zip(layers, found):
        if each.apart:
            raise ValueError(
                f"{online}: the parameters of cell {layer.cell.name!r} do not belong to its units one by one, since "
                f"{each.apart}: pass online='rtrl', or choose another cell"
            )
