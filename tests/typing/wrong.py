"""What type checkers must report: where they do not, they report the comment as one without use. Never run."""

import numpy as np

import pylstm

x = np.zeros((7, 2, 3), "float32")
layer = pylstm.LSTM(3, 8)
run = layer(x)
grads = run.backward(run.y)
model = pylstm.SequenceModel("lstm", 3, 8, 2)

# names that do not exist
print(pylstm.nonsense)  # type: ignore[attr-defined]  # pyright: ignore
print(layer.hidden)  # type: ignore[attr-defined]  # pyright: ignore
print(run.yy)  # type: ignore[attr-defined]  # pyright: ignore
print(pylstm.SequenceClassifier().nonsense)  # type: ignore[attr-defined]  # pyright: ignore
print(grads.weights)  # type: ignore[attr-defined]  # pyright: ignore

# options that do not exist
pylstm.LSTM(3, 8, nonsense=True)  # type: ignore[call-overload]  # pyright: ignore
pylstm.GRU(3, 8, proj_size=2)  # type: ignore[call-overload]  # pyright: ignore
pylstm.Trainer(model, [x], lrr=3)  # type: ignore[call-arg]  # pyright: ignore
pylstm.optim.Plateau(0.1, patiense=3)  # type: ignore[call-arg]  # pyright: ignore
pylstm.Adam(layer.params, learning_rate=0.1)  # type: ignore[call-arg]  # pyright: ignore
pylstm.fit(model, (x, x), nonsense=1)  # type: ignore[call-arg]  # pyright: ignore
layer(x, mask=x)  # type: ignore[call-overload]  # pyright: ignore
pylstm.Stack([layer])(x, mask=x)  # type: ignore[arg-type]  # pyright: ignore

# values that are not legal
pylstm.LSTM(3.5, 8)  # type: ignore[call-overload]  # pyright: ignore
pylstm.LSTM(3, 8, dtype="float16")  # type: ignore[call-overload]  # pyright: ignore
pylstm.RNN(3, 8, nonlinearity="nonsense")  # type: ignore[call-overload]  # pyright: ignore
pylstm.MLP(3, (8,), 2, "nonsense")  # type: ignore[arg-type]  # pyright: ignore
pylstm.huber(run.y, run.y, reduction="nonsense")  # type: ignore[arg-type]  # pyright: ignore
pylstm.SequenceModel("lstm", 3, 8, 2, loss="nonsense")  # type: ignore[arg-type]  # pyright: ignore
pylstm.SequenceModel("lstm", 3, 8, 2, read="first")  # type: ignore[arg-type]  # pyright: ignore
pylstm.SequenceModel("lstm", 3, 8, 2, reads="last")  # type: ignore[call-arg]  # pyright: ignore
pylstm.ForecastModel("gru", windw=3)  # type: ignore[call-arg]  # pyright: ignore
pylstm.ClassifyModel(["a", "b"], hiden_size=3)  # type: ignore[call-arg]  # pyright: ignore
pylstm.ForecastModel(loss="ctc")  # type: ignore[arg-type]  # pyright: ignore
pylstm.Stack(layer)  # type: ignore[arg-type]  # pyright: ignore
pylstm.SequenceClassifier(max_epochs=2)  # type: ignore[call-arg]  # pyright: ignore
pylstm.SequenceRegressor(hiden_size=2)  # type: ignore[call-arg]  # pyright: ignore
pylstm.Forecaster(windw=3)  # type: ignore[call-arg]  # pyright: ignore
pylstm.SequenceClassifier(epochs="3")  # type: ignore[arg-type]  # pyright: ignore
pylstm.certify("lstm")  # type: ignore[arg-type]  # pyright: ignore
pylstm.certify(3)  # type: ignore[arg-type]  # pyright: ignore
pylstm.cells.derive("lstm")  # type: ignore[arg-type]  # pyright: ignore
pylstm.cells.derivation_page("lstm")  # type: ignore[arg-type]  # pyright: ignore
pylstm.fit(layer, (x, x))  # type: ignore[arg-type]  # pyright: ignore
pylstm.fit_lbfgs(layer, (x, x))  # type: ignore[arg-type]  # pyright: ignore
pylstm.Trainer(layer, (x, x))  # type: ignore[arg-type]  # pyright: ignore
pylstm.save("a", 3)  # type: ignore[arg-type]  # pyright: ignore
pylstm.interop.torch.state_dict(3)  # type: ignore[arg-type]  # pyright: ignore
pylstm.interop.keras.get_weights(pylstm.Linear(3, 2))  # type: ignore[arg-type]  # pyright: ignore
pylstm.comparing.compare(["lstm"], "nonsense")  # type: ignore[arg-type]  # pyright: ignore
pylstm.comparing.compare([3], "adding")  # type: ignore[list-item]  # pyright: ignore
layer.initialise("orthogonl")  # type: ignore[arg-type]  # pyright: ignore
layer.params = x  # type: ignore[assignment]  # pyright: ignore
layer.input_size = "3"  # type: ignore[assignment]  # pyright: ignore
pylstm.LSTM(3, 8, bidirectionall=True)  # type: ignore[call-overload]  # pyright: ignore
pylstm.LSTM(3, 8, proj_size=2.5)  # type: ignore[call-overload]  # pyright: ignore
pylstm.RNN(3, 8, proj_size=2)  # type: ignore[call-overload]  # pyright: ignore
pylstm.SequenceClassifier(loss="softmax_cross_entropy")  # type: ignore[call-arg]  # pyright: ignore
pylstm.SequenceClassifier(optimiser="nonsense")  # type: ignore[arg-type]  # pyright: ignore
pylstm.SequenceClassifier(schedule="linear")  # type: ignore[arg-type]  # pyright: ignore
pylstm.SequenceRegressor(read="first")  # type: ignore[arg-type]  # pyright: ignore
pylstm.SequenceRegressor(activation="gelu")  # type: ignore[arg-type]  # pyright: ignore
pylstm.SequenceRegressor(frozen=3)  # type: ignore[arg-type]  # pyright: ignore
pylstm.Forecaster(fill="mean")  # type: ignore[arg-type]  # pyright: ignore

