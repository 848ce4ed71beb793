"""`MLP`: a head of several affine maps with an activation between them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Never

import numpy as np

from pylstm.checks import Array, Dtype, Seed, as_size, check_flag, generator, listed
from pylstm.described import Layer
from pylstm.engine.levels import load
from pylstm.feedforward.linear import Linear, LinearRun, cotangent, linear_shapes
from pylstm.hints import GradientsBase, Output, explained, refuse_call
from pylstm.kinds import MOST_LAYERS, Plan, Shapes, Wanted
from pylstm.parameters import Parameters
from pylstm.schema import Entries

if TYPE_CHECKING:
    from pylstm.arrays import ArrayLike

Activation = Literal["relu", "tanh"]
ACTIVATIONS = ("relu", "tanh")


def check_activation(name: Any) -> None:
    """`ValueError` for a name that is not in `ACTIVATIONS`."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}")


@dataclass(slots=True, repr=False)
class MLPGradients(GradientsBase):
    """Gradients of one `MLP` run: `x`, of the shape of the input, and `params`, laid out as the layer's."""

    x: Array
    params: Parameters


class MLP(Layer, kind="mlp", hints="map"):
    """Affine maps of the last axis, with an activation after each but the last.

    Parameters
    ----------
    in_features : int
        Size of the last axis of the input.
    sizes : iterable of int
        Of the layers between; none: one affine map.
    out_features : int
        Size of the last axis of the output.
    activation : {"relu", "tanh"}
    bias : bool
        Whether the maps add biases.
    dtype : {"float32", "float64"}
    seed : int, optional
        Parameters are drawn as those of `Linear`.

    Attributes
    ----------
    layers : list of Linear
        Their parameters are pieces of one buffer.
    params : Parameters
        Those of map k as ``k.weight`` and ``k.bias``.

    Raises
    ------
    TypeError, ValueError
        An unknown activation; a dtype that is neither float32 nor float64; a size below 1.

    Examples
    --------
    >>> head = MLP(3, (8, 8), 2, dtype="float64", seed=0)
    >>> run = head(np.ones((5, 3)))
    >>> run.y.shape, run.backward(np.ones((5, 2))).params["1.weight"].shape
    ((5, 2), (8, 8))
    """

    option_hints = "map option"

    def __init__(
        self,
        in_features: int,
        sizes: Iterable[int],
        out_features: int,
        activation: Activation = "relu",
        *,
        bias: bool = True,
        dtype: Dtype = "float32",
        seed: Seed = None,
    ) -> None:
        check_activation(activation)
        hidden = listed("sizes", sizes, "the widths of the hidden layers, such as [32]")
        names = ["in_features", *(f"sizes[{k}]" for k in range(len(hidden))), "out_features"]
        widths = [as_size(*pair) for pair in zip(names, [in_features, *hidden, out_features])]
        rng = generator(seed)
        self.layers = [Linear(*pair, bias=bias, dtype=dtype, seed=rng) for pair in itertools.pairwise(widths)]
        self.activation, self.bias = activation, check_flag("bias", bias)
        shapes = {f"{k}.{name}": s for k, each in enumerate(self.layers) for name, s in each.params.shapes.items()}
        self._params = Parameters(shapes, dtype)
        self._place()

    @property
    def arguments(self) -> dict[str, Any]:
        """Those of the constructor that a file holds."""
        names = ("in_features", "out_features", "activation", "bias")
        return {name: getattr(self, name) for name in names} | {"sizes": list(self.sizes)}

    @classmethod
    def shapes(cls, given: Entries) -> Shapes:
        """Shapes of the parameters, from the `arguments` of a file."""
        given.only(("in_features", "out_features", "activation", "bias", "sizes")).text("activation", ACTIVATIONS)
        sizes = [given.integer("in_features"), *given.list("sizes", int), given.integer("out_features")]
        if len(sizes) > MOST_LAYERS or min(sizes) < 1:
            given.refuse(f"must hold up to {MOST_LAYERS - 2} integers of at least 1", sizes[1:-1], "sizes")
        bias, shapes = given.flag("bias"), dict[str, tuple[int, ...]]()
        for k, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
            shapes |= linear_shapes(inputs, outputs, bias, f"{k}.")
        return shapes

    @classmethod
    def planned(cls, says: Entries, dtype: str, wanted: Wanted) -> Plan:
        """The layer that a file describes, which counts as its maps."""
        plan = super().planned(says, dtype, wanted)
        return replace(plan, count=len(says.entries("arguments").list("sizes")) + 1)

    def _place(self) -> None:
        """Make the parameters of the maps pieces of the own buffer."""
        for each, own in zip(self.layers, self._params.adopted(each.params for each in self.layers)):
            each.params.move_to(*own)

    def _pieces(self, flat: np.ndarray) -> list[np.ndarray]:
        return np.split(flat, np.cumsum([each.params.size for each in self.layers])[:-1])

    @property
    def in_features(self) -> int:
        """Size of the last axis of the input."""
        return self.layers[0].in_features

    @property
    def out_features(self) -> int:
        """Size of the last axis of the output."""
        return self.layers[-1].out_features

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of the hidden layers."""
        return tuple(each.out_features for each in self.layers[:-1])

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64."""
        return self._params.dtype

    @explained()
    def __call__(self, x: ArrayLike, **other: Never) -> MLPRun:
        """Apply the layer.

        Parameters
        ----------
        x : array_like, shape (..., in_features)
            Of the layer's dtype; any number of leading axes.

        Returns
        -------
        MLPRun
            With ``y`` (..., out_features) and ``backward(dy)``.

        Raises
        ------
        TypeError, ValueError
            Another dtype; another last axis.
        """
        if other:
            refuse_call(other)
        return MLPRun(self, x)

    def over(self, x: Array) -> MLPRun:
        """The run of a call; `x` is not copied, and must not change before `MLPRun.backward`."""
        return MLPRun(self, x, copy=False)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._place()

    def __repr__(self) -> str:
        bias = "" if self.bias else ", bias=False"
        sizes = f"{self.in_features}, {self.sizes}, {self.out_features}, {self.activation!r}"
        return f"MLP({sizes}{bias}, dtype='{self.dtype}')"


