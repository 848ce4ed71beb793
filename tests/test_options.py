"""Options that are misspelt, or of another call, and flags that are not flags: refused where they are given."""

from __future__ import annotations

import numpy as np
import pytest

import pylstm
from pylstm.cells.certification.certificate import Certificate, Path

T, B, I, H = 5, 2, 3, 4
X = np.random.default_rng(0).normal(size=(T, B, I)).astype("float32")
LSTM, STACK = pylstm.LSTM(I, H, seed=0), pylstm.LSTM(I, H, 2, seed=0)
MODEL = pylstm.SequenceModel("lstm", I, H, 1, seed=0)
BOTH = pylstm.Bidirectional(pylstm.LSTM(I, H, seed=0), pylstm.LSTM(I, H, seed=1))

MISTAKES = [
    (lambda: pylstm.LSTM(I, H, batch_frist=True), TypeError, "LSTM has no option 'batch_frist'"),
    (lambda: pylstm.LSTM(I, H, batch_frist=True), TypeError, "did you mean batch_first=?"),
    (lambda: pylstm.Recurrent("cornn", I, H, gama=1.0), TypeError, "did you mean gamma=?"),
    (lambda: pylstm.SequenceModel("lstm", I, H, 2, reads="last"), TypeError, "did you mean read=?"),
    (lambda: pylstm.SequenceModel("lstm", I, H, 2, baes=False), TypeError, "did you mean bias=?"),
    (lambda: pylstm.SequenceModel("lstm", I, H, 2, qq=False), TypeError, "SequenceModel has no option 'qq', and cell"),
    (lambda: pylstm.ForecastModel("gru", windw=3), TypeError, "did you mean window=?"),
    (lambda: pylstm.ForecastModel("gru", epochs=3), TypeError, "its method fit has: pass epochs= to fit"),
    (lambda: pylstm.ForecastModel("gru", patience=3), TypeError, "its method fit has: pass patience= to fit"),
    (lambda: pylstm.ForecastModel("gru", read="last"), TypeError, "ForecastModel has no option 'read'"),
    (lambda: pylstm.ForecastModel("gruu"), LookupError, "did you mean 'gru'"),
    (lambda: pylstm.ForecastModel(season="a"), TypeError, "season must be an integer, got 'a'"),
    (lambda: pylstm.ForecastModel(difference=-1), ValueError, "difference must be at least 0, got -1"),
    (lambda: pylstm.ForecastModel(dropout=2), ValueError, "dropout must be in 0..1, got 2"),
    (lambda: pylstm.ClassifyModel(["a", "b"], hiden_size=3), TypeError, "did you mean hidden_size=?"),
    (lambda: pylstm.ClassifyModel(["a", "b"], lr=3), TypeError, "its method fit has: pass lr= to fit"),
    (lambda: pylstm.ClassifyModel(["a", "b"], hidden_size="a"), TypeError, "hidden_size must be an integer, got 'a'"),
    (
        lambda: pylstm.ClassifyModel(["a", "b"], read="first"),
        ValueError,
        "read must be last, mean, max or stats, got 'first'",
    ),
    (lambda: pylstm.ClassifyModel(["a", "b"], dtype="float16"), TypeError, "dtype must be 'float32' or 'float64'"),
    (lambda: pylstm.ClassifyModel(["a", "b"], dropout="a"), TypeError, "dropout must be a number"),
    *(
        (lambda call=call: call("no"), TypeError, f"{name} must be True or False, got 'no'")
        for name, call in [
            *(("tape", lambda no, net=net: net(X, tape=no)) for net in (LSTM, STACK, BOTH)),
            ("tape", lambda no: LSTM(X, tape=no, lengths=[1] * B)),
            ("bias", lambda no: pylstm.Linear(8, 2, bias=no)),
            ("bias", lambda no: pylstm.MLP(8, (), 2, bias=no)),
            ("bias", lambda no: pylstm.LSTM(8, 2, bias=no)),
            ("reset_after", lambda no: pylstm.GRU(8, 2, reset_after=no)),
            ("certified", lambda no: pylstm.Recurrent("lstm", 8, 2, certified=no)),
            ("certified", lambda no: pylstm.load("a", certified=no)),
            ("residual", lambda no: pylstm.LSTM(8, 2, 2, residual=no)),
            ("residual", lambda no: pylstm.Stack([LSTM], residual=[no])),
            ("mode", lambda no: pylstm.LSTM(8, 2, 2).train(no)),
            ("bidirectional", lambda no: pylstm.ClassifyModel(["a", "b"], bidirectional=no)),
            ("log", lambda no: pylstm.ForecastModel(log=no)),
            ("joint", lambda no: pylstm.ForecastModel(joint=no)),
        ]
    ),
    (lambda: pylstm.LSTM(I, H, 2, batch_frist=True), TypeError, "did you mean batch_first=?"),
]


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_an_option_that_is_wrong_is_refused(number):
    make, error, cure = MISTAKES[number]
    with pytest.raises(error) as caught:
        make()
    assert cure in str(caught.value)


def quarters():
    return {"a": [1, 2], "b": [1], "c": [1]}


VALUES = [
    (lambda: pylstm.fit(MODEL, (X, X), callbacks=3), TypeError, "callbacks must be a list of functions, got 3"),
    (lambda: pylstm.fit(MODEL, (X, X), callbacks=print), TypeError, "got one: callbacks=[function]"),
    (lambda: pylstm.save("m", {}), TypeError, "a dict of layers, got an empty dict"),
    (lambda: pylstm.set_num_threads("2"), TypeError, "an integer from 1 to 64, got '2'"),
    (
        lambda: pylstm.ClassifyModel(["a", "b"]).fit([X[0]], ["a", "b"]),
        ValueError,
        "of shape (1,), one for each sequence, got <U1",
    ),
    (lambda: pylstm.ClassifyModel(["a", "b"]).fit([X[0]], ["a"]), ValueError, "model.classes.index(each)"),
    (
        lambda: pylstm.data.sequences_from_frame(quarters(), id="a"),
        ValueError,
        "columns must have equal lengths, got 2 values of 'a' and 1 of 'b'",
    ),
    (
        lambda: pylstm.data.sequences_from_frame(quarters(), id="b", time="a", columns=["c"]),
        ValueError,
        "columns must have equal lengths, got 1 values of 'b' and 2 of 'a'",
    ),
]


@pytest.mark.parametrize("number", range(len(VALUES)))
def test_a_value_that_is_wrong_is_refused(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, error, cure = VALUES[number]
    with pytest.raises(error) as caught:
        make()
    assert cure in str(caught.value)


@pytest.mark.parametrize(("number", "words"), [(1, "1 of 4 paths is wrong"), (2, "2 of 4 paths are wrong")])
def test_a_certificate_counts_in_english(number, words):
    certificate = Certificate("mine", [Path("twin", str(k), fault="nan" * (k < number)) for k in range(4)])
    assert words in certificate.message()


def test_what_goes_on_to_the_layers_is_taken():
    assert not pylstm.SequenceModel("lstm", I, H, 2, bias=False).layer.bias
    model = pylstm.ForecastModel("cornn", H, window=8, gamma=2.0, learn_initial=True, seed=0)
    model.fit(np.sin(np.arange(40.0)), epochs=1)
    assert model.net.layer.cell.options["gamma"] == 2.0 and model.net.layer.learn_initial
