"""Calls that Python would refuse in its own words: arguments missing, options unknown, things of another kind."""

from __future__ import annotations

import ast
import copy
import inspect
import pickle
import re
from importlib.util import find_spec

import numpy as np
import pytest

import pylstm
from pylstm import cells, comparing, data, datasets, forecasting, interop, losses, optim, text
from pylstm.layers import regularisers

SPACES = (pylstm, cells, data, datasets, forecasting, comparing, optim, text, interop.torch)
LSTM, STACK = pylstm.LSTM(2, 3, seed=0), pylstm.LSTM(2, 3, 2, seed=0)
MODEL = pylstm.SequenceModel.of(LSTM, 1, seed=0)
HEAD = pylstm.Linear(3, 2, seed=0)
X, ROWS, Y = np.ones((5, 2, 2), "f4"), np.ones((2, 5, 2), "f4"), np.ones((5, 2, 3), "f4")
RUN = LSTM(X)

MISSING = {
    "LSTM needs input_size and hidden_size": lambda: pylstm.LSTM(),
    "Recurrent needs cell and input_size and hidden_size": lambda: pylstm.Recurrent(),
    "Linear needs in_features and out_features": lambda: pylstm.Linear(),
    "MLP needs in_features and sizes and out_features": lambda: pylstm.MLP(),
    "Embedding needs count and features": lambda: pylstm.Embedding(),
    "Bidirectional needs forward and reverse": lambda: pylstm.Bidirectional(),
    "Stack needs layers": lambda: pylstm.Stack(),
    "Adam needs params": lambda: pylstm.Adam(),
    "SGD needs params and lr": lambda: pylstm.SGD(),
    "SequenceModel needs cell and input_size": lambda: pylstm.SequenceModel(),
    "Trainer needs model and data": lambda: pylstm.Trainer(),
    "ClassifyModel needs classes": lambda: pylstm.ClassifyModel(),
    "CharModel needs vocabulary": lambda: text.CharModel(),
    "Plateau needs lr": lambda: optim.Plateau(),
    "cosine needs lr and steps": lambda: optim.cosine(),
    "mean_squared_error needs target": lambda: pylstm.mean_squared_error(Y),
    "squared_error needs target": lambda: pylstm.squared_error(Y),
    "huber needs target": lambda: pylstm.huber(Y),
    "quantile_loss needs target": lambda: pylstm.quantile_loss(Y),
    "gaussian_likelihood needs target": lambda: pylstm.gaussian_likelihood(Y),
    "softmax_cross_entropy needs targets": lambda: pylstm.softmax_cross_entropy(Y),
    "sigmoid_cross_entropy needs targets": lambda: pylstm.sigmoid_cross_entropy(Y),
    "ctc_loss needs targets": lambda: pylstm.ctc_loss(Y),
    "clip_by_norm needs max_norm": lambda: pylstm.clip_by_norm(LSTM.params),
    "clip_by_value needs limit": lambda: pylstm.clip_by_value(LSTM.params),
    "truncated_bptt needs loss and k1": lambda: pylstm.truncated_bptt(LSTM, X),
    "fit needs model and data": lambda: pylstm.fit(),
    "fit_lbfgs needs model and data": lambda: pylstm.fit_lbfgs(),
    "backtest needs model and values and hold_out and horizon": lambda: forecasting.backtest(),
    "naive needs n": lambda: forecasting.naive([3.0]),
    "audit needs claimed": lambda: cells.audit(cells.LSTM),
    "certify needs cell": lambda: pylstm.certify(),
    "register needs cell": lambda: pylstm.register(),
    "derive needs cell": lambda: cells.derive(),
    "save needs model": lambda: pylstm.save("a"),
    "load needs path": lambda: pylstm.load(),
    "SequenceModel.of needs output_size": lambda: pylstm.SequenceModel.of(LSTM),
    "Sequences.of needs sequences": lambda: data.Sequences.of(),
    "loss needs y: loss(x, y)": lambda: MODEL.loss(ROWS),
    "gradients needs y": lambda: MODEL.gradients(ROWS),
    "predict needs x": lambda: MODEL.predict(),
    "predict needs n": lambda: pylstm.ForecastModel().predict(),
    "fit needs y": lambda: pylstm.ForecastModel().fit(),
    "initialise needs how": lambda: LSTM.initialise(),
    "compare needs cells and task": lambda: comparing.compare(),
    "read_table needs path": lambda: datasets.read_table(),
    "sequences_from_frame needs frame and id": lambda: data.sequences_from_frame(),
    "grouped needs table": lambda: datasets.grouped(),
    "state_dict needs layer": lambda: interop.torch.state_dict(),
}


