"""What type checkers must see in right code, without any report. Never run; `tests/test_typing.py` has it checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, assert_type

import numpy as np
from numpy.typing import NDArray

import pylstm

Floats = NDArray[np.floating[Any]]
x = np.zeros((7, 2, 3), "float32")


def layers(number: int) -> None:
    assert_type(pylstm.LSTM(3, 8), pylstm.LSTM)
    assert_type(pylstm.LSTM(3, 8, 1, proj_size=4, dtype="float64"), pylstm.LSTM)
    assert_type(pylstm.GRU(3, 8, reset_after=False, dtype=np.float64, seed=0), pylstm.GRU)
    assert_type(pylstm.RNN(3, 8, nonlinearity="relu", bidirectional=False), pylstm.RNN)
    assert_type(pylstm.Recurrent("cornn", 3, 8, dt=0.1, learn_initial=["h"]), pylstm.Recurrent)
    assert_type(pylstm.LSTM(3, 8, num_layers=2, residual=True, dropout=0.1), pylstm.Stack)
    assert_type(pylstm.GRU(3, 8, 3, batch_first=True), pylstm.Stack)
    assert_type(pylstm.RNN(3, 8, bidirectional=True), pylstm.Stack)
    assert_type(pylstm.Recurrent("lstm", 3, 8, num_layers=2, bidirectional=True), pylstm.Stack)
    assert_type(pylstm.LSTM(3, 8, number), pylstm.LSTM | pylstm.Stack)
    both = pylstm.Bidirectional(pylstm.LSTM(3, 8), pylstm.GRU(3, 8))
    assert_type(pylstm.Stack([both, pylstm.LSTM(16, 8)]).eval(), pylstm.Stack)


class Leaky(pylstm.Cell):
    """A cell: its functions are static, and may say so."""

    states = ("h",)
    gates = {"a": "x+h"}
    params = ("rate",)
    options = {"bound": 1.0}

    @staticmethod
    def forward(z: Any, prev: Any, p: Any, o: Any) -> dict[str, Any]:
        return {"h": prev.h + pylstm.sigmoid(p.rate) * (o.bound * pylstm.tanh(z.a) - prev.h)}


class Annotated(pylstm.Cell):
    """Without the decorator, as pages write it: Pyright's strict mode alone asks for a parameter named `self`."""

    states = ("h",)
    gates = {"a": "x+h"}
    keep = ("r",)

    def forward(z: Any, prev: Any) -> dict[str, Any]:  # pyright: ignore[reportSelfClsParameterName]
        return {"a": pylstm.tanh(z.a), "h": prev.h}

    def backward(d: Any, y: Any) -> dict[str, Any]:  # pyright: ignore[reportSelfClsParameterName]
        return {"a": d.h * (1 - y.a**2)}


def cells() -> None:
    pylstm.register(Leaky)
    print(pylstm.certify(Leaky).ok, pylstm.Recurrent(Leaky, 3, 8, bound=2.0)(x).y, Leaky.with_options(bound=0.5))
    pylstm.Recurrent(Annotated, 3, 8)


class Mine(pylstm.LSTM):
    """A class derived from one of those that may return a `Stack`."""

    def __init__(self, input_size: int) -> None:
        super().__init__(input_size, 8, seed=0)


class Chosen(pylstm.Recurrent):
    """With other arguments than its base, and none in the same place."""

    def __init__(self, *, widths: tuple[int, int]) -> None:
        super().__init__("gru", *widths, dropout=0.0)


class Same(pylstm.GRU):
    """Without an `__init__` of its own."""


def derived() -> None:
    assert_type(Mine(3), Mine)
    assert_type(Mine(3)(x).y, Floats)
    assert_type(Chosen(widths=(3, 8)), Chosen)
    assert_type(Same(3, 8), Same)
    assert_type(Same(3, 8, 2), pylstm.Stack)


def seeds() -> None:
    for seed in (np.int64(3), np.uint8(1), 4):
        pylstm.LSTM(3, 8, seed=seed).reset_parameters(seed)
        pylstm.GRU(3, 8, 2, seed=seed).reset_parameters(seed)
        pylstm.Recurrent("gru", 3, 8, bidirectional=True, seed=seed)
        pylstm.Linear(3, 2, seed=seed)
        pylstm.Stack([pylstm.LSTM(3, 8)], seed=seed).reseed(seed)
        pylstm.SequenceModel("gru", 3, 8, 2, seed=seed)
        pylstm.ForecastModel(seed=seed)
        pylstm.ClassifyModel(["a", "b"], seed=seed)
        pylstm.fit(Own(), (x, x), seed=seed)
        pylstm.SequenceRegressor(loss="huber", random_state=seed)


