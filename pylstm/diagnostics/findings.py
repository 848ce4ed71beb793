"""`diagnose`: why a layer may not learn, in words, by what a run of it shows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pylstm.diagnostics.checks import check_run
from pylstm.diagnostics.keepers import keeper
from pylstm.diagnostics.lags import LagGradients, gradient_by_lag
from pylstm.diagnostics.saturated import GateSaturation, saturation
from pylstm.layers.initialisers import bias_of
from pylstm.layers.runs.steps import by_step, input_of

MANY = 0.25
"""Share of the units from which a finding is one."""
OFTEN = 0.9
"""Share of the steps from which a unit stands at an end."""
LARGE = 10.0
"""Root mean square of an input from which it is not standardised."""
SHORT = 12
"""Fewest lags that tell how a gradient decays."""
LOST, GROWN = 1e-4, 1e2
"""Shares of the gradient at lag 1: what arrives no more, and what explodes."""
FAR = 50
"""Lag at which it is judged, where a run is that long."""
HEAVY = 2.5
"""Mean magnitude of biases from which these alone bring a sigmoid near its end."""


@dataclass(frozen=True)
class Finding:
    """One reason why a layer may not learn.

    Attributes
    ----------
    kind : str
        "not finite", "input", "saturated", "silent", "vanishing" or "exploding".
    text : str
        What is wrong, with numbers, and what to do; `str` of the finding.

    Examples
    --------
    >>> from pylstm.diagnostics import Finding
    >>> print(Finding("silent", "3 of 8 units never change"))
    3 of 8 units never change
    """

    kind: str
    text: str

    def __str__(self) -> str:
        return self.text


def diagnose(run: Any, dy: Any = None, *, by_lag: LagGradients | None = None, name: str = "the layer") -> list[Finding]:
    """Look at a run for reasons why its layer may not learn.

    Values that are not finite; an input that is not standardised; gates that stand at an end of their range; outputs
    that do not change; a gradient that is lost, or explodes, on its way through the steps.

    Parameters
    ----------
    run : Run
        Of one layer, with a tape.
    dy : array_like, optional
        Cotangent of ``run.y``. Without it nothing is said of gradients.
    by_lag : LagGradients, optional
        Of the same run, where they are known already: `gradient_by_lag` of `dy`.
    name : str
        What the texts call the layer.

    Returns
    -------
    list of Finding
        Empty where nothing is wrong.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `gradient_by_lag`.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> from pylstm.diagnostics import diagnose
    >>> x = np.random.default_rng(0).normal(size=(40, 2, 3))
    >>> layer = pylstm.LSTM(3, 8, dtype="float64", seed=0).initialise("gate_bias", "f", -9.0)
    >>> for each in diagnose(layer(x)):
    ...     print(each)
    gate f of the layer is saturated at 0 for 100 % of the units, ... its biases are -9 in the mean: set them ...
    """
    check_run(run)
    if broken := _not_finite(run, name):
        return broken
    found = _of_input(run, name)
    raw = bool(found)
    for gate, each in _saturation(run).items():
        found += _saturated(run, gate, each, name, raw)
    found += _silent(run, name)
    if by_lag is None and dy is not None and run._T and run._B:
        by_lag = gradient_by_lag(run, dy)
    return found if by_lag is None else found + _of_gradient(run, by_lag, name)


def inside_of(run: Any) -> np.ndarray:
    """Which steps are within the lengths of the rows, bool (T, B)."""
    lengths = getattr(run, "lengths", None)
    return np.ones((run._T, run._B), bool) if lengths is None else np.arange(run._T)[:, None] < lengths


def _not_finite(run: Any, name: str) -> list[Finding]:
    inside = inside_of(run)
    arrays = {"the input": input_of(run)} | {
        f"state {state}": by_step(run, values, 1)[1:] for state, values in run.states.items()
    }
    for what, values in arrays.items():
        wrong = inside & ~np.isfinite(values).all(axis=-1)
        if wrong.any():
            t, b = (int(each[0]) for each in np.nonzero(wrong))
            cure = (
                "fill the gaps, or leave these sequences out"
                if what == "the input"
                else "the input is finite: look at the parameters, and train with a lower learning rate and clip=1"
            )
            text = f"{what} of {name} is NaN or infinite from step {t} of row {b} on ({wrong.sum()} steps): {cure}"
            return [Finding("not finite", text)]
    return []


def _of_input(run: Any, name: str) -> list[Finding]:
    x = input_of(run)[inside_of(run)].astype(np.float64)
    if not len(x):
        return []
    size, mean, deviation = np.sqrt((x**2).mean(axis=0)), x.mean(axis=0), x.std(axis=0)
    worst = int(size.argmax())
    if size[worst] <= LARGE:
        return []
    return [
        Finding(
            "input",
            f"input {worst} of {name} is large, {mean[worst]:.3g} in the mean with a deviation of "
            f"{deviation[worst]:.3g}: subtract the mean of each input and divide by its deviation before training",
        )
    ]


def _saturation(run: Any) -> dict[str, GateSaturation]:
    """That of all gates; one that keeps a state is at 1 where next to nothing is forgotten in the whole run."""
    found, gate = saturation(run), keeper(run.layer.cell)
    if gate in found and run._T:
        whole = saturation(run, threshold=0.05 / max(2, run._T))[gate]
        found[gate] = replace(found[gate], high=whole.high)
    return found


def _saturated(run: Any, gate: str, found: GateSaturation, name: str, raw: bool) -> list[Finding]:
    said, dead = [], not math.isfinite(found.ends[1])
    often = 1.0 if dead else OFTEN  # a relu is to be 0 at some steps
    for end, shares in ((0, found.low), (1, found.high)):
        share = found.stuck(end, often)
        if share < MANY:
            continue
        what = f"{'is' if dead else 'is saturated at'} {found.ends[end]:g} for {100 * share:.0f} % of the units"
        when = "at every step" if dead else "at 9 of 10 steps or more"
        cure = _cure(run, gate, shares >= often, raw, dead)
        text = f"gate {gate} of {name} {what}, {when}: next to no gradient passes through it there. {cure}"
        said.append(Finding("saturated", text))
    return said


def _cure(run: Any, gate: str, units: np.ndarray, raw: bool, dead: bool) -> str:
    if raw:
        return "The large input is the likely cause: standardise it, and train anew"
    layer = run.layer
    biased = "bias" in layer.params and gate in layer.cell.contract.biased
    mean = float(bias_of(layer, gate)[units].mean()) if biased else None
    if mean is not None and abs(mean) > HEAVY:
        return f"Of these units its biases are {mean:.3g} in the mean: set them nearer 0 and train anew"
    if dead:
        return "What goes in is never above 0: begin anew with biases a little above 0, and a lower learning rate"
    return (
        "The weights are the cause, as the input and the biases are moderate: smaller initial values, a lower learning "
        "rate, or a penalty on the weights"
    )


def _silent(run: Any, name: str) -> list[Finding]:
    y = by_step(run, run.y)[inside_of(run)]
    if len(y) < 2:
        return []
    still = np.ptp(y, axis=0) <= 1e-6 * max(1.0, float(np.abs(y).max()))
    if still.mean() < MANY:
        return []
    return [
        Finding(
            "silent",
            f"{still.sum()} of {still.size} outputs of {name} are the same at every step of every row: they carry "
            "nothing of the input to what follows",
        )
    ]


def _of_gradient(run: Any, by_lag: LagGradients, name: str) -> list[Finding]:
    count = len(by_lag.lags)
    if count < SHORT or not np.isfinite(by_lag.sent).all() or by_lag.sent[1] == 0:
        return []
    # fewer steps have a loss that is k steps later; without that a gradient that stays would seem to decay
    left = np.array([max(1, inside_of(run)[lag:].sum()) for lag in by_lag.lags], np.float64)
    size = by_lag.sent / np.sqrt(left)
    ratio = size / size[1]
    far = min(FAR, count - 1)
    grown = 1 + int(ratio[1:].argmax())
    if ratio[grown] > GROWN:
        factor = ratio[grown] ** (1 / max(1, grown - 1))
        text = (
            f"the gradient of {name} grows on its way back: at lag {grown} it is {ratio[grown]:.0e} of that at lag 1, "
            f"{factor:.2f} times a step. Clip its norm (clip=1), and begin with smaller or orthogonal recurrent weights"
        )
        return [Finding("exploding", text)]
    if ratio[far] >= LOST:
        return []
    reach = int(np.flatnonzero(ratio >= 1e-2)[-1])
    text = (
        f"the gradient of {name} is lost on its way back: at lag {far} it is {ratio[far]:.0e} of that at lag 1, and "
        f"beyond {reach} steps less than a hundredth arrives. Longer chunks or windows will not help. "
    )
    return [Finding("vanishing", text + _longer(run, far))]


def _longer(run: Any, far: int) -> str:
    """How the layer could reach `far` steps back."""
    gate = keeper(run.layer.cell)
    if gate is None:
        return "Take a cell with a gate that keeps its state, such as lstm or gru, or a leaky one"
    values = by_step(run, run.gates[gate])[inside_of(run)]
    bias = math.ceil(10 * math.log(far / math.log(2))) / 10  # sigmoid(bias) ** far = 1/2
    return (
        f"Gate {gate} keeps {float(values.mean()):.2f} of the state at each step: begin with "
        f'layer.initialise("gate_bias", "{gate}", {bias}), so that half of it is left after about {far} steps'
    )