@pytest.mark.parametrize("message", MISSING)
def test_an_argument_that_is_missing(message):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        MISSING[message]()


@pytest.mark.parametrize("net", [HEAD, pylstm.MLP(3, [4], 2, seed=0)])
def test_backward_of_a_map_without_a_cotangent(net):
    with pytest.raises(ValueError, match=r"backward needs the cotangent of y: run\.backward\(dy\)"):
        net(Y).backward()


def calls(message):
    """The calls that a message names."""
    found = re.findall(r"(?:^|: )((?:\\w+\\.)*\\w+\\(.*?\\))(?:;|$)", message)
    return [ast.parse(each, mode="eval").body for each in found]


@pytest.mark.parametrize("message", MISSING)
def test_the_cure_of_an_argument_that_is_missing_is_a_call_that_fits(message):
    """Bound to the signature: what goes by name is named."""
    with pytest.raises(TypeError) as caught:
        MISSING[message]()
    for cure in calls(str(caught.value)):
        name = ast.unparse(cure.func).split(".")
        places = [getattr(space, name[0]) for space in SPACES if hasattr(space, name[0])]
        for thing in places[:1]:
            for each in name[1:]:
                thing = getattr(thing, each)
            inspect.signature(thing).bind(*cure.args, **{each.arg: each.value for each in cure.keywords})


def test_the_cure_of_a_column_given_by_place():
    frame, id = {"id": [1, 1, 2], "x": [0.1, 0.2, 0.3]}, "id"
    with pytest.raises(TypeError, match="needs id by name, id=: ") as caught:
        data.sequences_from_frame(frame, id)
    grouped = eval(str(caught.value).split(": ")[1], {"frame": frame, "id": id, **vars(data)})
    assert [len(each) for each in grouped.sequences] == [2, 1]


NAMED_RIGHT = {
    "sizes[1] must be an integer, got 'a'": lambda: pylstm.MLP(3, [4, "a"], 1),
    "out_features must be an integer, got 'a'": lambda: pylstm.MLP(3, [4], "a"),
    "logits must be an array of numbers, got 'a'": lambda: pylstm.ctc_best_path("a"),
    "fit needs y: fit(y); the series, of shape (n,) or (n, K)": lambda: pylstm.ForecastModel().fit(),
    "unknown option rho=: alpha= is": lambda: pylstm.RMSProp(LSTM.params, rho=0.9),
    "LSTM has no option 'dropuot'": lambda: pylstm.LSTM(3, 4, dropuot=0.1),
}


@pytest.mark.parametrize("message", NAMED_RIGHT)
def test_the_argument_that_is_named(message):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        NAMED_RIGHT[message]()


UNKNOWN = {
    "unknown option batch=: batch_size= is": lambda: LSTM.stream(batch=3),
    "unknown option stateful=: a stream keeps": lambda: STACK.stream(stateful=True),
    "unknown option maxiter=: iterations= is": lambda: pylstm.fit_lbfgs(MODEL, (ROWS, ROWS), maxiter=3),
    "unknown option steps=: pylstm.comparing.Settings": lambda: comparing.compare(["lstm"], "adding", steps=3),
    "Settings has no option sedes=: it takes params, steps, minutes, seeds": lambda: comparing.Settings(sedes=3),
    "TextSettings has no option hiden_size=: it takes cell,": lambda: text.TextSettings(hiden_size=3),
    "sequences_from_frame has no option idd=: it takes frame, id": lambda: data.sequences_from_frame({}, idd=3),
    "huber has no option detla=: it takes y, target, delta": lambda: pylstm.huber(Y, Y, detla=1),
    "predict has no option batchsize=": lambda: MODEL.predict(ROWS, batchsize=3),
    "clip_by_norm has no option maxnorm=": lambda: pylstm.clip_by_norm(LSTM.params, maxnorm=3),
    "truncated_bptt has no option k=": lambda: pylstm.truncated_bptt(LSTM, X, losses.huber, k=3),
    "save has no option about_=": lambda: pylstm.save("a", LSTM, about_={}),
    "load has no option certifie=": lambda: pylstm.load("a", certifie=False),
    "backtest has no option holdout=": lambda: forecasting.backtest(MODEL, [1.0], holdout=3, horizon=1),
    "uniform has no option sed=": lambda: LSTM.initialise("uniform", sed=3),
    "SequenceModel.of has no option head_size=": lambda: pylstm.SequenceModel.of(LSTM, 1, head_size=3),
}