def runs(layer: pylstm.LSTM, stack: pylstm.Stack) -> None:
    assert_type(layer.input_size, int)
    assert_type(layer.initialise("orthogonal"), pylstm.LSTM)
    run = layer(x, {"h": np.zeros((2, 8), "float32")}, reset=np.zeros((7, 2), bool))
    assert_type(run, pylstm.Run)
    assert_type(run.y, Floats)
    assert_type(run.final["c"], Floats)
    assert_type(run.states["c"], Floats)
    assert_type(run.gates["f"], Floats)
    ragged = layer(x, lengths=[7, 3])
    assert_type(ragged.lengths, NDArray[np.intp])
    assert_type(ragged.y, Floats)
    assert_type(layer(x, checkpoint="64 MB"), pylstm.Run)  # a plain one where the whole tape is in the budget
    deep = stack(x, lengths=np.array([7, 3]))
    assert_type(deep.y, Floats)
    assert_type(deep.final["h"], Floats)
    assert_type(deep.backward(deep.y).params, pylstm.Parameters)


def gradients(run: pylstm.Run) -> None:
    grads = run.backward(run.y, dfinal={"c": run.final["c"]})
    assert_type(grads, pylstm.Gradients)
    assert_type(grads.x, Floats)
    assert_type(grads.initial["h"], Floats)
    assert_type(grads.params["weight_h"], Floats)
    mapping: Mapping[str, Floats] = grads.params
    assert_type(grads.params + grads.params * 0.5, pylstm.Parameters)
    assert_type(pylstm.clip_by_norm(grads.params, 1.0), float)
    print(mapping)


def streams(layer: pylstm.GRU, stack: pylstm.Stack) -> None:
    assert_type(layer.stream(), pylstm.Stream)
    assert_type(layer.stream(2).step(x[0]), Floats)
    assert_type(layer.stream(2).state["h"], Floats)
    assert_type(stack.stream(2).feed(x), Floats)
    stream, deep = layer.stream(2), stack.stream(2)
    stream.state, deep.state = layer(x).final, stack(x).final
    aux = {"dt": x[0, :, :1]}
    stream.step(x[0], aux=aux)
    stream.feed(x, aux={"dt": x[..., :1]})


def heads(run: pylstm.Run) -> None:
    head = pylstm.Linear(8, 2)
    out = head(run.y)
    assert_type(out.y, Floats)
    assert_type(head.out_features, int)
    value, dy = pylstm.softmax_cross_entropy(out.y, np.zeros((7, 2), "int64"), reduction="sum")
    number: float = value
    assert_type(dy, Floats)
    assert_type(out.backward(dy).x, Floats)
    assert_type(pylstm.MLP(8, (16,), 2, "tanh")(run.y).y, Floats)
    assert_type(pylstm.Embedding(10, 4)([[3, 1]]).y, Floats)
    print(number)


def optimisers(layer: pylstm.LSTM, grads: pylstm.Gradients) -> None:
    assert_type(pylstm.optim.Plateau(0.1, patience=2), pylstm.optim.Plateau)
    adam = pylstm.Adam([layer.params], lr=1e-3)
    adam.lr = 1e-4
    assert_type(adam.lr, float)
    assert_type(adam.betas, tuple[float, float])
    adam.step(grads.params)


def models() -> None:
    model = pylstm.SequenceModel("lstm", 3, 8, 2, read="every", loss="softmax_cross_entropy", num_layers=2)
    assert_type(model.predict(x), Floats)
    assert_type(model.predict(pylstm.Sequences(x, [2, 3])), Floats)
    loss, grads = model.gradients(x, np.zeros((7, 2), int))
    assert_type(loss, float)
    assert_type(grads[0]["weight_h"], Floats)
    print(grads / 2, sum([grads, grads]))
    history = pylstm.fit(model, (x, x), epochs=3, clip=None, callbacks=[lambda trainer: trainer.stop()])
    assert_type(history, pylstm.History)
    assert_type(pylstm.ForecastModel("gru", 16, window=24, season=12).fit([1.0, 2.0]), pylstm.History)
    assert_type(pylstm.ClassifyModel(["a", "b"]).predict([x[0]]), NDArray[Any])
    pylstm.ForecastModel("lstmp", proj_size=3, learn_initial=True, residual=True, num_layers=2)
    of_my_cell: dict[str, Any] = {"my_size": 3}
    pylstm.ClassifyModel(["a", "b"], "cornn", dt=0.1, **of_my_cell)


class Own:
    """A model of one's own, to train and to save."""

    def __init__(self) -> None:
        self.layer = pylstm.LSTM(3, 8)
        self.params = self.layer.params

    def gradients(self, x: Floats, y: Floats) -> tuple[float, pylstm.Parameters]:
        run = self.layer(x)
        value, dy = pylstm.mean_squared_error(run.y, y)
        return value, run.backward(dy).params

    @property
    def parts(self) -> dict[str, pylstm.LSTM]:
        return {"layer": self.layer}

    @property
    def metadata(self) -> dict[str, int]:
        return {"size": 3}


