"""Every cure is code that runs: each expression in the hints of an object is evaluated on such an object."""

from __future__ import annotations

import ast
import functools
import inspect
import re

import numpy as np
import pytest

import pylstm
import pylstm.text
from pylstm import datasets, losses
from pylstm.hint_texts import HINTS
from pylstm.hints import Hint
from pylstm.layers import regularisers
from pylstm.parameter_lists import ParametersList

T, B, I, H = 7, 2, 3, 4
rng = np.random.default_rng(0)
X = rng.normal(size=(T, B, I)).astype("float32")
ROWS = np.ascontiguousarray(X.swapaxes(0, 1))


def layers():
    return {
        "LSTM": pylstm.LSTM(I, H, seed=0),
        "Recurrent": pylstm.Recurrent("lstm", I, H, seed=0),
        "Stack": pylstm.LSTM(I, H, 2, seed=0),
        "Stack of both": pylstm.LSTM(I, H, 2, bidirectional=True, seed=0),
        "Bidirectional": pylstm.LSTM(I, H, bidirectional=True, seed=0),
        "Linear": pylstm.Linear(I, 2, seed=0),
        "MLP": pylstm.MLP(I, (4,), 2, seed=0),
        "Embedding": pylstm.Embedding(6, 2, seed=0),
    }


def input_of(layer):
    return np.zeros((T, B), "i8") if isinstance(layer, pylstm.Embedding) else X


def models():
    series = np.sin(np.arange(60.0))
    forecast = pylstm.ForecastModel("gru", 3, window=8)
    forecast.fit(series, epochs=1)
    classify = pylstm.ClassifyModel(["a", "b"], "gru", 3)
    classify.fit(ROWS, [0, 1], epochs=1)
    text = pylstm.text.CharModel(datasets.Vocabulary.of("abc"), "gru", 3)
    return {"SequenceModel": sequence_model(), "ForecastModel": forecast, "ClassifyModel": classify, "CharModel": text}


def sequence_model():
    return pylstm.SequenceModel("lstm", I, H, 1, seed=0)


def around(layer):
    """What the words of a hint stand for, beside a layer."""
    x = input_of(layer)
    run = layer(x)
    dy = np.ones_like(run.y)
    space = {
        "layer": layer,
        "x": x,
        "x_t": x[0],
        "run": run,
        "dy": dy,
        "grads": run.backward(dy),
        "params": layer.params,
    }
    space |= {"name": next(iter(layer.params)), "array": next(iter(layer.params.values())).copy(), "it": layer}
    space |= {"y": run.y, "target": run.y, "logits": run.y, "targets": np.zeros(run.y.shape[:-1], "i8")}
    space |= {"loss": pylstm.mean_squared_error, "optimiser": pylstm.Adam(layer.params), "model": sequence_model()}
    space |= {"stack": layers()["Stack"], "mask": np.ones((T, B), bool)}
    if hasattr(layer, "recurrents"):
        space["state_dict"] = pylstm.interop.torch.state_dict(layer)
        space |= {"h0": run.final["h"], "c0": run.final["c"]}
        space["weights"] = pylstm.interop.keras.get_weights(layer)
    if hasattr(layer, "stream") and "Bidirectional" not in repr(layer):
        space["stream"] = layer.stream(B)
    elif hasattr(layer, "recurrents"):
        space["stream"] = layers()["Stack"].stream(B)
    return space


def around_model(name, model):
    space = around(layers()["LSTM"]) | {
        "model": model,
        "it": model,
        "x": ROWS,
        "y": np.zeros((B, 1), "f4"),
        "target": np.zeros((B, 1), "f4"),
    }
    if name == "CharModel":
        space |= {"x": np.zeros((B, T), "i8"), "y": np.zeros((B, T), "i8")}
    if name == "ForecastModel":
        space["x"] = 3
    if hasattr(model, "params"):
        space["params"] = model.params
        space |= {"grads": model.gradients(space["x"], space["y"])[1], "optimiser": pylstm.Adam(model.params)}
    return space


def things():
    made = {}
    for name, layer in layers().items():
        space = around(layer)
        made[name] = (layer, space)
        made[f"run of {name}"] = (space["run"], space)
        made[f"gradients of {name}"] = (space["grads"], space)
        made[f"parameters of {name}"] = (layer.params, space)
    for name, model in models().items():
        made[name] = (model, around_model(name, model))
        if isinstance(getattr(model, "params", None), ParametersList):
            made[f"parameters of {name}"] = (model.params, made[name][1] | {"each": model.params[0]})
    model = sequence_model()
    history = pylstm.fit(model, (ROWS, np.zeros((B, 1), "f4")), epochs=1)
    space = {"model": model, "history": history, "layer": model.layer}
    made["history"] = (history, space)
    trainer = pylstm.Trainer(model, (ROWS, np.zeros((B, 1), "f4")), epochs=1)
    made["trainer"] = (trainer, space | {"trainer": trainer})
    made["plateau"] = (plateau := pylstm.optim.Plateau(0.1), {"plateau": plateau, "loss": 0.3})
    layer_space = around(layers()["LSTM"])
    made["optimiser"] = (layer_space["optimiser"], layer_space | {"head": pylstm.Linear(H, 1)})
    loss = pylstm.mean_squared_error(X, X)
    made["loss"] = (loss, layer_space)
    made["value of a loss"] = (loss[0], layer_space)
    return made


