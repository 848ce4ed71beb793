"""Schedules of the learning rate, against those of torch where it is installed."""

import math

import pytest

from pylstm.training.schedules import Plateau, constant, cosine, step_decay, warm_up


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


def test_plateau_falls_after_patience_and_not_below_the_least():
    plateau = Plateau(1.0, factor=0.1, patience=2, tolerance=0.5, least=0.05)
    rates = []
    for loss in (5, 4.8, 4.7, 4.0, 4.0, math.nan, 3.9, 3.8, 3.0):
        plateau.observe(loss)
        rates.append(plateau(0))
    assert rates == [1, 1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05]


def test_plateau_goes_on_from_its_state():
    one = Plateau(1.0, patience=2)
    for loss in (2.0, 3.0):
        one.observe(loss)
    two = Plateau(7.0, patience=2)
    two.load_state_dict(one.state_dict())
    one.observe(2.5)
    two.observe(2.5)
    assert one(0) == two(0) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: constant(-1), "lr must be 0 or more"),
        (lambda: cosine(math.nan, 3), "lr must be 0 or more"),
        (lambda: cosine(0.1, 0), "steps must be at least 1"),
        (lambda: step_decay(0.1, 0), "every must be at least 1"),
        (lambda: warm_up(constant(1), 0), "steps must be at least 1"),
        (lambda: Plateau(0.1, factor=1.0), "factor must be between 0 and 1"),
        (lambda: Plateau(0.1, patience=0), "patience must be at least 1"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
