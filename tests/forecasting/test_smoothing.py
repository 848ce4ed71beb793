"""Smoothing from every origin: by hand, without a look ahead, and what it can continue."""

import numpy as np
import pytest

from pylstm.forecasting.smoothing import MEMORY, Constants, Smoother, make_constants, roll

RNG = np.random.default_rng(5)


def by_hand(y, m, level, trend, season, damping, drift, H):
    """One expert and one series, in scalars."""
    l, b, d = float(np.mean(y[:m])), 0.0, 0.0
    s = {k: y[k] - l for k in range(m)}
    begin = l
    for t in range(m, len(y)):
        count = t - m + 2
        rise = damping * b + drift * d
        e = y[t] - (l + rise + s[t % m])
        l += rise + max(level, (level > 0) / count) * e
        b = damping * b + trend * e
        cycles = count // m + 2 if m > 1 else count
        s[t % m] += max(season, (season > 0) * (1 - level) / cycles) * e
        d = (np.mean(y[max(0, t - m + 1) : t + 1]) - begin) / (t + 1 - m)
    T = len(y)
    return [
        l + b * sum(damping**k for k in range(1, h + 1)) + drift * d * h + s[(T + h - 1) % m] for h in range(1, H + 1)
    ]


@pytest.mark.parametrize("m", [1, 4])
def test_an_expert_is_what_its_equations_say(m):
    rows = [
        (0.3, 0.1, 0.2 * (m > 1), 0.9, 0.0),
        (0.7, 0.0, 0.5 * (m > 1), 0.0, 0.5),
        (0.0, 0.0, float(m > 1), 0.0, 1.0),
    ]
    y = RNG.normal(size=(17, 2)).cumsum(axis=0)
    smoother = Smoother(Constants(*np.array(rows).T[..., None]), y[:m])
    for each in y[m:]:
        smoother.update(each)
    expected = [[by_hand(y[:, k], m, *row, 6) for k in range(2)] for row in rows]
    np.testing.assert_allclose(smoother.forecast(6), expected, rtol=1e-10)


def test_the_naive_forecasts_are_experts():
    y = RNG.normal(size=(20, 1)).cumsum(axis=0)
    for seasonal, m, expected in [(False, 1, np.repeat(y[-1], 4)), (True, 4, y[-4:, 0])]:
        smoother = Smoother(make_constants(seasonal), y[:m])
        for each in y[m:]:
            smoother.update(each)
        assert np.isclose(smoother.forecast(4)[:, 0], expected, atol=1e-12).all(axis=1).any()


@pytest.mark.parametrize("season", [0, 5])
def test_no_forecast_knows_what_comes_later(season):
    y = RNG.normal(size=(40, 3)).cumsum(axis=0)
    other = y.copy()
    other[25:] += RNG.normal(size=(15, 3))
    one, two = roll(y, season, 4)[0], roll(other, season, 4)[0]
    np.testing.assert_allclose(one[:25], two[:25], atol=1e-5)  # the range of the series, 1e-10 of its square, aside
    assert (np.abs(one[25:] - two[25:]) > 1e-3).mean() > 0.95


@pytest.mark.parametrize("season", [0, 5])
def test_the_last_forecast_is_that_of_the_last_origin_and_series_do_not_meet(season):
    y = RNG.normal(size=(40, 3)).cumsum(axis=0)
    rolled, last = roll(y, season, 4, 9)
    np.testing.assert_array_equal(rolled[-1], last[:, :4])
    alone = [roll(y[:, k : k + 1], season, 4, 9) for k in range(3)]
    np.testing.assert_allclose(rolled, np.concatenate([each[0] for each in alone], axis=1), rtol=1e-12)


def test_weights_are_those_of_the_errors_so_far():
    y = RNG.normal(size=(14, 1)).cumsum(axis=0)
    constants = make_constants(False)
    smoother, forecasts = Smoother(constants, y[:1]), []
    for t in range(14):
        if t:
            smoother.update(y[t])
        forecasts.append(smoother.forecast(2)[:, 0])
    loss, count = np.zeros(len(constants.level)), 0.0
    for t in range(1, 14):
        loss, count = MEMORY * loss, MEMORY * count + min(t, 2)
        for h in range(1, min(t, 2) + 1):
            loss += (y[t, 0] - forecasts[t - h][:, h - 1]) ** 2 / h
    weights = (loss / loss.min()) ** (-count / 2)
    weights /= weights.sum()
    np.testing.assert_allclose(roll(y, 0, 2)[1][0], weights @ forecasts[-1], rtol=1e-6)


def test_trends_and_seasons_are_continued():
    t = np.arange(60.0)
    wave = 3 * np.sin(2 * np.pi * t / 6)
    for values, season in [(2 * t, 0), (2 * t + wave, 6), (wave, 6)]:
        np.testing.assert_allclose(roll(values[:48, None], season, 6)[1][0], values[48:54], atol=0.15)