@pytest.mark.parametrize("message", UNKNOWN)
def test_an_option_that_is_unknown(message):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}") as caught:
        UNKNOWN[message]()
    assert message.startswith("unknown") or "; did you mean " in str(caught.value)


@pytest.mark.parametrize("call", [HEAD, pylstm.MLP(3, [4], 2, seed=0)])
def test_a_map_called_with_an_option_of_a_layer(call):
    with pytest.raises(TypeError, match="the call of a layer has no argument tape="):
        call(Y, tape=False)


def test_too_many_arguments_and_one_given_twice():
    with pytest.raises(TypeError, match=r"^loss takes 3 positional arguments, x, y, weights$"):
        MODEL.loss(ROWS, ROWS, ROWS, ROWS)
    with pytest.raises(TypeError, match=r"^naive: n was given twice, by position and by name$"):
        forecasting.naive([1.0], 3, n=3)


def test_an_error_inside_a_call_is_its_own():
    class Gate(pylstm.Linear):
        def __init__(self, width):
            super().__init__(width, width)
            raise TypeError("of the gate")

    with pytest.raises(TypeError, match=r"^of the gate$"):
        Gate(3)
    with pytest.raises(TypeError, match=r"^Gate needs width: Gate\(width\)$"):
        Gate()
    for made in (LSTM, STACK, HEAD, MODEL, pylstm.Adam(LSTM.params), optim.Plateau(0.1)):
        assert repr(pickle.loads(pickle.dumps(made))) == repr(copy.deepcopy(made)) == repr(made)


KINDS = {
    "cell must be a subclass of pylstm.Cell, got 'lstm'": lambda: cells.derive("lstm"),
    "cell must be a subclass of pylstm.Cell, got 3": lambda: pylstm.certify(3),
    "derivation must be a Derivation, got": lambda: cells.derivation_page(cells.LSTM),
    "task must be a Task, or one of copy, adding": lambda: comparing.compare(["lstm"], 3),
    "settings must be a Settings": lambda: comparing.compare(["lstm"], "adding", 3),
    "delta must be a number, got 'a'": lambda: pylstm.huber(Y, Y, delta="a"),
    "length must be an integer, got 'a'": lambda: comparing.adding("a"),
    "steps must be a number, got 'a'": lambda: comparing.Settings(steps="a"),
    "hidden_size must be an integer, got 'a'": lambda: text.TextSettings(hidden_size="a"),
    "n must be an integer, got 'a'": lambda: forecasting.naive([1.0, 2.0], "a"),
    "max_norm must be a number, got 'a'": lambda: pylstm.clip_by_norm(LSTM.params, "a"),
    "limit must be a number, got 'a'": lambda: pylstm.clip_by_value(LSTM.params, "a"),
    "bound must be a number, got 'a'": lambda: LSTM.initialise("uniform", "a"),
    "gain must be a number, got 'a'": lambda: LSTM.initialise("orthogonal", gain="a"),
    "value must be a number, got 'a'": lambda: LSTM.initialise("gate_bias", "f", "a"),
    "longest must be a number, got 'a'": lambda: LSTM.initialise("chrono", "a"),
    "loss_options must be a dict by name, got 3": lambda: pylstm.SequenceModel("lstm", 2, 3, 1, loss_options=3),
    "table must be a Table, as read_table(path) returns, got int": lambda: datasets.grouped(3),
    "loss must be a function(y, steps) -> (value, dy), got None": lambda: list(pylstm.truncated_bptt(LSTM, X, None, 2)),
    "loss must take two arguments": lambda: list(pylstm.truncated_bptt(LSTM, X, lambda y: 3, 2)),
    "quantiles must be numbers between 0 and 1": lambda: pylstm.quantile_loss(Y, Y, quantiles=["a"]),
    "characters must be a list of characters, got 3": lambda: datasets.Vocabulary(3),
    "model must be a fitted ForecastModel or Fore": lambda: forecasting.backtest(3, [1.0], hold_out=1, horizon=1),
    "hold_out must be an integer": lambda: forecasting.backtest(pylstm.ForecastModel(), [1.0], hold_out="a", horizon=1),
    "rates must be a dict by state, such as {'h': 0.2}": lambda: regularisers.state_dropout(LSTM, X, 3),
    "rate of 'h' must be a number, got 'a'": lambda: regularisers.state_dropout(LSTM, X, {"h": "a"}),
    "factor must be a number, got 'a'": lambda: regularisers.l2_penalty(LSTM.params, "a"),
}