class Tensor:
    """Of another library: what NumPy makes an array of."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Floats:
        return x


def taken_for_arrays(layer: pylstm.LSTM) -> None:
    """Lists, tuples, ranges, numbers of NumPy, tensors."""
    steps = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    assert_type(layer(steps), pylstm.Run)
    layer([steps, steps], lengths=range(1, 3))
    layer(Tensor(), {"h": [[0.0] * 8] * 2, "c": Tensor()}, reset=[[True, False]] * 7)
    layer([x[0], x[1]])
    layer([np.array([1.0, 2.0, 3.0]), (4.0, 5.0, 6.0)])
    layer.stream(2).step(((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)))
    pylstm.mean_squared_error([1.0, 2.0], (1.0, 2.5))
    pylstm.huber(np.float32(1), 2.0)
    pylstm.softmax_cross_entropy(x[0], [0, 1], weights=np.ones(2))
    pylstm.Embedding(10, 4)(3)
    pylstm.Sequences.of([[[1.0], [2.0]], np.ones((3, 1))])
    pylstm.naive([1, 2, 3], 2)
    pylstm.ForecastModel().fit([[1.0, 2.0], [3.0]])


def losses() -> None:
    """By the name of the function, and by that of estimators."""
    names: tuple[Literal["ctc", "gaussian", "quantile_loss", "poisson_likelihood"], ...] = ("gaussian", "ctc")
    for name in names:
        pylstm.SequenceModel("lstm", 3, 8, 2, loss=name)
    pylstm.SequenceRegressor(loss="student_t", read="mean", optimiser="sgd", schedule=None, frozen="weight_h")
    pylstm.Forecaster(loss=[0.1, 0.5, 0.9], fill="previous")


def fitted(path: Path) -> None:
    classifier = pylstm.SequenceClassifier(cell=Leaky, read="every", activation="tanh", frozen=["weight_x"])
    assert_type(classifier.fit(x, ["a", "b"]), pylstm.SequenceClassifier)
    assert_type(classifier.partial_fit([x[0], x[1, :1]], [0, 1], classes=[0, 1]), pylstm.SequenceClassifier)
    assert_type(pylstm.SequenceRegressor().fit(path, np.zeros(2), sample_weight=[1, 2]), pylstm.SequenceRegressor)
    assert_type(pylstm.SequenceRegressor().fit(lambda: iter([(x, [0.5, 1.5])])), pylstm.SequenceRegressor)
    assert_type(pylstm.SequenceRegressor().fit("x.npy", [0.5, 1.5]).predict(["x.npy"]), NDArray[Any])
    assert_type(pylstm.Forecaster().fit({"t": [1, 2], "y": [3.0, 4.0]}), pylstm.Forecaster)
    print(classifier.predict(pylstm.Sequences(x, [2, 3])), classifier.predict_proba([[[1.0]], [[2.0], [3.0]]]))


def estimators() -> None:
    classifier = pylstm.SequenceClassifier("gru", 16, epochs=3, dropout=0.1, head_sizes=[8], random_state=0)
    assert_type(classifier, pylstm.SequenceClassifier)
    assert_type(classifier.set_params(epochs=2), pylstm.SequenceClassifier)
    assert_type(classifier.score(x, [0, 1]), float)
    print(classifier.get_params(), classifier.model_, classifier.epochs + 1)


def whole() -> None:
    own, layer, stack = Own(), pylstm.LSTM(3, 8), pylstm.Stack([pylstm.GRU(3, 8)])
    assert_type(pylstm.Trainer(own, (x, x), epochs=3), pylstm.Trainer)
    assert_type(pylstm.fit(own, (x, x)), pylstm.History)
    assert_type(pylstm.fit_lbfgs(own, (x, x)), pylstm.History)
    for each in (own, layer, stack, {"head": pylstm.Linear(3, 2)}, pylstm.SequenceClassifier()):
        pylstm.save("a", each)
    pylstm.interop.torch.load_state_dict(stack, pylstm.interop.torch.state_dict(layer))
    layer.params *= 0.5
    layer.initialise(own.gradients)
    layer.initialise("gate_bias", "f", 1.0)
    pylstm.comparing.compare(["lstm", pylstm.cells.LSTM], "adding", pylstm.comparing.Settings(steps=2))
    print(pylstm.cells.derivation_page(pylstm.cells.derive(pylstm.cells.LSTM)))
    print(pylstm.forecasting.backtest(pylstm.ForecastModel(), [1.0, 2.0], hold_out=1, horizon=1))


def rooms() -> None:
    assert_type(pylstm.get_num_threads(), int)
    print(pylstm.optim.cosine(1e-3, 100), pylstm.losses.huber, pylstm.plugins.registry())