MADE = functools.cache(things)
COMMON = {
    "pylstm": pylstm, "np": np, "state_dropout": regularisers.state_dropout, "output_size": 2, "path": "a.safetensors",
    "epochs": 1, "function": print, "list_of_arrays": [X[:, 0], X[:3, 1]], "step": 3, "values": [1.0],
    "input_size": 3, "hidden_size": 4, "in_features": 3, "out_features": 2, "cell": "lstm", "class_weights": np.ones(4),
} | {name: getattr(pylstm, name) for name in ("LSTM", "Linear", "MLP", "SequenceModel", "RNN")}  # fmt: skip
_LEFT = ("fit", "fit_lbfgs", "save", "load", *losses.__all__)
BOUND_ONLY = ("trainer.run", *(f"pylstm.{name}" for name in _LEFT))
"""What writes files, takes long, or needs targets of its own: only that its arguments fit is tested."""
BEGINNING = re.compile(r"(?<![\w.'\"/-])[A-Za-z_]\w*(?=\.[A-Za-z_]|\(|\[)")


def expressions(text):
    """The calls, attributes and elements that a cure writes, each as long as it is."""
    at = 0
    while found := BEGINNING.search(text, at):
        at = found.end()
        for stop in range(len(text), found.end(), -1):
            if re.match(r"\w\w", text[stop - 1 : stop + 1]):
                continue
            try:
                node = ast.parse(text[found.start() : stop], mode="eval").body
            except SyntaxError:
                continue
            if isinstance(node, ast.Call | ast.Attribute | ast.Subscript) and text[stop - 1] not in " .":
                yield text[found.start() : stop]
                at = stop
                break


def test_what_an_expression_is():
    text = (
        "run = layer(x, tape=False); run.y, or layer.params['a'].size and pylstm.fit(..., clip=1.0) , see layers. LSTM"
    )
    expected = ["layer(x, tape=False)", "run.y", "layer.params['a'].size", "pylstm.fit(..., clip=1.0)"]
    assert list(expressions(text)) == expected


def run(expression, space):
    """Evaluate an expression; of a call that leaves something out, or is bound only, check the arguments."""
    space = COMMON | space
    if any(f"pylstm.{name}" in expression for name in pylstm._ESTIMATORS):
        pytest.importorskip("sklearn.base")
    node = ast.parse(expression, mode="eval").body
    calls = [each for each in ast.walk(node) if isinstance(each, ast.Call)]
    left_out = [each for each in calls if "..." in ast.unparse(each)]
    bound = [each for each in calls if ast.unparse(each.func) in BOUND_ONLY]
    for call in {*left_out, *bound}:
        parameters = inspect.signature(eval(ast.unparse(call.func), space)).parameters
        if not any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
            assert {each.arg for each in call.keywords} <= set(parameters), expression
        for each in call.keywords if call in bound else ():
            eval(ast.unparse(each.value), space)
    if not left_out and not bound:
        eval(expression, space)


def hints_of(thing):
    for owner in type(thing).__mro__:
        for name, value in vars(owner).items():
            if isinstance(value, Hint) and inspect.getattr_static(thing, name) is value:
                yield name, value.cure


def cures():
    for kind, (thing, _) in MADE().items():
        for name, cure in hints_of(thing):
            yield from ((kind, name, expression) for expression in expressions(cure))


@pytest.mark.parametrize(("kind", "name", "expression"), list(cures()))
def test_a_cure_runs(kind, name, expression):
    run(expression, MADE()[kind][1])


OPTIONS = {
    "option": ("LSTM", "Stack"), "map option": ("Linear", "MLP"), "embedding option": ("Embedding",),
    "model option": ("SequenceModel",), "call": ("LSTM", "Stack"), "backward": ("LSTM", "Stack", "Linear"),
    "optimiser option": ("optimiser",), "fit option": ("SequenceModel",), "plateau option": ("history",),
    "loss option": ("LSTM",), "module": ("LSTM",), "estimator option": (), "estimator fit": (),
    "schedule option": (), "stream option": ("LSTM", "Stack"), "lbfgs option": (), "compare option": (),
    "argument": ("SequenceModel",), "loss name": (),
}  # fmt: skip


def test_every_kind_of_hint_is_evaluated():
    """Of options by kind; all others by the objects that have them, of which each is here."""
    answered = {cure for thing, _ in MADE().values() for _, cure in hints_of(thing)}
    for kind, cures in HINTS.items():
        assert kind in OPTIONS or kind == "estimator" or answered & set(cures.values()), kind
        if kind not in OPTIONS and kind != "estimator":
            assert set(cures.values()) <= answered | set(HINTS["layer"].values()), kind


@pytest.mark.parametrize(("kind", "thing"), [(kind, each) for kind, things in OPTIONS.items() for each in things])
def test_the_cure_of_an_option_runs(kind, thing):
    space = MADE()[thing][1]
    for name, cure in HINTS[kind].items():
        if thing == "Stack" and name == "recurrent_dropout":
            continue  # the cure names a single layer
        for expression in expressions(cure.replace("sklearn.model_selection", "")):
            run(expression, space)
