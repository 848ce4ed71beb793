"""Schedules of the learning rate, against those of torch where it is installed."""

import copy
import math
import pickle

import numpy as np
import pytest

from pylstm import optim
from pylstm.optim.schedules import Plateau, constant, cosine, step_decay, warm_up


def theirs(make, steps):
    torch = pytest.importorskip("torch")
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    schedule = make(torch.optim.lr_scheduler, optimiser)
    rates = []
    for _ in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return rates


def test_step_decay_and_cosine_are_those_of_torch():
    ours = [step_decay(0.3, 4, 0.7)(step) for step in range(20)]
    assert ours == pytest.approx(theirs(lambda s, o: s.StepLR(o, 4, 0.7), 20), rel=1e-12)
    ours = [cosine(0.3, 20, 0.01)(step) for step in range(20)]
    assert ours == pytest.approx(theirs(lambda s, o: s.CosineAnnealingLR(o, 20, 0.01), 20), rel=1e-9)
    assert cosine(0.3, 20, 0.01)(20) == cosine(0.3, 20, 0.01)(999) == pytest.approx(0.01, rel=1e-15)


def test_warm_up_and_constant():
    schedule = warm_up(step_decay(1.0, 2, 0.5), 4)
    assert [schedule(step) for step in range(6)] == [0.25, 0.5, 0.375, 0.5, 0.25, 0.25]
    assert constant(0.2)(0) == constant(0.2)(10**9) == 0.2


def test_plateau_falls_after_more_than_patience_losses():
    plateau, rates = Plateau(1.0, factor=0.5, patience=2, threshold=0), []
    for loss in (3, 2, 2, 2, 2, 2, 2, 2):
        plateau.observe(loss)
        rates.append(plateau(0))
    assert rates == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25]


OPTIONS = {
    "mode": ("min", "max"),
    "factor": (0.1, 0.5, 0.9),
    "patience": (0, 1, 2, 5),
    "threshold": (0.0, 1e-4, 0.1, 0.5),
    "threshold_mode": ("rel", "abs"),
    "cooldown": (0, 1, 3),
    "min_lr": (0.0, 0.01, 0.2),
    "eps": (0.0, 1e-8, 0.02),
}


def losses(rng):
    """Falling, rising or flat, in coarse steps so that equal ones come; of both signs, with NaN and inf among them."""
    drift = rng.choice([-0.5, 0.0, 0.5])
    values = np.round(rng.normal(size=60) * rng.choice([0.2, 1.0]) + drift * np.arange(60) / 4 + rng.choice([0, 8]), 1)
    values[rng.random(60) < 0.03] = rng.choice([math.nan, math.inf, -math.inf])
    return values.tolist()


@pytest.mark.parametrize("seed", range(300))
def test_plateau_is_that_of_torch_step_by_step(seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    options = {name: values[rng.integers(len(values))] for name, values in OPTIONS.items()} if seed else {}
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    theirs, ours = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, **options), Plateau(0.3, **options)
    for number, loss in enumerate(losses(rng)):
        theirs.step(loss)
        ours.observe(loss)
        assert ours(number) == optimiser.param_groups[0]["lr"], (options, number)
        if number == 30:  # as from a checkpoint
            state, ours = ours.state_dict(), Plateau(0.3, **options)
            ours.load_state_dict(state)


def test_warm_up_is_that_of_torch():
    ours = [warm_up(constant(0.3), 5)(step) for step in range(9)]
    expected = theirs(lambda s, o: s.LinearLR(o, start_factor=1 / 5, total_iters=4), 9)
    assert ours == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: constant(-1), "lr must be 0 or more"),
        (lambda: cosine(math.nan, 3), "lr must be 0 or more"),
        (lambda: cosine(0.1, 0), "steps must be at least 1"),
        (lambda: step_decay(0.1, 0), "every must be at least 1"),
        (lambda: warm_up(constant(1), 0), "steps must be at least 1"),
        (lambda: Plateau(0.1, factor=1.0), "factor must be between 0 and 1"),
        (lambda: Plateau(0.1, patience=-1), "patience must be at least 0"),
        (lambda: Plateau(0.1, cooldown=-1), "cooldown must be at least 0"),
        (lambda: Plateau(0.1, mode="lowest"), "mode must be 'min' or 'max', got 'lowest'"),
        (lambda: Plateau(0.1, threshold_mode="relative"), "threshold_mode must be 'rel' or 'abs'"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


SCHEDULES = {
    "constant(0.1)": optim.constant(0.1),
    "step_decay(0.1, 3, 0.5)": optim.step_decay(0.1, 3, 0.5),
    "cosine(0.1, 10, 0.01)": optim.cosine(0.1, 10, 0.01),
    "warm_up(cosine(0.1, 10, 0.0), 3)": optim.warm_up(optim.cosine(0.1, 10), 3),
}


@pytest.mark.parametrize("text", SCHEDULES)
def test_schedules_are_pickled_and_copied(text):
    schedule = SCHEDULES[text]
    for each in (pickle.loads(pickle.dumps(schedule)), copy.deepcopy(schedule), copy.copy(schedule)):
        assert repr(each) == repr(schedule) == text
        assert [each(step) for step in range(12)] == [schedule(step) for step in range(12)]
