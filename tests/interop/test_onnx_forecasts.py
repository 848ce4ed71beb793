"""`pylstm.interop.onnx.export` of forecasts, run by onnxruntime, against ``predict``."""

import numpy as np
import pytest

import pylstm
from pylstm.forecasting import ForecastModel
from pylstm.interop import onnx as ours

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")


def series(seed, T=90, columns=None):
    """Positive, with a trend and a season."""
    rng, t = np.random.default_rng(seed), np.arange(T)[:, None]
    y = np.exp(0.01 * t + 0.4 * np.sin(2 * np.pi * (t + rng.uniform(0, 6, columns or 1)) / 6)) + 1
    y += rng.uniform(0, 0.2, y.shape)
    return y if columns else y[:, 0]


def run(model, folder, steps=None, **inputs):
    path = str(folder / "forecast.onnx")
    ours.export(model, path, steps=steps)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    assert {each.name for each in session.get_inputs()} == inputs.keys()
    (y,) = session.run(["y"], inputs)
    return y


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    assert np.ptp(wanted) > 1e-3


PREPARED = [{}, {"log": True}, {"season": 6}, {"difference": 1}, {"log": True, "season": 3, "difference": 2}]


@pytest.mark.parametrize("horizon", [1, 8])
@pytest.mark.parametrize("prepared", PREPARED, ids=str)
@pytest.mark.parametrize("cell", ["lstm", "mgu"])
def test_a_series(cell, prepared, horizon, tmp_path):
    """Histories longer and shorter than the window, several at once; seasons longer and shorter than the horizon."""
    model = ForecastModel(cell, 6, window=20, horizon=horizon, num_layers=2, seed=0, **prepared)
    model.fit(series(1), epochs=2)
    for T in (60, 13):
        histories = [series(k, T) for k in (2, 3, 4)]
        wanted = np.stack([model.predict(horizon, history=each) for each in histories])
        found = run(model, tmp_path, x=np.stack(histories)[..., None])
        assert found.dtype == "float64"
        close(found, wanted[..., None])


@pytest.mark.parametrize(("cell", "steps"), [("lstm", 3), ("mgu", 9), ("lstm", 30)])
@pytest.mark.parametrize("prepared", PREPARED, ids=str)
def test_other_numbers_of_steps_than_the_horizon(cell, prepared, steps, tmp_path):
    model = ForecastModel(cell, 6, window=20, horizon=8, num_layers=2, seed=0, **prepared)
    model.fit(series(1), epochs=2)
    for T in (60, 13):
        histories = [series(k, T) for k in (2, 3)]
        wanted = np.stack([model.predict(steps, history=each) for each in histories])
        close(run(model, tmp_path, steps, x=np.stack(histories)[..., None]), wanted[..., None])


def test_more_steps_with_inputs_known_beforehand(tmp_path):
    model, known = ForecastModel("gru", 6, window=16, joint=True, difference=1, seed=0), series(7, 91, 2)
    model.fit(series(1, columns=3), known[:90], epochs=2)
    for T in (40, 9):
        history, extra = series(2, T, 3), series(3, T + 7, 2)
        wanted = model.predict(7, history=history, exogenous=extra)
        close(run(model, tmp_path, 7, x=history[None], exogenous=extra[None]), wanted[None])


def test_steps_are_those_of_a_forecast(tmp_path):
    with pytest.raises(ValueError, match="steps=3 is for a forecast, and the file of any other model"):
        ours.export(pylstm.LSTM(2, 3), tmp_path / "m.onnx", steps=3)
    with pytest.raises(ValueError, match="steps must be"):
        ours.export(pylstm.LSTM(2, 3), tmp_path / "m.onnx", steps=0)


def test_values_forecast_together_and_inputs_known_beforehand(tmp_path):
    model, known = ForecastModel("gru", 6, window=16, joint=True, difference=1, seed=0), series(7, 91, 2)
    model.fit(series(1, columns=3), known[:90], epochs=2)
    history, extra = series(2, 40, 3), series(3, 41, 2)
    wanted = model.predict(1, history=history, exogenous=extra)
    close(run(model, tmp_path, x=history[None], exogenous=extra[None]), wanted[None])


def test_several_series_have_scales_of_their_own(tmp_path):
    y = series(1, columns=3) * [1, 10, 100]
    model = ForecastModel("gru", 6, window=16, horizon=4, seed=0)
    model.fit(y, epochs=2)
    wanted = model.predict(4, history=y[-50:]).T
    which = np.array([2, 0, 1])
    found = run(model, tmp_path, x=y[-50:].T[which][..., None], series=which)
    for row, k in zip(found, which):
        close(row[:, 0], wanted[k])


def test_a_forecaster(tmp_path):
    """Steps further than the horizon: the forecast is the next step that came."""
    pytest.importorskip("sklearn")
    model, x = pylstm.Forecaster("gru", 6, epochs=2, combine=False, random_state=0).fit(series(1)), series(1)
    assert model.method_ == ["net"] and model.settings_["season"]
    ahead = model.predict(5)
    for _ in range(5):
        y = run(model, tmp_path, x=x[None, :, None])
        assert y.shape == (1, 1, 1)
        x = np.append(x, y)
    close(x[-5:], ahead)


def test_a_net_that_won_the_back_test(tmp_path):
    """No forecast is below what the back-test found the series to be above."""
    y = series(1)
    model = ForecastModel("gru", 6, window=16, horizon=4, combine=True, cycle=6, seed=0)
    model.fit(y, validation=0.2, epochs=1)
    (column,) = model.blend.columns
    for name, value in {"share": 1.0, "net": 1.0, "log": False}.items():
        object.__setattr__(column, name, value)
    history = series(2, 40)
    object.__setattr__(column, "above", float(np.median(model.predict(4, history=history))))
    wanted = model.predict(4, history=history)
    assert (wanted == column.above).any() and (wanted > column.above).any()
    close(run(model, tmp_path, x=history[None, :, None])[0, :, 0], wanted)


def test_what_is_no_forecast_of_a_net_is_refused(tmp_path):
    path, y = tmp_path / "f.onnx", series(1)
    model = ForecastModel("gru", 6, window=16, loss="gaussian", seed=0)
    model.fit(y, epochs=1)
    with pytest.raises(TypeError, match=r"loss='gaussian': the forecast is the median of paths .*: export model.net,"):
        ours.export(model, path)
    pytest.importorskip("sklearn")
    blended = pylstm.Forecaster("gru", 4, epochs=1, window=8, random_state=0).fit(y)
    assert "smoothing" in blended.method_[0]
    with pytest.raises(
        TypeError, match=rf"the forecast is {blended.method_[0][:4]} .*combine=False, or export model.mo"
    ):
        ours.export(blended, path)
    with pytest.raises(TypeError, match=r"or export model.net, whose input is the prepared and standardised series"):
        ours.export(blended.model_, path)
    with pytest.raises(ValueError, match="the Forecaster is not fitted: call fit first"):
        ours.export(pylstm.Forecaster(), path)
    with pytest.raises(RuntimeError, match="fit"):
        ours.export(ForecastModel(), path)
    model = ForecastModel("gru", 6, window=16, seed=0)
    model.fit(y, epochs=1)
    with pytest.raises(ValueError, match="states, reset: a forecast reads all steps of its history in every call"):
        ours.export(model, path, states=True, reset=True)
    assert not list(tmp_path.iterdir())
