"""`SequenceModel`: one recurrent layer and a linear head on its last step, on every step or on their mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pylstm.layers.linear import Linear
from pylstm.layers.losses import sigmoid_cross_entropy, softmax_cross_entropy
from pylstm.layers.parameters import Parameters, as_array
from pylstm.layers.recurrent import Recurrent
from pylstm.layers.regression import gaussian_likelihood, huber, mean_squared_error, quantile_loss

LOSSES: dict[str, Callable[..., tuple[float, np.ndarray]]] = {
    "mean_squared_error": mean_squared_error,
    "huber": huber,
    "gaussian_likelihood": gaussian_likelihood,
    "quantile_loss": quantile_loss,
    "softmax_cross_entropy": softmax_cross_entropy,
    "sigmoid_cross_entropy": sigmoid_cross_entropy,
}
"""Name -> loss. All take ``weights`` and divide by their sum."""

PER_ROW = ("softmax_cross_entropy", "quantile_loss")
"""Losses with one target and one weight for all elements of the last axis."""

READS = ("last", "every", "mean")


class SequenceModel:
    """Recurrent layer and linear head: ``x (N, T, I) -> Recurrent -> read -> Linear -> (N, K) or (N, T, K)``.

    Parameters
    ----------
    cell : str or Cell subclass
    input_size, hidden_size, output_size : int
        I, the units, and K: classes, values, or what the loss asks for (2 values for each `gaussian_likelihood`).
    read : {"last", "every", "mean"}
        What the head sees: the last step, every step, or the mean over the steps.
    loss : str
        A name of `LOSSES`.
    loss_options : dict, optional
        Such as ``{"delta": 2.0}`` or ``{"smoothing": 0.1}``; what a JSON file can hold.
    dtype : {"float32", "float64"}
    seed : int
        The same seed gives the same parameters.
    **sizes : int
        Further sizes of the cell.

    Attributes
    ----------
    layer, head : Recurrent, Linear
    params : list of Parameters
        Of layer and head.

    Raises
    ------
    LookupError, TypeError, ValueError
        As `Recurrent`; an unknown `read` or `loss`.

    Examples
    --------
    >>> model = SequenceModel("lstm", 3, 8, 2, loss="softmax_cross_entropy", seed=0)
    >>> x = np.zeros((5, 7, 3), "float32")
    >>> model.predict(x).shape, len(model.gradients(x, np.array([0, 1, 1, 0, 1]))[1])
    ((5, 2), 2)
    """

    def __init__(
        self,
        cell: Any,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        read: str = "last",
        loss: str = "mean_squared_error",
        loss_options: dict[str, Any] | None = None,
        dtype: Any = "float32",
        seed: int = 0,
        **sizes: int,
    ) -> None:
        seeds = np.random.SeedSequence(seed).spawn(2)
        layer = Recurrent(cell, input_size, hidden_size, dtype=dtype, seed=seeds[0], **sizes)
        head = Linear(layer.output_size, output_size, dtype=dtype, seed=seeds[1])
        self._set(layer, head, read, loss, loss_options or {})

    def _set(self, layer: Recurrent, head: Linear, read: str, loss: str, loss_options: dict[str, Any]) -> None:
        if read not in READS:
            raise ValueError(f"read must be one of {', '.join(READS)}, got {read!r}")
        if loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")
        self.layer, self.head = layer, head
        self.read, self.loss_name, self.loss_options = read, loss, dict(loss_options)

    @classmethod
    def from_parts(cls, parts: dict[str, Any], metadata: dict[str, Any]) -> SequenceModel:
        """A model of the given layers, as `pylstm.load` makes it."""
        model = cls.__new__(cls)
        model._set(parts["layer"], parts["head"], metadata["read"], metadata["loss"], metadata["loss_options"])
        return model

    @property
    def parts(self) -> dict[str, Any]:
        """Name -> layer, as `pylstm.save` stores them."""
        return {"layer": self.layer, "head": self.head}

    @property
    def metadata(self) -> dict[str, Any]:
        """What a file holds besides the layers."""
        return {"read": self.read, "loss": self.loss_name, "loss_options": self.loss_options}

    @property
    def params(self) -> list[Parameters]:
        """Parameters of layer and head."""
        return [self.layer.params, self.head.params]

    def predict(self, x: Any) -> np.ndarray:
        """Outputs of the head: (N, K), or (N, T, K) where it reads every step. Classes are their ``argmax(-1)``.

        Parameters
        ----------
        x : array_like, shape (N, T, I)
            Of the model's dtype.

        Raises
        ------
        TypeError, ValueError
            Another dtype or shape; no steps.
        """
        y = self.head(self._features(self.layer(self._steps_first(x), tape=False).y)).y
        return np.ascontiguousarray(y.swapaxes(0, 1)) if self.read == "every" else y

    def loss(self, x: Any, y: Any, weights: Any = None) -> float:
        """Mean loss on a batch; arguments as for `gradients`."""
        out = self.head(self._features(self.layer(self._steps_first(x), tape=False).y)).y
        return self._loss(out, y, weights)[0]

    def gradients(self, x: Any, y: Any, weights: Any = None) -> tuple[float, list[Parameters]]:
        """Mean loss on a batch, and its gradients in the order of `params`.

        Parameters
        ----------
        x : array_like, shape (N, T, I)
            Of the model's dtype.
        y : array_like
            (N, K) or (N, T, K); (N,) or (N, T) for classes, quantiles and where K is 1.
        weights : array_like, optional
            A bool mask or factors, of one sequence (N,), step (N, T) or element; 0 leaves a target out.

        Raises
        ------
        TypeError, ValueError
            A wrong dtype or shape, as the loss says it; no steps.
        """
        run = self.layer(self._steps_first(x))
        out = self.head(self._features(run.y))
        value, dout = self._loss(out.y, y, weights)
        dhead = out.backward(dout)
        dy = dhead.x
        if self.read == "last":
            dy = np.zeros_like(run.y)
            dy[-1] = dhead.x
        elif self.read == "mean":
            dy = np.repeat(dhead.x[None] / run.y.dtype.type(len(run.y)), len(run.y), axis=0)
        return value, [run.backward(dy).params, dhead.params]

    def _steps_first(self, x: Any) -> np.ndarray:
        x = as_array("x", x)
        if x.ndim != 3 or x.shape[1] == 0:
            raise ValueError(f"x must have shape (N, T, {self.layer.input_size}) with T >= 1, got {x.shape}")
        return np.ascontiguousarray(x.swapaxes(0, 1))

    def _features(self, y: np.ndarray) -> np.ndarray:
        if self.read == "last":
            return y[-1]
        return y if self.read == "every" else y.mean(axis=0)

    def _loss(self, out: np.ndarray, y: Any, weights: Any) -> tuple[float, np.ndarray]:
        """The loss on outputs whose first two axes are T and N where every step is read."""
        y = as_array("y", y)
        weights = None if weights is None else as_array("weights", weights)
        if self.read == "every":
            y = y.swapaxes(0, 1) if y.ndim > 1 else y
            weights = weights.swapaxes(0, 1) if weights is not None and weights.ndim > 1 else weights
        if self.loss_name not in PER_ROW:
            if y.ndim == out.ndim - 1 and self.head.out_features == 1:
                y = y[..., None]
            if weights is not None and weights.ndim == out.ndim - 1:
                weights = np.repeat(weights[..., None], y.shape[-1], axis=-1)
        return LOSSES[self.loss_name](out, y, weights=weights, **self.loss_options)

    def __repr__(self) -> str:
        return f"SequenceModel({self.layer!r}, {self.head!r}, read={self.read!r}, loss={self.loss_name!r})"
