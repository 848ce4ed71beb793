"""`OnlineRegressor`, `OnlineClassifier`: a layer that learns online, and a linear head, as River takes them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Literal

import numpy as np
from river import base

from pylstm.checks import Array, Dtype, Seed, check_dtype, check_positive, check_size, generator
from pylstm.feedforward.linear import Linear
from pylstm.interop.river_features import Features, in_order, number
from pylstm.layers.named import Recurrent
from pylstm.layers.streams.online import Rule
from pylstm.losses.classification import softmax_cross_entropy
from pylstm.losses.regression import squared_error
from pylstm.optim.clipping import clip_by_norm
from pylstm.optim.optimisers import SGD, Adam, AdamW, RMSProp

Row = Mapping[Any, Any]
Name = Literal["adam", "adamw", "rmsprop", "sgd"]
OPTIMISERS: dict[str, Any] = {"adam": Adam, "adamw": AdamW, "rmsprop": RMSProp, "sgd": SGD}


class OnlineModel:
    """What both have: the net, made at the first `learn_one`, and its step."""

    def __init__(
        self,
        cell: Any = "gru",
        hidden_size: int = 16,
        *,
        num_layers: int = 1,
        online: Rule = "snap1",
        optimiser: Name = "adam",
        lr: float = 0.01,
        clip: float | None = 1.0,
        features: Iterable[Hashable] | None = None,
        dtype: Dtype = "float32",
        seed: Seed = None,
    ) -> None:
        self.cell, self.hidden_size, self.online = cell, check_size("hidden_size", hidden_size), online
        self.num_layers = check_size("num_layers", num_layers)
        self.optimiser, self.lr, self.clip = optimiser, check_positive("lr", lr), clip
        self.features, self.dtype, self.seed = features, dtype, seed
        if optimiser not in OPTIMISERS:
            raise ValueError(f"optimiser must be one of {', '.join(OPTIMISERS)}, got {optimiser!r}")
        if clip is not None:
            check_positive("clip", clip)
        self._features = None if features is None else Features(features, check_dtype(dtype))
        self._stream: Any = None
        self._head: Any = None
        self._optimiser: Any = None
        self._classes: dict[Hashable, int] = {}
        self._net(1, generator(0)).stream(online=online)  # refuses what it does not know

    def _net(self, inputs: int, rng: np.random.Generator) -> Any:
        """A new layer, or a stack, which takes an integer as seed."""
        seed = rng if self.num_layers == 1 else int(rng.integers(2**63))
        size, layers = self.hidden_size, self.num_layers
        return Recurrent(self.cell, inputs, size, num_layers=layers, dtype=self.dtype, seed=seed)

    @property
    def layer(self) -> Any:
        """The `Recurrent` layer, or the `Stack` of some; None before the first `learn_one`."""
        return None if self._stream is None else self._stream.layer

    @property
    def head(self) -> Any:
        """The `Linear` map of its output; None before the first `learn_one`."""
        return self._head

    def reset(self) -> None:
        """Start a new sequence: the state is what it was at the beginning, the parameters stay."""
        if self._stream is not None:
            self._stream.reset()

    def _begin(self, x: Row, outputs: int) -> None:
        """The net for the names of the first row."""
        known = self._features
        if known is None:
            known = Features(in_order(x), self.dtype)
        known.array(x)  # refused before anything is kept
        rng = generator(self.seed)
        layer = self._net(len(known.names), rng)
        self._features, self._stream = known, layer.stream(online=self.online)
        self._head = Linear(layer.output_size, outputs, dtype=self.dtype, seed=rng)
        self._optimiser = OPTIMISERS[self.optimiser]([layer.params, self._head.params], lr=self.lr)

    def _outputs(self, x: Row) -> Array:
        """The head's outputs for the next step, which is not taken."""
        assert self._features is not None
        x_t = self._features.array(x).reshape(1, 1, -1)
        y: Array = self._head(self._stream.layer(x_t, initial=self._stream.state, tape=False).y).y
        return y.reshape(-1)

    def _learn(self, x: Row, loss: Any, *target: Any) -> None:
        """One step of the net, and one of the optimiser."""
        assert self._features is not None
        past = self._stream.state_dict()
        run = self._head(self._stream.step(self._features.array(x)))
        back = run.backward(loss(run.y, *target)[1])
        grads = [self._stream.learn(back.x), back.params]
        if not math.isfinite(clip_by_norm(grads, math.inf if self.clip is None else self.clip)):
            self._stream.load_state_dict(past)
            raise FloatingPointError(
                "the gradient is not finite: the step was not taken. Scale the features with "
                "river.preprocessing.StandardScaler before the model, and lower lr"
            )
        self._optimiser.step(grads)

    def _unit_test_skips(self) -> set[str]:
        """The check of River in which names appear later: the net has as many inputs as it began with."""
        return {"check_emerging_features"}