def tanh(z: Array) -> Array:
    """tanh z, the engine's: NumPy's has other bits on other machines."""
    out = np.empty_like(z)
    load("pylstm.engine.activations").apply("tanh", z.ravel(), out.reshape(-1))
    return out


class MLPRun(Output):
    """One application of an `MLP`; keeps copies of the weights, and of the input unless `copy` is False.

    Attributes
    ----------
    y : ndarray, shape (..., out_features)
    layer : MLP
    """

    def __init__(self, layer: MLP, x: ArrayLike, *, copy: bool = True) -> None:
        self.layer, self._relu = layer, layer.activation == "relu"
        self._runs, self._hidden = [LinearRun(layer.layers[0], x, copy=copy)], []
        for each in layer.layers[1:]:
            z = self._runs[-1].y
            a = np.maximum(z, 0) if self._relu else tanh(z)
            self._hidden.append(a)
            self._runs.append(each.over(a))
        self.y: Array = self._runs[-1].y

    def backward(self, dy: ArrayLike | None = None, *more: Never, **other: Never) -> MLPGradients:
        """Gradients from the cotangent of ``y``; may be called again, with the same result.

        Parameters
        ----------
        dy : array_like, shape of ``y``

        Raises
        ------
        TypeError, ValueError
            Another dtype; another shape.
        """
        d, layer = cotangent(self, dy, more, other), self.layer
        params = layer.params.zeros_like()
        for run, piece, a in zip(self._runs[::-1], layer._pieces(params.flat)[::-1], [*self._hidden[::-1], None]):
            grads = run.backward(d)
            piece[...] = grads.params.flat
            # a = max(z, 0): da/dz = 1 where a > 0;  a = tanh z: da/dz = 1 - a^2
            d = grads.x if a is None else grads.x * (a > 0 if self._relu else 1 - a * a)
        return MLPGradients(d, params)
