"""`fit_lbfgs`: training on all rows at once by L-BFGS (scipy), for small nets and little noise."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from pylstm.checks import check_number, check_size
from pylstm.data.batches import Trains, check_data, check_model
from pylstm.data.finite import not_finite, refuse_not_finite
from pylstm.hints import explained
from pylstm.optim.clipping import as_list
from pylstm.training.arguments import check_trained
from pylstm.training.divergence import TrainingDiverged, cause
from pylstm.training.following import Follower, any_ends, followed
from pylstm.training.history import History
from pylstm.training.interrupt import stop_on_interrupt


@explained("lbfgs option")
def fit_lbfgs(
    model: Trains,
    data: Iterable[Any],
    *,
    iterations: int = 200,
    memory: int = 10,
    gradient_tolerance: float = 1e-5,
    loss_tolerance: float = 1e-9,
    callbacks: Iterable[Callable[[History], Any]] = (),
) -> History:
    """Train `model` on all rows of `data` at once by L-BFGS. However it ends, the parameters are the best seen.

    Parameters
    ----------
    model : object
        As for `Trainer`, of float64 if it is to converge far. Its loss must not be random: `SequenceModel.eval` turns
        dropout off.
    data : tuple of arrays or Sequences
        Of N rows each, such as ``(x, y)``.
    iterations : int
        At most; each takes one or a few evaluations of loss and gradient.
    memory : int
        Steps that the approximation of the curvature remembers.
    gradient_tolerance : float
        Converged if no element of the gradient is larger.
    loss_tolerance : float
        Converged if an iteration lowers the loss by a smaller part of it (or of 1, if it is below).
    callbacks : iterable of callables
        Called with the history after every iteration; one that returns True ends the fit.

    Returns
    -------
    History
        ``steps`` and ``norms`` by evaluation, ``loss`` by iteration; ``stopped`` is "converged", "iterations",
        "stalled" (no lower loss along the line: the end of the precision), "callback" or "interrupted".

    Raises
    ------
    ModuleNotFoundError
        scipy is missing: ``pip install 'pylstm[scipy]'``.
    TypeError, ValueError
        As `Trainer`; a model with dropout in training mode.
    TrainingDiverged
        Loss or gradient is not finite; the cause is named where it is known.

    Notes
    -----
    Byrd, Lu, Nocedal and Zhu (1995), A limited memory algorithm for bound constrained optimization. Ctrl-C and SIGTERM
    end the fit after the present evaluation, as in `Trainer.run`.

    Examples
    --------
    >>> import pylstm
    >>> x = np.random.default_rng(0).normal(size=(40, 5, 2))
    >>> model = pylstm.SequenceModel("gru", 2, 4, 1, dtype="float64", seed=0)
    >>> history = fit_lbfgs(model, (x, x.sum(axis=(1, 2))), iterations=20)  # doctest: +SKIP
    >>> history.loss[-1] < 0.2 * history.steps[0]  # doctest: +SKIP
    True
    """
    try:
        from scipy.optimize import minimize
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("fit_lbfgs needs scipy: pip install 'pylstm[scipy]'", name="scipy") from error
    check_model(model)
    _check_arguments(model, {"iterations": iterations, "memory": memory}, gradient_tolerance, loss_tolerance)
    data, number = check_data("data", data, whole=True), 0
    refuse_not_finite("data", data, model)
    check_trained(as_list(model.params))
    objective = _Objective(model, data, list(callbacks))
    with followed(objective) as objective.follower, stop_on_interrupt() as objective.stopped:
        if objective.stopping:  # by a hook, at the beginning
            objective.history.stopped = "callback"
            return objective.history
        # Converged: all of the gradient below gtol, or a fall of less than ftol times the largest of both losses and 1.
        options = {"maxiter": iterations, "maxfun": math.inf, "maxcor": memory}
        options |= {"gtol": gradient_tolerance, "ftol": loss_tolerance}
        try:
            end = objective.end_iteration
            result = minimize(objective, objective.start, jac=True, method="L-BFGS-B", callback=end, options=options)
            reasons = {0: "converged", 1: "iterations", 2: "stalled"}
            objective.history.stopped = objective.history.stopped or reasons[result.status]
        except _Interrupted:
            number, objective.history.stopped = objective.stopped(), "interrupted"
        finally:
            objective.set_best()
        late = 0 if number else objective.stopped()  # after the last iteration
    if late or number == signal.SIGTERM:
        signal.raise_signal(late or number)
    return objective.history


def _check_arguments(model: Any, sizes: dict[str, Any], gradient_tolerance: Any, loss_tolerance: Any) -> None:
    for name, value in sizes.items():
        check_size(name, value)
    check_number("gradient_tolerance", gradient_tolerance)
    check_number("loss_tolerance", loss_tolerance)
    if getattr(model, "training", False) and getattr(getattr(model, "layer", None), "dropout", 0):
        raise ValueError("L-BFGS needs the same loss at every evaluation: switch dropout off with model.eval()")


class _Interrupted(Exception):
    """Ctrl-C or SIGTERM has come."""


class _Objective:
    """Loss and gradient as functions of all trained parameters in one float64 array; remembers where it was lowest.

    To the hooks it is the trainer: an iteration is a step, and an epoch, too.
    """

    stopped: Callable[[], int]
    follower: Follower
    optimiser = None

    def __init__(self, model: Any, data: tuple[Any, ...], callbacks: list[Callable[[History], Any]]) -> None:
        self.model, self._data, self._callbacks = model, data, callbacks
        self._params, self.history, self.stopping = as_list(model.params), History(), False
        self._best: list[np.ndarray] = []
        self._lowest = math.inf

    @property
    def step(self) -> int:
        return len(self.history.loss)

    epoch = step

    def stop(self) -> None:
        """End the fit after the present iteration; for hooks."""
        self.stopping = True

    @property
    def start(self) -> np.ndarray:
        """The present parameters, those that are trained."""
        return np.concatenate(
            [piece for each in self._params for piece in each.trained_of(each.flat)], dtype=np.float64
        )

    def __call__(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        if self.stopped():
            raise _Interrupted
        at = 0
        for piece in (piece for each in self._params for piece in each.trained_of(each.flat)):
            piece[...] = flat[at : at + piece.size]
            at += piece.size
        loss, grads = self.model.gradients(*self._data)
        pairs = zip(self._params, as_list(grads, "grads"))
        gradient = np.concatenate([piece for each, g in pairs for piece in each.trained_of(g.flat)], dtype=np.float64)
        norm = float(np.linalg.norm(gradient))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            count, model, data = len(self.history.steps), self.model, self._data
            why = cause(count, self._params, lambda: not_finite("data", data, model))
            raise TrainingDiverged(
                f"training diverged at evaluation {count + 1}: loss {loss}, norm of the gradient {norm}; "
                f"the lowest loss before was {self._lowest:.3f}, whose parameters are set{why and ': '}{why}"
            )
        self.history.steps.append(float(loss))
        self.history.norms.append(norm)
        if loss < self._lowest:
            self._lowest, self._best = loss, [each.flat.copy() for each in self._params]
        return float(loss), gradient

    def end_iteration(self, intermediate_result: Any) -> None:
        """Called by scipy, which finds out by the name of the argument what to give."""
        self.history.loss.append(float(intermediate_result.fun))
        self.follower.end_step()
        self.follower.end_epoch()
        if any_ends(self._callbacks, self.history) or self.stopping:
            self.history.stopped = "callback"
            raise StopIteration

    def set_best(self) -> None:
        """Set the parameters with the lowest loss."""
        for each, values in zip(self._params, self._best):
            each.flat[...] = values