@pytest.mark.parametrize("message", KINDS)
def test_a_thing_of_another_kind(message):
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}"):
        KINDS[message]()


NAMED = {
    "gates": (lambda run: run.gates, "i, f, g, o"),
    "states": (lambda run: run.states, "h, c"),
    "final": (lambda run: run.final, "h, c"),
}


@pytest.mark.parametrize(
    ("name", "options"),
    [*((name, options) for name in NAMED for options in ({}, {"lengths": [5, 3]})), ("final", {"checkpoint": "sqrt"})],
)
def test_what_a_run_does_not_have(name, options):
    of, known = NAMED[name]
    with pytest.raises(KeyError, match=rf"unknown name 'q' \(known: {known}\)"):
        of(LSTM(X, **options))["q"]
    with pytest.raises(KeyError, match=rf"unknown name 0 \(known: {known}\)"):
        of(LSTM(X, **options))[0]


ONLY_MADE = {
    "a Run is what a call of a layer returns: run = layer(x)": [
        lambda: pylstm.Run(), lambda: pylstm.Run(3), lambda: pylstm.Run(*range(6)), lambda: pylstm.Run(*"abcdefg"),
    ],
    "the call of a layer needs x: run = layer(x)": [lambda: LSTM()],
    "the call of a layer takes 2 positional arguments, x and initial": [lambda: LSTM(X, None, 3)],
    "x must be an array of numbers, got 'abc'": [lambda: LSTM("abc"), lambda: STACK("abc"), lambda: HEAD("abc")],
    "Stage needs name": [lambda: cells.Stage()],
    "set_num_threads needs n": [lambda: pylstm.set_num_threads()],
    "tanh needs x: tanh(x)": [lambda: pylstm.tanh()],
    "tanh: x must be an array of numbers, got 'a'": [lambda: pylstm.tanh("a")],
    "maximum: b must be an array of numbers, got None": [lambda: pylstm.maximum(1.0, None)],
    "zoneout has no option rat=": [lambda: regularisers.zoneout(LSTM, X, rat=0.1)],
    "sunspots has no option year=": [lambda: datasets.sunspots(year=1)],
}  # fmt: skip


@pytest.mark.parametrize("message", ONLY_MADE)
def test_calls_of_records_functions_and_layers(message):
    for call in ONLY_MADE[message]:
        with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
            call()


def test_the_signature_of_a_call():
    assert list(inspect.signature(LSTM).parameters)[:3] == ["x", "initial", "aux"]
    assert inspect.signature(LSTM).parameters["x"].default is inspect.Parameter.empty
    for net in (STACK, HEAD):
        assert next(iter(inspect.signature(net).parameters)) == "x"


UNFITTED = [pylstm.ForecastModel(), pylstm.ClassifyModel(["a", "b"])]
if find_spec("sklearn") is not None:
    UNFITTED += [pylstm.SequenceClassifier(), pylstm.SequenceRegressor(), pylstm.Forecaster()]


@pytest.mark.parametrize("model", UNFITTED, ids=lambda model: type(model).__name__)
def test_what_a_model_does_not_have_before_the_fit(model):
    names = [name for name in dir(type(model)) if isinstance(getattr(type(model), name, None), property)]
    lacking = [name for name in names if not hasattr(model, name)]
    assert {"parts", "metadata"} <= set(lacking)
    for name in lacking:
        with pytest.raises(ValueError, match=r"not (been )?fitted"):
            getattr(model, name)


def test_other_arrays_by_name():
    for found in (STACK(X).final, RUN.backward(Y).initial, LSTM.stream().state):
        with pytest.raises(KeyError, match=r"unknown name 'q' \(known: h, c\)"):
            found["q"]
        assert isinstance(found, dict) and list(found) == ["h", "c"] and found.get("q") is None


ARRAYS = {
    "LSTM": lambda: pylstm.LSTM(X, 3),
    "LSTM's hidden_size": lambda: pylstm.LSTM(2, X),
    "GRU's num_layers": lambda: pylstm.GRU(2, 3, X),
    "Linear": lambda: pylstm.Linear(X, 3),
    "MLP": lambda: pylstm.MLP(X, (2,), 3),
    "Embedding": lambda: pylstm.Embedding(X, 3),
    "stream": lambda: LSTM.stream(X),
    "naive": lambda: pylstm.naive(ROWS, X),
    "seasonal_naive": lambda: pylstm.seasonal_naive(ROWS, X, 3),
    "split_by_class": lambda: datasets.split_by_class(ROWS, [0, 1], X),
    "adding": lambda: comparing.adding(X),
    "copy": lambda: comparing.copy(X),
}


