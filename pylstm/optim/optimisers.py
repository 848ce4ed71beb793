"""Optimisers on the flat buffers of `Parameters`: a step is one pass over each buffer, in place."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Never

import numpy as np

from pylstm.checks import check_array, check_finite, check_flag
from pylstm.described import call_of
from pylstm.engine.levels import load
from pylstm.engine.threads import allowed_threads
from pylstm.hint_calls import takes_input, wrong_call
from pylstm.hints import Hinted
from pylstm.optim.clipping import as_list
from pylstm.optim.idle import IDLE, Idle
from pylstm.optim.numbers import Setting, check_count, positive, rate, share, two_shares
from pylstm.parameters import Parameters


class Optimiser(Hinted, ABC, hints="optimiser"):
    """Base of the optimisers: the parameters, checks, and the state as a dict.

    Attributes
    ----------
    params : list of Parameters
        Changed in place by `step`.
    lr : float
        Learning rate; may be set between steps. It and the other numbers are checked whenever they are set.
    steps : int
        Steps taken.

    Examples
    --------
    >>> import pylstm
    >>> optimiser = pylstm.Adam(pylstm.LSTM(3, 5).params, lr=1e-3)
    >>> isinstance(optimiser, pylstm.optim.Optimiser), optimiser.lr, optimiser.steps
    (True, 0.001, 0)
    """

    slots: tuple[str, ...] = ()
    """Names of the running averages, one flat array per `Parameters` each."""
    squares: tuple[str, ...] = ()
    """Those of squares."""

    lr = Setting(rate)
    settings: tuple[str, ...] = ("lr",)
    """Names of the numbers that `state_dict` holds."""

    option_hints = "optimiser option"

    def __init__(self, params: Parameters | Iterable[Parameters], lr: float) -> None:
        self.params = as_list(params)
        if not self.params:
            raise ValueError("params must not be empty: pass layer.params")
        for (j, one), (k, other) in itertools.combinations(enumerate(self.params), 2):
            if np.may_share_memory(one.flat, other.flat):
                raise ValueError(
                    f"params[{j}] and params[{k}] are the same parameters: one step would change them twice"
                )
        self.lr = lr
        self.steps = 0
        self._slots = {name: [np.zeros_like(each.flat) for each in self.params] for name in self.slots}
        self._idle, self._taken = Idle(self.params), 0

    @takes_input
    def step(self, grads: Parameters | Iterable[Parameters] | None = None, *more: Never, **other: Never) -> None:
        """Change the parameters by one step; those that are frozen, and their averages, stay as they are.

        Parameters
        ----------
        grads : Parameters or list of Parameters
            In the order and of the layout of the parameters; not changed.

        Raises
        ------
        TypeError, ValueError
            None, or not of `Parameters`; another number of them, or another layout.
        """
        if more or other:
            raise TypeError(wrong_call(Optimiser.step, "optimiser.step", (self, grads, *more), other))
        if grads is None:
            raise TypeError(
                "step needs the gradients, which are not stored: grads = run.backward(dy); optimiser.step(grads.params)"
            )
        grads = as_list(grads, "grads")
        if len(grads) != len(self.params):
            raise ValueError(
                f"grads must be {len(self.params)} Parameters, as the optimiser's params, got {len(grads)}"
            )
        for number, (each, grad) in enumerate(zip(self.params, grads)):
            if not each.same_layout(grad):
                raise ValueError(f"grads[{number}] must have the layout of the parameters: {each!r}, got {grad!r}")
        self.steps += 1
        for number, (each, grad) in enumerate(zip(self.params, grads)):
            arrays = [each.flat, grad.flat, *(self._slots[name][number] for name in self.slots)]
            for piece, idle in self._idle.pieces(number):
                self._taken = self.steps - idle
                self._update(*(array[piece] for array in arrays))

    @abstractmethod
    def _update(self, p: np.ndarray, g: np.ndarray, *slots: np.ndarray) -> None:
        """Change the flat parameters `p` and their `slots`, in place, by the flat gradient `g`.

        They are pieces of the buffers where some parameters are held; `_taken` counts the steps of this piece.
        """

    def __repr__(self) -> str:
        settings = {name: getattr(self, name) for name in self.settings}
        elements, trained = (sum(each) for each in zip(*((each.size, each.trained_size) for each in self.params)))
        held = f", {elements - trained:,} of them held" if trained < elements else ""
        return f"{call_of(type(self).__name__, **settings)[:-1]}; {elements:,} parameters{held}, {self.steps:,} steps)"

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on, besides the parameters: numbers and copies of flat arrays."""
        state: dict[str, Any] = {"optimiser": type(self).__name__, "steps": self.steps}
        state |= {name: getattr(self, name) for name in self.settings}
        for name, arrays in self._slots.items():
            state |= {f"{name}.{number}": array.copy() for number, array in enumerate(arrays)}
        return state | self._idle.state()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict` of an optimiser of the same kind on parameters of the same sizes.

        Raises
        ------
        ValueError, TypeError
            Of another kind; missing or unexpected keys; arrays of another size or dtype, or not finite; averages of
            squares below 0.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"state must be the dict that state_dict() returned, got {type(state).__name__}")
        own = {name: value for name, value in self.state_dict().items() if name != IDLE}
        state, idle = {name: value for name, value in state.items() if name != IDLE}, state.get(IDLE, {})
        missing, unexpected = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        if state.get("optimiser") != own["optimiser"]:
            raise ValueError(f"state of optimiser {state.get('optimiser')!r}, expected {own['optimiser']!r}")
        if missing or unexpected:
            raise ValueError(f"optimiser state: missing keys {missing}, unexpected keys {unexpected}")
        arrays = {
            key: self._checked_slot(key, check_array(f"optimiser state {key!r}", state[key], value.shape, value.dtype))
            for key, value in own.items()
            if isinstance(value, np.ndarray)
        }
        steps = check_count("optimiser state 'steps'", state["steps"])
        settings = {name: self._checked(name, state[name]) for name in self.settings}
        self._idle.load(idle, steps)
        self.steps = steps
        for name, value in settings.items():
            setattr(self, name, value)
        for key, value in arrays.items():
            name, number = key.rsplit(".", 1)
            self._slots[name][int(number)][...] = value

    def _checked_slot(self, key: str, array: np.ndarray) -> np.ndarray:
        check_finite(f"optimiser state {key!r}", array)
        if key.partition(".")[0] in self.squares and (array < 0).any():
            raise ValueError(f"optimiser state {key!r} must be at least 0, holds {array[array < 0][0]}")
        return array

    def _checked(self, name: str, value: Any) -> Any:
        setting = getattr(type(self), name, None)
        return setting.checked(value) if isinstance(setting, Setting) else type(getattr(self, name))(value)


class SGD(Optimiser):
    """Stochastic gradient descent, with momentum.

    ``v = momentum v + g;  p = p - lr v``, with `nesterov` ``p = p - lr (g + momentum v)``.

    Parameters
    ----------
    params : Parameters or list of Parameters
    lr : float
        Learning rate.
    momentum : float
        In 0..1, below 1.
    nesterov : bool
        Nesterov's form; needs a momentum above 0.

    Raises
    ------
    TypeError, ValueError
        `params` is not of `Parameters`, or has the same ones twice; a number out of range.

    Notes
    -----
    Sutskever et al. (2013), On the importance of initialization and momentum in deep learning; in the form of
    PyTorch, where the learning rate is outside of the velocity.

    Examples
    --------
    >>> params = Parameters({"w": (1,)}, "float64")
    >>> grads = params.copy(); grads.flat[:] = 2
    >>> SGD(params, lr=0.1).step(grads)
    >>> params["w"]
    array([-0.2])
    """

    momentum, nesterov = Setting(share), Setting(check_flag)
    slots = ("velocity",)
    settings = ("lr", "momentum", "nesterov")

    def __init__(
        self, params: Parameters | Iterable[Parameters], lr: float, momentum: float = 0.0, *, nesterov: bool = False
    ) -> None:
        self.momentum, self.nesterov = momentum, nesterov
        if nesterov and momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        super().__init__(params, lr)

    def _update(self, p: np.ndarray, g: np.ndarray, *slots: np.ndarray) -> None:
        numbers = {"lr": self.lr, "momentum": self.momentum, "nesterov": self.nesterov}
        load("pylstm.optim._updates").sgd(p, g, *slots, **numbers, threads=allowed_threads())


class Adam(Optimiser):
    """Adam: steps scaled by running averages of the gradient and of its square.

    Step t: ``m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;``
    ``p = p - lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)``.

    Parameters
    ----------
    params : Parameters or list of Parameters
    lr : float
        Learning rate.
    betas : tuple of float
        Decay rates ``b1``, ``b2``, each in 0..1 and below 1.
    eps : float
        Above 0.

    Raises
    ------
    TypeError, ValueError
        `params` is not of `Parameters`; a number out of range.

    Notes
    -----
    Kingma & Ba (2015), Adam: a method for stochastic optimization, algorithm 1.

    Examples
    --------
    >>> params = Parameters({"w": (1,)}, "float64")
    >>> grads = params.copy(); grads.flat[:] = 2
    >>> Adam(params, lr=0.1).step(grads)
    >>> params["w"].round(6)
    array([-0.1])
    """

    betas, eps = Setting(two_shares), Setting(positive)
    slots, squares = ("m", "v"), ("v",)
    settings: tuple[str, ...] = ("lr", "betas", "eps")

    def __init__(
        self,
        params: Parameters | Iterable[Parameters],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.betas, self.eps = betas, eps
        super().__init__(params, lr)

    def _update(self, p: np.ndarray, g: np.ndarray, *slots: np.ndarray, keep: float = 1.0) -> None:
        b1, b2 = self.betas
        rate, root = self.lr / (1 - b1**self._taken), math.sqrt(1 - b2**self._taken)
        numbers = {"betas": self.betas, "rate": rate, "root": root, "eps": self.eps, "keep": keep}
        load("pylstm.optim._updates").adam(p, g, *slots, **numbers, threads=allowed_threads())


class AdamW(Adam):
    """Adam with decay of the weights apart from the gradient: ``p = p (1 - lr weight_decay)`` before each step.

    Parameters
    ----------
    params : Parameters or list of Parameters
    lr, betas, eps
        As for `Adam`.
    weight_decay : float
        0 or more.

    Raises
    ------
    TypeError, ValueError
        As `Adam`; a negative `weight_decay`.

    Notes
    -----
    Loshchilov & Hutter (2019), Decoupled weight decay regularization; the decay is scaled by `lr`, as in PyTorch. It
    acts on every element of the buffer, biases too.

    Examples
    --------
    >>> params = Parameters({"w": (1,)}, "float64")
    >>> params.flat[:] = 1
    >>> AdamW(params, lr=0.1, weight_decay=0.5).step(params.zeros_like())
    >>> params["w"]
    array([0.95])
    """

    weight_decay = Setting(rate)
    settings = (*Adam.settings, "weight_decay")

    def __init__(
        self,
        params: Parameters | Iterable[Parameters],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        *,
        weight_decay: float = 0.01,
    ) -> None:
        self.weight_decay = weight_decay
        super().__init__(params, lr, betas, eps)

    def _update(self, p: np.ndarray, g: np.ndarray, *slots: np.ndarray, keep: float = 1.0) -> None:
        super()._update(p, g, *slots, keep=keep * (1 - self.lr * self.weight_decay))


class RMSProp(Optimiser):
    """Steps scaled by a running average of the square of the gradient.

    ``v = alpha v + (1 - alpha) g^2;  u = momentum u + g / (sqrt(v) + eps);  p = p - lr u``.

    Parameters
    ----------
    params : Parameters or list of Parameters
    lr : float
        Learning rate.
    alpha : float
        Decay rate, in 0..1 and below 1.
    eps : float
        Above 0.
    momentum : float
        In 0..1, below 1.

    Raises
    ------
    TypeError, ValueError
        `params` is not of `Parameters`; a number out of range.

    Notes
    -----
    Tieleman & Hinton (2012), lecture 6.5 of Neural networks for machine learning; in the form of PyTorch.

    Examples
    --------
    >>> params = Parameters({"w": (1,)}, "float64")
    >>> grads = params.copy(); grads.flat[:] = 2
    >>> RMSProp(params, lr=0.1).step(grads)
    >>> params["w"].round(6)
    array([-1.])
    """

    alpha, eps, momentum = Setting(share), Setting(positive), Setting(share)
    slots, squares = ("v", "velocity"), ("v",)
    settings = ("lr", "alpha", "eps", "momentum")

    def __init__(
        self,
        params: Parameters | Iterable[Parameters],
        lr: float = 1e-2,
        *,
        alpha: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.0,
    ) -> None:
        self.alpha, self.eps, self.momentum = alpha, eps, momentum
        super().__init__(params, lr)

    def _update(self, p: np.ndarray, g: np.ndarray, *slots: np.ndarray) -> None:
        numbers = {"lr": self.lr, "alpha": self.alpha, "momentum": self.momentum, "eps": self.eps}
        load("pylstm.optim._updates").rmsprop(p, g, *slots, **numbers, threads=allowed_threads())
