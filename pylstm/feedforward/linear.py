"""`Linear`: the head of a recurrent net, y = x W' + b."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Never

import numpy as np

from pylstm.checks import Array, Dtype, Seed, as_array, check_array, check_flag, check_size, generator
from pylstm.described import Layer
from pylstm.engine import dense
from pylstm.engine.threads import allowed_threads
from pylstm.hints import GradientsBase, Output, explained, refuse_backward, refuse_call
from pylstm.kinds import Shapes
from pylstm.parameters import Parameters
from pylstm.schema import Entries

if TYPE_CHECKING:
    from pylstm.arrays import ArrayLike, Numbers


@dataclass(slots=True, repr=False)
class LinearGradients(GradientsBase):
    """Gradients of one `Linear` run: `x`, of the shape of the input, and `params`, laid out as the layer's."""

    x: Array
    params: Parameters


class Linear(Layer, kind="linear", hints="map"):
    """Affine map of the last axis: ``y = x @ weight.T + bias``.

    Parameters
    ----------
    in_features, out_features : int
        Sizes of the last axis of input and output.
    bias : bool
        Whether to add a bias.
    dtype : {"float32", "float64"}
    seed : int, optional
        Parameters are drawn from uniform(-1/sqrt(in_features), 1/sqrt(in_features)), the same for the same seed.

    Attributes
    ----------
    params : Parameters
        ``weight`` (out_features, in_features) and ``bias`` (out_features,).

    Raises
    ------
    TypeError, ValueError
        `dtype` is neither float32 nor float64; a size that is not an integer, or below 1.

    Examples
    --------
    >>> import numpy as np
    >>> head = Linear(3, 2, dtype="float64", seed=0)
    >>> run = head(np.ones((5, 4, 3)))
    >>> run.y.shape, run.backward(np.ones((5, 4, 2))).x.shape
    ((5, 4, 2), (5, 4, 3))
    """

    fixed = ("in_features", "out_features", "bias")

    option_hints = "map option"

    def __init__(
        self, in_features: int, out_features: int, *, bias: bool = True, dtype: Dtype = "float32", seed: Seed = None
    ) -> None:
        self.in_features = check_size("in_features", in_features)
        self.out_features = check_size("out_features", out_features)
        self.bias = check_flag("bias", bias)
        self._params = Parameters(linear_shapes(self.in_features, self.out_features, self.bias), dtype)
        bound = 1 / np.sqrt(self.in_features)
        self.params.flat[...] = generator(seed).uniform(-bound, bound, self.params.size)

    @property
    def arguments(self) -> dict[str, Any]:
        """Those of the constructor that a file holds."""
        return {"in_features": self.in_features, "out_features": self.out_features, "bias": self.bias}

    @classmethod
    def shapes(cls, given: Entries) -> Shapes:
        """Shapes of the parameters, from the `arguments` of a file."""
        given.only(("in_features", "out_features", "bias"))
        return linear_shapes(given.integer("in_features"), given.integer("out_features"), given.flag("bias"))

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64."""
        return self.params.dtype

    @explained()
    def __call__(self, x: ArrayLike, **other: Never) -> LinearRun:
        """Apply the layer.

        Parameters
        ----------
        x : array_like, shape (..., in_features)
            Of the layer's dtype; any number of leading axes.

        Returns
        -------
        LinearRun
            With ``y`` (..., out_features) and ``backward(dy)``.

        Raises
        ------
        TypeError, ValueError
            Another dtype; another last axis.
        """
        if other:
            refuse_call(other)
        return LinearRun(self, x)

    def over(self, x: Array) -> LinearRun:
        """The run of a call; `x` is not copied, and must not change before `LinearRun.backward`."""
        return LinearRun(self, x, copy=False)

    def packed(self, rows: int = 1) -> dense.Packed:
        """The map with the parameters of now, packed once, of single rows or of at most so many at once."""
        return dense.Packed(self.params["weight"], self.params["bias"] if self.bias else None, rows)

    def __repr__(self) -> str:
        bias = "" if self.bias else ", bias=False"
        return f"Linear({self.in_features}, {self.out_features}{bias}, dtype='{self.dtype}')"


def linear_shapes(inputs: int, outputs: int, bias: bool, prefix: str = "") -> Shapes:
    """Shapes of the parameters of a `Linear`."""
    return {f"{prefix}weight": (outputs, inputs)} | ({f"{prefix}bias": (outputs,)} if bias else {})


def cotangent(run: Any, dy: Numbers | None, more: tuple[Any, ...], other: dict[str, Any]) -> Array:
    """The `dy` of the backward pass of `run`, contiguous; `more` and `other` are what the pass does not take.

    Raises
    ------
    TypeError, ValueError
    """
    if more or other:
        refuse_backward(other, more)
    if dy is None:
        raise ValueError("backward needs the cotangent of y: run.backward(dy)")
    return np.ascontiguousarray(check_array("dy", dy, run.y.shape, run.layer.dtype))


class LinearRun(Output):
    """One application of a `Linear` layer; keeps a copy of the weight, and of the input unless `copy` is False.

    Attributes
    ----------
    y : ndarray, shape (..., out_features)
    layer : Linear
    """

    def __init__(self, layer: Linear, x: ArrayLike, *, copy: bool = True) -> None:
        self.layer = layer
        x = as_array("x", x)
        leading = ("...",) * max(x.ndim - 1, 0)
        x = check_array("x", x, (*leading, layer.in_features), layer.dtype)
        self._x = np.array(x, order="C", copy=True if copy else None)
        self._weight = layer.params["weight"].copy()
        self.y: Array = np.empty((*x.shape[:-1], layer.out_features), layer.dtype)
        bias = layer.params["bias"] if layer.bias else None
        # y = x W' + b, leading axes as one
        dense.forward(self._x, self._weight, bias, self.y, self._sizes, threads=allowed_threads())

    @property
    def _sizes(self) -> tuple[int, int, int]:
        """(R, N, K): rows, outputs, inputs."""
        N, K = self._weight.shape
        return self._x.size // K, N, K

    def backward(self, dy: ArrayLike | None = None, *more: Never, **other: Never) -> LinearGradients:
        """Gradients from the cotangent of ``y``; may be called again, with the same result.

        Parameters
        ----------
        dy : array_like, shape of ``y``

        Raises
        ------
        TypeError, ValueError
            Another dtype; another shape.
        """
        layer, x = self.layer, self._x
        dy = cotangent(self, dy, more, other)
        params, dx = layer.params.empty_like(), np.empty_like(x)
        dbias = params["bias"] if layer.bias else None
        # dx = dy W,  dW = dy' x,  db = sum of dy
        dense.backward(x, self._weight, dy, dx, params["weight"], dbias, self._sizes, threads=allowed_threads())
        layer.params.fill_held(params.flat, 0)
        return LinearGradients(dx, params)
