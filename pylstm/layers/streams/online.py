"""`OnlineStream`: a layer or a stack that learns while it is fed step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pylstm.cells.influence import UnitInfluence, unit_influence
from pylstm.checks import Array, as_array, check_array, check_reset, check_size, quoted, which_rows
from pylstm.engine.stream_arguments import check_out, check_rows, pack_states, unpack_states
from pylstm.layers.inputs.by_layer import by_layer, check_form
from pylstm.layers.streams.online_parts import NO_PRODUCT, OWN, WHOLE, OnlinePart, alone, engine
from pylstm.layers.streams.online_rules import FullRule, UnitRule, check_crossings
from pylstm.parameters import Parameters

if TYPE_CHECKING:
    from pylstm.arrays import ArrayLike

Rule = Literal["rtrl", "snap1", "eprop"]
RULES = ("rtrl", "snap1", "eprop")


class OnlineStream:
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
        self._rule: Any = (
            FullRule(self._parts, self._chain, residual, B) if full else UnitRule(self._parts, self._chain)
        )
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
        if aux is not None or self._takes_aux:
            check_form(self._layer, "aux", aux)
            given = by_layer("aux", aux, len(self._parts)) if self._parts[1:] else [aux]
            for part, each in zip(self._parts, given):
                part.take_aux(each)
        self._chain.begin()
        if anew is not None:
            self._start(anew)
        self._rule.flush()
        self._chain.step(x_t, [part.layer.loop_weights() for part in self._parts], y)
        self._rule.after_step()
        self._chain.end()
        return y if out is None else out

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

    @alone
    def state_dict(self) -> dict[str, Any]:
        """All that the stream knows of the past, with its rule, dtype and cells, by name, for `load_state_dict`."""
        self._chain.check()
        found: dict[str, Any] = {f"tape{k}": part.online.tape.copy() for k, part in enumerate(self._parts)}
        found |= {name: array.copy() for name, array in self._rule.arrays().items()}
        found["pending"] = np.array(self._rule.pending)
        found["stepped"] = np.array(self._chain.stepped)
        return found | {name: np.array(value) for name, value in self._kind.items()}

    @alone
    def load_state_dict(self, values: Mapping[str, Any]) -> None:
        """Take up what `state_dict` of a stream of the same layer, rule and number of rows returned.

        Raises
        ------
        ValueError
            Names, shapes, rule, dtype or cells of another stream. Nothing has changed then.
        """
        values = dict(values)
        for name, kind in self._kind.items():
            if (given := np.array(values.get(name, kind)).tolist()) != kind:
                raise ValueError(
                    f"this state is of another stream: {name} was {quoted(given)} there and is {quoted(kind)} here. "
                    "Load it into a stream of the same cells, dtype and rule: layer.stream(batch_size, online=...)"
                )
        own = {f"tape{k}": part.online.tape for k, part in enumerate(self._parts)} | self._rule.arrays()
        wanted = {name: array.shape for name, array in own.items()}
        wanted |= {"pending": (), "stepped": ()} | {name: np.shape(value) for name, value in self._kind.items()}
        got = {name: np.shape(value) for name, value in values.items()}
        if got != wanted:
            raise ValueError(f"this state is of another stream: it has {got}, needed are {wanted}")
        self._chain.halfway = True
        for name, array in own.items():
            array[...] = values[name]
        self._rule.pending, self._chain.stepped = bool(values["pending"]), bool(values["stepped"])
        self._chain.halfway = False

    def __getstate__(self) -> dict[str, Any]:
        return {"layer": self._layer, "rows": self._batch_size, "online": self._online, "past": self.state_dict()}

    def __setstate__(self, saved: dict[str, Any]) -> None:
        self.__init__(saved["layer"], saved["rows"], saved["online"])  # type: ignore[misc]
        self.load_state_dict(saved["past"])

    def __repr__(self) -> str:
        return f"OnlineStream({self._layer!r}, batch_size={self._batch_size}, online={self._online!r})"


def _refuse_apart(online: str, layers: Sequence[Any], found: Sequence[UnitInfluence]) -> None:
    for layer, each in zip(layers, found):
        if each.apart:
            raise ValueError(
                f"{online}: the parameters of cell {layer.cell.name!r} do not belong to its units one by one, since "
                f"{each.apart}: pass online='rtrl', or choose another cell"
            )
