"""`Pass`: a batch through the embedding, the body, the reading and the head of a `SequenceModel`, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.stack import Stack
from pylstm.models.body import without_dropout
from pylstm.models.reading import Reading
from pylstm.parameter_lists import ParametersList
from pylstm.training.tbptt import states_at


class Pass:
    """Forward at once; `backward` returns the gradients in the order of ``model.params``.

    Parameters
    ----------
    model : SequenceModel
    x : ndarray
        As its body takes it: (T, N, I), indices (T, N) where there is an embedding, or with `batch_first` rows first.
    lengths : ndarray of int, shape (N,), optional
        Steps of each row.
    initial : dict of str to ndarray, optional
        State -> (N, width).
    last : int, optional
        Where every step is read: so many of the last steps only; the others carry gradients.
    tape : bool
        Without it there is no `backward`, and no dropout.

    Attributes
    ----------
    run : Run
        Of the body.
    features : ndarray
        What the head saw, (N, F) or (T, N, F).
    out : ndarray, shape (N, K), or (T, N, K) where every step is read
    """

    def __init__(
        self,
        model: Any,
        x: np.ndarray,
        lengths: np.ndarray | None = None,
        initial: Any = None,
        *,
        last: int | None = None,
        tape: bool = True,
    ) -> None:
        self._embedded = None if model.embedding is None else model.embedding(x)
        layer = model.layer if tape else without_dropout(model.layer)
        self.run = layer(x if self._embedded is None else self._embedded.y, initial, lengths=lengths, tape=tape)
        self._rows_first = layer.batch_first
        top = layer.layers[-1] if isinstance(layer, Stack) else layer
        forward = top.forward.output_size if isinstance(top, Bidirectional) else top.output_size
        self._reading = Reading(self._turned(self.run.y), lengths, model.read, forward, last)
        self.features = self._reading.features
        self._head = model.head.over(self.features)
        self.out = self._head.y

    def _turned(self, array: np.ndarray) -> np.ndarray:
        """(T, N, ...) from what the body has, and back."""
        return array.swapaxes(0, 1) if self._rows_first else array

    def backward(self, dout: np.ndarray) -> ParametersList:
        """Gradients, from the cotangent of `out`."""
        dhead = self._head.backward(dout)
        dlayer = self.run.backward(self._turned(self._reading.backward(dhead.x)))
        grads = [dlayer.params, dhead.params]
        if self._embedded is not None:
            grads.insert(0, self._embedded.backward(dlayer.x).params)
        return ParametersList(grads)

    def states(self, steps: int | None = None) -> Any:
        """Those after so many steps, or after all of them, as the body takes `initial`."""
        if steps is not None:
            return states_at(self.run, steps)
        return self.run.final if isinstance(self.run.final, list) else dict(self.run.final)