class OnlineRegressor(OnlineModel, base.Regressor):
    """A recurrent net that learns a number at every step, for River.

    Layers of one direction, streamed with ``layer.stream(online=...)``, and a linear head; the loss is half the
    squared error. `predict_one` looks one step ahead and leaves the state as it is; `learn_one` takes the step. The
    rows are one sequence in the order of `learn_one`, until `reset`.

    Parameters
    ----------
    cell : str or Cell
        Of `pylstm.Recurrent`.
    hidden_size : int
    num_layers : int
        Layers one above the other.
    online : {"rtrl", "snap1", "eprop"}
        The rule: see `pylstm.layers.OnlineStream`. ``rtrl`` is exact, and fast where units see only themselves
        (``"lru"``, ``"mingru"``, ``"minlstm"``, ...), in stacks of ``"mingru"``, ``"minlstm"``, ``"sru"``, ... too.
    optimiser : {"adam", "adamw", "rmsprop", "sgd"}
        Of `pylstm.optim`, with the defaults of the class but for `lr`.
    lr : float
        Learning rate.
    clip : float, optional
        Bound of the norm of the gradient of a step; None for none.
    features : list of str, optional
        All names. Without it those of the first `learn_one`, sorted. A name that a row does not have counts as 0, as in
        River's linear models; one that is new is refused.
    dtype : {"float32", "float64"}
    seed : int, optional
        Of the parameters.

    Raises
    ------
    TypeError, ValueError
        A cell, a rule or a number that does not fit; a feature that is new, missing as NaN, or not a number.

    Notes
    -----
    Scale what comes in: ``river.preprocessing.StandardScaler() | OnlineRegressor()``, and a target far from 0 with
    ``river.preprocessing.TargetStandardScaler``. Before the first `learn_one` the prediction is 0.

    Examples
    --------
    >>> from pylstm.interop.river import OnlineRegressor
    >>> model = OnlineRegressor("gru", 8, seed=0)
    >>> late = 0.0
    >>> for t in range(2000):  # the input of two steps ago
    ...     x, y = {"a": float(t * t % 7 > 3)}, float((t - 2) ** 2 % 7 > 3)
    ...     late += abs(model.predict_one(x) - y) * (t >= 1900) / 100
    ...     model.learn_one(x, y)
    >>> late < 0.1
    True
    """

    def learn_one(self, x: Row, y: Any) -> None:
        """One step of the net for the features `x`, and one of the optimiser for the target `y`."""
        y = number("y", y, check_dtype(self.dtype))
        if self._stream is None:
            self._begin(x, 1)
        self._learn(x, squared_error, np.array([y], self.dtype), 0.5)

    def predict_one(self, x: Row) -> float:
        """The prediction for the features `x` of the next step."""
        return 0.0 if self._stream is None else float(self._outputs(x)[0])


class OnlineClassifier(OnlineModel, base.Classifier):
    """A recurrent net that learns a class at every step, for River.

    As `OnlineRegressor`, with the cross-entropy of a softmax as loss. The head gets a row of zeros whenever a class
    appears for the first time; averages of the optimiser are kept.

    Parameters
    ----------
    cell, hidden_size, num_layers, online, optimiser, lr, clip, features, dtype, seed
        As of `OnlineRegressor`.

    Raises
    ------
    TypeError, ValueError
        As there; a label that is None or NaN.

    Examples
    --------
    >>> from pylstm.interop.river import OnlineClassifier
    >>> model = OnlineClassifier("lru", 8, online="rtrl", seed=0)
    >>> right = 0
    >>> for t in range(1000):  # whether the input of the last step was large
    ...     x, y = {"a": float(t * t % 7 > 3)}, "large" if (t - 1) ** 2 % 7 > 3 else "small"
    ...     right += (model.predict_one(x) == y) * (t >= 900)
    ...     model.learn_one(x, y)
    >>> right > 90, sorted(model.predict_proba_one({"a": 1.0}))
    (True, ['large', 'small'])
    """

    @property
    def _multiclass(self) -> bool:
        return True

    def learn_one(self, x: Row, y: Any) -> None:
        """One step of the net for the features `x`, and one of the optimiser for the label `y`."""
        if y is None or y != y:
            raise ValueError(f"y must be a label, got {y!r}: leave the step out")
        if self._stream is None:
            self._begin(x, 1)
            self._head.params.flat[...] = 0  # of one class: it is certain
            self._classes = {y: 0}
        elif y not in self._classes:
            assert self._features is not None
            self._features.array(x)  # refused before anything is kept
            self._grow()
            self._classes[y] = len(self._classes)
        self._learn(x, softmax_cross_entropy, np.array(self._classes[y]))

    def predict_proba_one(self, x: Row, **_: Any) -> dict[Any, float]:
        """Probabilities of the classes seen so far at the next step, by label; empty before the first `learn_one`."""
        if self._stream is None:
            return {}
        logits = self._outputs(x).astype("float64")
        shares = np.exp(logits - logits.max())
        return dict(zip(self._classes, (shares / shares.sum()).tolist()))

    def _grow(self) -> None:
        """One more row of the head, and of what the optimiser keeps of it."""
        old, averages = self._head, self._optimiser.state_dict()
        self._head = Linear(old.in_features, old.out_features + 1, dtype=self.dtype, seed=0)
        self._head.params.flat[...] = _one_more(old.params.flat, old.out_features)
        self._optimiser = OPTIMISERS[self.optimiser]([self.layer.params, self._head.params], lr=self.lr)
        for name, value in averages.items():
            if isinstance(value, np.ndarray) and name.endswith(".1"):
                averages[name] = _one_more(value, old.out_features)
        self._optimiser.load_state_dict(averages)


def _one_more(flat: Array, rows: int) -> Array:
    """Weight (rows, K) and bias of a head as one buffer, with a row of 0 and a bias of 0 more."""
    weight, bias = flat[:-rows].reshape(rows, -1), flat[-rows:]
    zeros = np.zeros(weight.shape[1], flat.dtype)
    return np.concatenate([weight.ravel(), zeros, bias, zeros[:1]])