# what is no array: texts (NumPy would take them), numbers, nothing
layer("x")  # type: ignore[arg-type]  # pyright: ignore
layer(3)  # type: ignore[call-overload]  # pyright: ignore
layer(["x", "y"])  # type: ignore[list-item]  # pyright: ignore
layer(x, {"h": "zeros"})  # type: ignore[dict-item]  # pyright: ignore
layer(x, lengths="7")  # type: ignore[arg-type]  # pyright: ignore
run.backward("dy")  # type: ignore[arg-type]  # pyright: ignore
layer.stream(2).step("x")  # type: ignore[arg-type]  # pyright: ignore
pylstm.Linear(3, 2)("x")  # type: ignore[arg-type]  # pyright: ignore
pylstm.mean_squared_error("y", x)  # type: ignore[arg-type]  # pyright: ignore
pylstm.softmax_cross_entropy(x, "targets")  # type: ignore[arg-type]  # pyright: ignore
model.predict("x")  # type: ignore[arg-type]  # pyright: ignore
pylstm.SequenceClassifier().fit(3, [0])  # type: ignore[arg-type]  # pyright: ignore
pylstm.SequenceClassifier().fit(x, 3)  # type: ignore[arg-type]  # pyright: ignore
pylstm.SequenceClassifier().predict(3)  # type: ignore[arg-type]  # pyright: ignore
pylstm.SequenceRegressor().predict(run)  # type: ignore[arg-type]  # pyright: ignore
pylstm.ClassifyModel(["a", "b"]).predict(3)  # type: ignore[arg-type]  # pyright: ignore
pylstm.ForecastModel().fit("flow.csv")  # type: ignore[arg-type]  # pyright: ignore
pylstm.naive("abc", 3)  # type: ignore[arg-type]  # pyright: ignore

# what a run, gradients and parameters are not: a pair, an array, a dict
y, states = layer(x)  # type: ignore[misc]  # pyright: ignore
model(x)  # type: ignore[operator]  # pyright: ignore
layer(run)  # type: ignore[call-overload]  # pyright: ignore
run[0]  # type: ignore[index]  # pyright: ignore
grads["weight_x"]  # type: ignore[index]  # pyright: ignore
grads + grads  # type: ignore[operator]  # pyright: ignore
layer(grads.params)  # type: ignore[call-overload]  # pyright: ignore
layer(pylstm.Sequences(x, [7, 7]))  # type: ignore[call-overload]  # pyright: ignore

# losses that do not exist
pylstm.SequenceRegressor(loss="nonsense")  # type: ignore[arg-type]  # pyright: ignore
pylstm.Forecaster(loss="nonsense")  # type: ignore[arg-type]  # pyright: ignore
pylstm.LSTM(3, 8, seed=1.5)  # type: ignore[call-overload]  # pyright: ignore
