"""`Embedding`: a table of vectors, looked up by index; the product of a one-hot input with a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Never

import numpy as np

from pylstm.checks import Array, Dtype, Seed, check_indices, check_size, generator
from pylstm.described import Layer
from pylstm.engine.levels import load
from pylstm.engine.threads import allowed_threads
from pylstm.feedforward.linear import cotangent
from pylstm.hints import GradientsBase, Output, explained, refuse_call
from pylstm.kinds import Shapes
from pylstm.parameters import Parameters
from pylstm.schema import Entries
from pylstm.summaries import Shape

if TYPE_CHECKING:
    from pylstm.arrays import Numbers


@dataclass(slots=True, repr=False)
class EmbeddingGradients(GradientsBase):
    """Gradients of one `Embedding` run: `params`, laid out as the layer's (indices have none)."""

    params: Parameters


class Embedding(Layer, kind="embedding", hints="embedding"):
    """A vector of `features` numbers for each of `count` indices.

    Parameters
    ----------
    count : int
        Number of vectors (the size of the vocabulary).
    features : int
        Length of each.
    dtype : {"float32", "float64"}
    seed : int, optional
        The table is drawn from the standard normal distribution, the same for the same seed.

    Attributes
    ----------
    params : Parameters
        ``weight`` (count, features).

    Raises
    ------
    TypeError, ValueError
        `dtype` is neither float32 nor float64; a size that is not an integer, or below 1.

    Examples
    --------
    >>> import numpy as np
    >>> table = Embedding(10, 4, seed=0)
    >>> table(np.array([[3, 3], [9, 0]])).y.shape
    (2, 2, 4)
    """

    option_hints = "embedding option"

    def __init__(self, count: int, features: int, *, dtype: Dtype = "float32", seed: Seed = None) -> None:
        self.count, self.features = check_size("count", count), check_size("features", features)
        self._params = Parameters({"weight": (self.count, self.features)}, dtype)
        self.params.flat[...] = generator(seed).standard_normal(self.params.size)

    @property
    def arguments(self) -> dict[str, Any]:
        """Those of the constructor that a file holds."""
        return {"count": self.count, "features": self.features}

    @classmethod
    def shapes(cls, given: Entries) -> Shapes:
        """Shapes of the parameters, from the `arguments` of a file."""
        given.only(("count", "features"))
        return {"weight": (given.integer("count"), given.integer("features"))}

    def _takes(self) -> Shape:
        return ("...",)

    def _returns(self, takes: Shape) -> Shape:
        return (*takes, self.features)

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64."""
        return self.params.dtype

    @explained()
    def __call__(self, indices: Numbers, **other: Never) -> EmbeddingRun:
        """Look up vectors.

        Parameters
        ----------
        indices : array_like of int, any shape
            Each in 0..count-1.

        Returns
        -------
        EmbeddingRun
            With ``y`` (..., features) and ``backward(dy)``.

        Raises
        ------
        TypeError, ValueError
            Not integers; out of range.
        """
        if other:
            refuse_call(other)
        return EmbeddingRun(self, indices)

    def __repr__(self) -> str:
        return f"Embedding({self.count}, {self.features}, dtype='{self.dtype}')"


class EmbeddingRun(Output):
    """One application of an `Embedding`: ``y`` (..., features)."""

    def __init__(self, layer: Embedding, indices: Numbers) -> None:
        self.layer = layer
        self._indices = np.array(check_indices("indices", indices, layer.count), np.intp, order="C")
        self.y: Array = np.empty((*self._indices.shape, layer.features), layer.dtype)
        load("pylstm.feedforward._lookup").gather(
            layer.params["weight"], self._indices, self.y, self._sizes, threads=allowed_threads()
        )

    @property
    def _sizes(self) -> tuple[int, int, int]:
        """(count, R, F): vectors of the table, indices, features."""
        return self.layer.count, self._indices.size, self.layer.features

    def backward(self, dy: Numbers | None = None, *more: Never, **other: Never) -> EmbeddingGradients:
        """Gradient of the table: each row is the sum of `dy` where its index was looked up, in order of position.

        Parameters
        ----------
        dy : array_like, shape of ``y``

        Raises
        ------
        TypeError, ValueError
            Another dtype; another shape.
        """
        layer, dy = self.layer, cotangent(self, dy, more, other)
        params = layer.params.empty_like()
        load("pylstm.feedforward._lookup").scatter(
            dy, self._indices, params["weight"], self._sizes, threads=allowed_threads()
        )
        layer.params.fill_held(params.flat, 0)
        return EmbeddingGradients(params)
