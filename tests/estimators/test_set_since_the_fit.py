"""Parameters set since the fit: `save` refuses what `load` would, before a good file is replaced."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

import pylstm
from pylstm.estimators import Forecaster, SequenceClassifier, SequenceRegressor

X = np.random.default_rng(0).normal(size=(20, 5, 2))
FITTED = {
    "classifier": lambda: SequenceClassifier(hidden_size=3, epochs=1, random_state=0).fit(X, np.arange(20) % 2),
    "regressor": lambda: SequenceRegressor(hidden_size=3, epochs=1, random_state=0).fit(X, X[:, 0, 0]),
    "forecaster": lambda: Forecaster(hidden_size=3, epochs=1, random_state=0).fit(
        np.sin(np.arange(120.0)) + 0.3 * np.arange(120)
    ),
}
VALUES = ("gru", "x", "float64", None, -1, 0, 2, 0.5, True, (1,), {"dt": 1.0}, float("nan"), object())


def refusal(path, fitted):
    """Message of `save`, or "" where the file could be written, which must then be readable."""
    good = path.read_bytes()
    try:
        pylstm.save(path, fitted)
    except (TypeError, ValueError) as error:
        assert path.read_bytes() == good
        return str(error)
    pylstm.load(path)
    return ""


@pytest.mark.parametrize("kind", FITTED)
def test_whatever_is_set_what_is_saved_can_be_read(kind, tmp_path):
    fitted, path = FITTED[kind](), tmp_path / "model.safetensors"
    pylstm.save(path, fitted)
    refused = 0
    for name, before in fitted.get_params().items():
        for value in VALUES:
            fitted.set_params(**{name: value})
            message = refusal(path, fitted)
            assert "not supported between" not in message
            refused += bool(message)
        fitted.set_params(**{name: before})
    assert refused > 20
    assert refusal(path, fitted) == ""


@pytest.mark.parametrize("kind", FITTED)
@pytest.mark.parametrize(("name", "value"), [("cell", "gru"), ("dtype", "float64")])
def test_the_message_says_what_to_do(kind, name, value, tmp_path):
    fitted, path = FITTED[kind](), tmp_path / "model.safetensors"
    fitted.set_params(**{name: value})
    with pytest.raises(ValueError, match=rf"^save: metadata.parameters.{name} must be .*or fit again, then save$"):
        pylstm.save(path, fitted)
    assert not path.exists()