@pytest.mark.parametrize("call", ARRAYS)
def test_an_array_where_one_number_belongs(call):
    with pytest.raises((TypeError, ValueError), match=r"must be|needs|takes") as caught:
        ARRAYS[call]()
    assert "truth value" not in str(caught.value) and "index" not in str(caught.value)


def test_context_managers_name_what_they_need():
    with pytest.raises(TypeError, match=r"^drop_connect needs layer and rate: drop_connect\(layer, rate\)"):
        regularisers.drop_connect()
    with pytest.raises(TypeError, match=r"^drop_connect has no option trainings=: .*did you mean training=\?$"):
        regularisers.drop_connect(LSTM, 0.5, trainings=True)
    with pytest.raises(TypeError, match=r"^followed needs trainer: followed\(trainer\)"):
        pylstm.training.followed()


STREAM, DEEP = LSTM.stream(2), STACK.stream(2)
ELSEWHERE = {
    'no attribute f: it is a dict, write ["f"]': (AttributeError, lambda: RUN.gates.f),
    'no attribute c: it is a dict, write ["c"]': (AttributeError, lambda: STACK(X).final.c),
    "no attribute q$": (AttributeError, lambda: RUN.states.q),
    "a Stack can be neither indexed nor iterated over: its layers are stack.layers[0]": (TypeError, lambda: STACK[0]),
    "a Stack can be neither indexed": (TypeError, lambda: list(STACK)),
    "its layers are layer.forward, layer.reverse": (
        TypeError,
        lambda: pylstm.Bidirectional(LSTM, pylstm.LSTM(2, 3))[0],
    ),
    "step needs x_t, the input of one step": (TypeError, lambda: STREAM.step()),
    "step needs x_t, the input of one step:": (TypeError, lambda: DEEP.step()),
    "feed needs chunk, the input of some steps": (TypeError, lambda: STREAM.feed()),
    "feed needs chunk, the input of some steps:": (TypeError, lambda: DEEP.feed()),
    "buffer of its own: [each.flat for each in model.params]": (AttributeError, lambda: MODEL.params.flat),
    "params[0] is that of one layer": (AttributeError, lambda: MODEL.params.names),
}


@pytest.mark.parametrize("message", ELSEWHERE)
def test_what_other_libraries_write(message):
    kind, call = ELSEWHERE[message]
    with pytest.raises(kind, match=re.escape(message).replace(r"\$", "$")):
        call()


def test_a_dict_by_name_is_copied_and_pickled():
    for made in (copy.deepcopy(RUN.final), copy.copy(RUN.final), pickle.loads(pickle.dumps(RUN.final))):
        assert type(made) is type(RUN.final) and np.array_equal(made["h"], RUN.final["h"]) and not hasattr(made, "h")
    assert [each.flat.size for each in copy.deepcopy(MODEL.params)] == [each.flat.size for each in MODEL.params]


CHAR = text.CharModel(datasets.Vocabulary("ab"), hidden_size=3)
RAW = {
    "a CheckpointedRun is what a layer returns": lambda: pylstm.CheckpointedRun(LSTM, X, 1, 1, 1, 1),
    "layer must be a single layer such as": lambda: pylstm.Stream(3),
    "layer must be a Recurrent, Stack or Bid": lambda: regularisers.input_dropout(3, X, 0.5),
    "x must be an array, got None": lambda: regularisers.input_dropout(LSTM, None, 0.5),
    "x must have shape (T, B, input_size)": lambda: regularisers.zoneout(LSTM, 3, {"h": 0.5}),
    "x must have shape (T, B, input_size) or": lambda: regularisers.state_dropout(LSTM, [1.0], {"h": 0.5}),
    "targets must have shape (n, B), got ()": lambda: CHAR.chunk([[1]], 3),
    "targets must be an array of numbers": lambda: CHAR.chunk([[1]], "abc"),
    "train must be indices of shape (N,)": lambda: text.bigram_bits(3, np.array([0, 1]), 2),
    "validation must be an array, got None": lambda: text.bigram_bits(np.array([0, 1]), None, 2),
}


@pytest.mark.parametrize("message", RAW)
def test_a_number_or_none_where_an_array_belongs(message):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        RAW[message]()
