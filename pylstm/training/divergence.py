"""`TrainingDiverged`: the loss or its gradient became NaN or infinite; the message has the cause and the cure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

from pylstm.parameters import Parameters


class TrainingDiverged(FloatingPointError):
    """The loss or the gradient is no longer a finite number.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> x = np.ones((8, 5, 1), "float32")
    >>> model = pylstm.SequenceModel("rnn_relu", 1, 4, 1, seed=0)
    >>> try:
    ...     pylstm.fit(model, (x, x[:, -1]), optimiser=pylstm.SGD(model.params, lr=1e30), clip=None)
    ... except pylstm.training.TrainingDiverged as error:
    ...     print(str(error).partition(":")[0])
    training diverged at step 2
    """


def refuse_divergence(
    step: int,
    loss: float,
    norm: float,
    lr: float,
    *,
    unit: str = "",
    last: float | None,
    params: Iterable[Parameters] = (),
    data: Callable[[], str] | None = None,
) -> None:
    """Raise `TrainingDiverged` unless `loss` and `norm`, of the step numbered from 0, are finite.

    The message names the cause: a value of the data that is not finite, which `data` looks for, or of `params`; at the
    first step, before which no learning rate has had an effect, too large numbers; otherwise the learning rate.

    Examples
    --------
    >>> refuse_divergence(2, float("nan"), 1.5, 0.1, last=0.25)
    Traceback (most recent call last):
    ...
    pylstm.training.divergence.TrainingDiverged: training diverged at step 3: loss nan, 0.250 the step before, norm of
    the gradient 1.5, learning rate 0.1: try a lower learning rate
    """
    if math.isfinite(loss) and math.isfinite(norm):
        return
    before = "" if last is None else f", {last:.3f} the step before"
    raise TrainingDiverged(
        f"training diverged at step {step + 1}: loss {loss}{unit}{before}, norm of the gradient {norm}, "
        f"learning rate {lr:.3g}: {cause(step, params, data) or 'try a lower learning rate'}"
    )


def cause(step: int, params: Iterable[Parameters], data: Callable[[], str] | None) -> str:
    """Why loss or gradient are not finite at the step numbered from 0, and what to do; "" if it may be the steps."""
    found = data() if data else ""
    if found:
        return f"{found}: fill it or leave it out; the learning rate is not the cause"
    for each in params:
        for name in each:
            if not np.isfinite(each[name]).all():
                return f"the parameter {name} was not finite before this step: load or make the model anew"
    if step == 0:
        return "no step was made before, so it is not the learning rate: scale the data or make the parameters smaller"
    return ""
