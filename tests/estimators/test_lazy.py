"""`import pylstm` needs no scikit-learn; who asks for an estimator without it learns what to install."""

import subprocess
import sys

import pytest

import pylstm

NAMES = ["Forecaster", "SequenceClassifier", "SequenceRegressor"]


def run(code):
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("ask", ["pylstm.SequenceClassifier", "from pylstm import *; SequenceClassifier"])
def test_it_is_imported_by_who_asks_for_it(ask):
    pytest.importorskip("sklearn")
    code = f"import sys, pylstm; print('sklearn' in sys.modules); {ask}; print('sklearn' in sys.modules)"
    assert run(code).split() == ["False", "True"]


@pytest.mark.parametrize("missing", [False, True])
def test_a_star_import_has_the_estimators_where_they_can_be_had(missing):
    pytest.importorskip("sklearn")
    code = (
        "import sys\n" + "sys.modules['sklearn'] = None\n" * missing + "from pylstm import *\nprint(*sorted(globals()))"
    )
    names = set(run(code).split())
    assert "LSTM" in names and set(NAMES) & names == (set() if missing else set(NAMES))


def test_saving_imports_no_estimator(tmp_path):
    path = str(tmp_path / "model.safetensors")
    code = (
        f"import sys, pylstm; pylstm.save({path!r}, pylstm.SequenceModel('gru', 1, 2, 1)); "
        f"print(type(pylstm.load({path!r})).__name__, 'sklearn' in sys.modules)"
    )
    assert run(code).split() == ["SequenceModel", "False"]


@pytest.mark.parametrize("name", NAMES)
def test_without_scikit_learn(name):
    code = (
        "import sys, pylstm; sys.modules['sklearn'] = None\n"
        f"try:\n    pylstm.{name}\nexcept ModuleNotFoundError as error:\n    print(error.name, error)"
    )
    assert run(code) == "sklearn the estimators of pylstm need scikit-learn: pip install 'pylstm[sklearn]'\n"


def test_the_names_are_listed():
    assert set(NAMES) <= set(dir(pylstm))
    assert "LSTM" in dir(pylstm)
    with pytest.raises(AttributeError, match="module 'pylstm' has no attribute 'nonsense'"):
        _ = pylstm.nonsense
