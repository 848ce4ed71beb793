"""What a forecaster is given that is no series: each is answered by what makes one of it."""

import pathlib

import numpy as np
import pytest

pytest.importorskip("sklearn")
pd = pytest.importorskip("pandas")

import pylstm  # noqa: E402

y = 20 + np.sin(np.arange(60.0)) + 0.01 * np.arange(60) ** 2


def forecaster(**options):
    return pylstm.Forecaster("gru", 2, epochs=1, random_state=0, **options)


@pytest.mark.parametrize(("values", "cure"), [
    ("sales.csv", "read the file first"), (pathlib.Path("sales.csv"), "read_table"),
    ({"sold": y}, r"np.column_stack\(\[\*columns.values\(\)\]\)"), (iter(y), r"pass list\(...\)"),
    (["a"] * 60, "one column of 0 and 1 for each"), (np.array([["a", "b"]] * 60), "one column of 0 and 1 for each"),
])  # fmt: skip
def test_no_numbers(values, cure):
    for given in ((values,), (y, values)):
        with pytest.raises(TypeError, match=f"(?s)must be numbers, .*: .*{cure}"):
            forecaster().fit(*given)


def test_a_row_is_a_step():
    with pytest.raises(ValueError, match=r"a series of 1 steps is too short: .*: rows are steps, pass y\.T"):
        forecaster().fit(y[None])
    with pytest.raises(ValueError, match=r"are needed to train and to validate$"):
        forecaster().fit(y[:2])


def test_steps_are_a_whole_number():
    for form in (y, pd.Series(y, pd.date_range("2001-01-01", periods=60, freq="MS"))):
        with pytest.raises(TypeError, match=r"n must be an integer, got 3\.0"):
            forecaster().fit(form).predict(3.0)


def test_large_integers_that_rise_evenly():
    np.testing.assert_allclose(forecaster().fit(np.arange(60) * 10**15).predict(2), [60e15, 61e15], rtol=1e-5)


def test_what_is_frozen_stays_as_it_was_drawn(tmp_path):
    names = ["weight_x", "0.bias"]
    trained, held = forecaster().fit(y), forecaster(frozen=names).fit(y)
    drawn = held.model_._make_net().params
    for layer in (0, 1):
        for name, value in held.model_.net.params[layer].items():
            kept = np.array_equal(value, drawn[layer][name])
            assert kept == (layer == 0 and name in ("weight_x", "bias"))
            assert not np.array_equal(trained.model_.net.params[layer][name], drawn[layer][name])
    pylstm.save(tmp_path / "held.safetensors", held)
    again = pylstm.load(tmp_path / "held.safetensors")
    assert list(again.frozen) == names
    np.testing.assert_array_equal(again.predict(3), held.predict(3))
    with pytest.raises(
        ValueError, match="frozen must hold names of parameters of the net: unknown parameter 'weight_z'"
    ):
        forecaster(frozen="weight_z").fit(y)
