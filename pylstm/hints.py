"""What users of PyTorch, Keras and scikit-learn look for and pylstm has under another name: `HINTS`, `Hinted`.

A `Hint` is a descriptor, not a branch of ``__getattr__``: that would make every attribute that exists slower (20 ns),
on the path of each call. It raises AttributeError, so that `hasattr`, `copy` and `pickle` see no attribute.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np

_CPU = "pylstm computes on the CPU: leave it out"
_DTYPE = "the dtype is chosen when a layer is made: LSTM(3, 8, dtype='float64')"
_ZERO = "gradients do not accumulate: every run.backward(dy) returns new ones, so leave it out"
_FROM_RUN = "a run goes back: run = layer(x); grads = run.backward(dy), where value, dy = loss(run.y, target)"
_BY_NAME = "arrays are in layer.params by name, such as layer.params['weight_x']; layer.params[name] = array sets one"
_TORCH_NAME = (
    "params['weight_x'], params['weight_h'] and params['bias'] hold the parameters; "
    "pylstm.interop.torch.state_dict(layer) has PyTorch's names"
)
_BOTH = {
    "to": f"{_DTYPE}; {_CPU}",
    "cuda": _CPU,
    "cpu": _CPU,
    "device": _CPU,
    "float": _DTYPE,
    "double": _DTYPE,
    "half": f"{_DTYPE} (or 'float32')",
    "zero_grad": _ZERO,
    "requires_grad_": "freeze parameters by not giving them to the optimiser",
    "backward": _FROM_RUN,
    "named_parameters": "params.items() are names and arrays",
    "trainable_variables": "params has all parameters",
    "trainable_weights": "params has all parameters",
    "save": "pylstm.save(path, it) writes a file, pylstm.load(path) reads it",
    "save_weights": "pylstm.save(path, it) writes a file, pylstm.load(path) reads it",
    "get_config": "repr() says how it was made; pylstm.save(path, it) writes all of it",
}
_TRAINING = "pylstm.SequenceModel.of(layer, output_size) puts a head on it, pylstm.fit(model, (x, y)) trains that"

HINTS: dict[str, dict[str, str]] = {
    "layer": _BOTH
    | {
        "parameters": "layer.params has all parameters, in one buffer: pylstm.Adam(layer.params)",
        "weights": _BY_NAME,
        "get_weights": f"{_BY_NAME}; pylstm.interop.keras.get_weights(layer) is Keras' list",
        "set_weights": "pylstm.interop.keras.load_weights(layer, weights) takes Keras' list",
        "state_dict": "pylstm.save(path, layer) writes a file; pylstm.interop.torch.state_dict(layer) is PyTorch's",
        "load_state_dict": "pylstm.interop.torch.load_state_dict(layer, state_dict) takes PyTorch's",
        "train": "it computes the same in training and evaluation; only a Stack, which may have dropout, has modes",
        "eval": "it computes the same in training and evaluation; only a Stack, which may have dropout, has modes",
        "forward": "call the layer itself: run = layer(x); run.y",
        "fit": _TRAINING,
        "compile": _TRAINING,
        "predict": "call the layer itself: run = layer(x, tape=False); run.y",
        "predict_step": "stream = layer.stream(); stream.step(x_t) is one step",
        "apply": "layer.initialise('orthogonal', seed=0) sets initial values; docs/initialisers-and-regularisers.md",
        "reset_states": "a call begins with zeros unless initial= is given; a stream has stream.reset()",
        "flatten_parameters": "parameters lie in one buffer, layer.params.flat: leave it out",
        "units": "layer.hidden_size is the number of units",
        "y": "a call returns a run: run = layer(x); run.y",
        "final": "a call returns a run: run = layer(x); run.final['h']",
        "states": "a call returns a run: run = layer(x); run.states['h']",
        "gates": "a call returns a run: run = layer(x); run.gates",
        "weight_ih_l0": _TORCH_NAME,
        "weight_hh_l0": _TORCH_NAME,
        "bias_ih_l0": _TORCH_NAME,
        "bias_hh_l0": _TORCH_NAME,
        "kernel": _BY_NAME,
        "recurrent_kernel": _BY_NAME,
        "weight": _BY_NAME,
    },
    "output": {
        "shape": "run.y is the output: run.y.shape",
        "dtype": "run.y is the output: run.y.dtype",
        "output": "run.y is the output",
        "outputs": "run.y is the output",
        "detach": "run.y is a NumPy array: leave it out",
        "numpy": "run.y is a NumPy array already",
        "sum": "run.y is the output: run.y.sum()",
        "mean": "run.y is the output: run.y.mean()",
        "grad": "grads = run.backward(dy) returns the gradients: grads.x, grads.params",
    },
    "run": {
        "h_n": "run.final has every state after the last step: run.final['h']",
        "c_n": "run.final has every state after the last step: run.final['c']",
        "hidden": "run.final has every state after the last step, run.states after every step",
        "last_hidden_state": "run.final['h'] is the state after the last step, run.y the output of every step",
    },
    "loss": {
        "backward": "a loss is a number, (value, dy): the run goes back, grads = run.backward(dy)",
        "item": "a loss is (value, dy), and value a Python float",
        "detach": "a loss is (value, dy), and value a Python float",
        "grad": "a loss is (value, dy), and dy its derivative by the outputs",
    },
    "gradients": {
        "flat": "grads.params has the gradients of the parameters: grads.params.flat",
        "keys": "grads.params has the gradients of the parameters by name",
        "items": "grads.params has the gradients of the parameters by name: grads.params.items()",
        "zero_grad": _ZERO,
        "clip": "pylstm.clip_by_norm(grads.params, 1.0) clips in place",
    },
    "parameters": {
        "data": "params.flat is the buffer, params[name] one array",
        "grad": "gradients are returned, not stored: grads = run.backward(dy); grads.params",
        "shape": "params.shapes has the shape of every array, params.size the number of elements",
        "numel": "params.size is the number of elements",
        "numpy": "params.flat is a NumPy array of all values, params[name] one of them",
        "zero_grad": _ZERO,
        "requires_grad": "freeze parameters by not giving them to the optimiser",
        "detach": "params.flat is a NumPy array: leave it out",
        "weight_x": "params['weight_x'] is the array",
        "weight_h": "params['weight_h'] is the array",
        "weight": "params['weight'] is the array of a Linear, params['weight_x'] and params['weight_h'] of an LSTM",
        "bias": "params['bias'] is the array",
    },
    "optimiser": {
        "zero_grad": _ZERO,
        "minimize": "optimiser.step(grads.params) takes gradients: grads = run.backward(dy)",
        "apply_gradients": "optimiser.step(grads.params) is one step",
        "apply": "optimiser.step(grads.params) is one step",
        "param_groups": "there is one rate: optimiser.lr = 1e-4; other rates need an optimiser of their own",
        "add_param_group": "pass all parameters at once: pylstm.Adam([layer.params, head.params])",
        "learning_rate": "optimiser.lr is the rate",
        "state": "optimiser.state_dict() is the state",
    },
    "model": _BOTH
    | {
        "fit": "pylstm.fit(model, (x, y), epochs=10) trains it",
        "compile": "SequenceModel(..., loss=) chooses the loss, pylstm.fit(model, (x, y), optimiser=) the optimiser",
        "evaluate": "model.loss(x, y) is the loss on data",
        "score": "model.loss(x, y) is the loss on data; pylstm.SequenceClassifier and SequenceRegressor have score",
        "partial_fit": "pylstm.fit(model, (x, y), epochs=1) goes on from the present parameters",
        "train_on_batch": "loss, grads = model.gradients(x, y); optimiser.step(grads)",
        "parameters": "model.params has the parameters of all layers: pylstm.Adam(model.params)",
        "weights": "model.params has the parameters of all layers, model.parts the layers",
        "get_weights": "model.params has the parameters of all layers, model.parts the layers",
        "set_weights": "model.parts has the layers; pylstm.interop.keras.load_weights(layer, weights) sets one",
        "layers": "model.parts has the layers by name",
        "modules": "model.parts has the layers by name",
        "children": "model.parts has the layers by name",
        "state_dict": "pylstm.save(path, model) writes a file, pylstm.load(path) reads it",
        "load_state_dict": "pylstm.load(path) reads a file; pylstm.interop.torch.load_state_dict takes one layer",
        "forward": "model.predict(x) returns the outputs",
        "predict_proba": "the outputs are logits: softmax of model.predict(x); pylstm.SequenceClassifier has it",
        "train": "it has no dropout and computes the same in training and evaluation",
        "eval": "it has no dropout and computes the same in training and evaluation",
        "optimizer": "an optimiser belongs to the fit: pylstm.fit(model, (x, y), optimiser=pylstm.Adam(model.params))",
    },
    "history": {
        "history": "history.loss, history.validation_loss and history.lr are lists, a value for each epoch",
        "val_loss": "history.validation_loss is the list",
        "epoch": "len(history.loss) is the number of epochs",
    },
    "plateau": {
        "step": "plateau.observe(loss) takes note of a loss, plateau.lr is the rate",
        "get_last_lr": "plateau.lr is the rate",
    },
    "trainer": {
        "fit": "trainer.run() trains; pylstm.fit(model, data) makes a trainer and runs it",
        "train": "trainer.run() trains",
    },
    "module": {
        "nn": "layers are in pylstm itself: pylstm.LSTM, pylstm.Linear",
        "optim": "optimisers are in pylstm itself: pylstm.Adam(layer.params)",
        "layers": "layers are in pylstm itself: pylstm.LSTM, pylstm.Linear",
        "Dense": "pylstm.Linear(in_features, out_features) is an affine map, pylstm.MLP several",
        "SimpleRNN": "pylstm.RNN(input_size, hidden_size) is the plain recurrent layer",
        "Sequential": "pylstm.Stack([...]) puts recurrent layers one on another, pylstm.SequenceModel adds a head",
        "Model": "pylstm.SequenceModel is recurrent layers and a head",
        "Module": "a model is any object with params and gradients(*batch): docs/training.md",
        "Dropout": "dropout acts between the layers of a stack: pylstm.LSTM(3, 8, num_layers=2, dropout=0.2)",
        "LSTMCell": "stream = pylstm.LSTM(3, 8).stream(); stream.step(x_t) is one step",
        "GRUCell": "stream = pylstm.GRU(3, 8).stream(); stream.step(x_t) is one step",
        "RNNCell": "stream = pylstm.RNN(3, 8).stream(); stream.step(x_t) is one step",
        "MSELoss": "pylstm.mean_squared_error(y, target) returns value and cotangent",
        "mse_loss": "pylstm.mean_squared_error(y, target) returns value and cotangent",
        "CrossEntropyLoss": "pylstm.softmax_cross_entropy(logits, targets) returns value and cotangent",
        "cross_entropy": "pylstm.softmax_cross_entropy(logits, targets) returns value and cotangent",
        "BCEWithLogitsLoss": "pylstm.sigmoid_cross_entropy(logits, targets) returns value and cotangent",
        "CTCLoss": "pylstm.ctc_loss(logits, targets) returns value and cotangent",
        "tensor": "pylstm takes NumPy arrays: np.asarray(values, dtype='float32')",
        "Tensor": "pylstm takes NumPy arrays",
        "from_numpy": "pylstm takes NumPy arrays",
        "no_grad": "layer(x, tape=False) keeps nothing for a backward pass",
        "manual_seed": "every layer has a seed of its own: pylstm.LSTM(3, 8, seed=0)",
        "device": _CPU,
        "cuda": _CPU,
        "clip_grad_norm_": "pylstm.clip_by_norm(grads.params, 1.0) clips in place",
        "load_state_dict": "pylstm.interop.torch.load_state_dict(layer, state_dict)",
        "DataLoader": "pylstm.fit(model, (x, y), batch_size=32) makes the batches",
        "pad_sequence": "pylstm.Sequences.of(list_of_arrays) holds rows of different lengths",
        "pack_padded_sequence": "layer(x, lengths=[7, 3]) takes rows of different lengths",
        "RMSprop": "pylstm.RMSProp is the optimiser",
        "Optimizer": "pylstm.Adam, AdamW, SGD and RMSProp are the optimisers",
    },
    "option": {
        "units": "LSTM(input_size, hidden_size) takes both sizes, and hidden_size is the number of units",
        "input_shape": "give the width of the input first: LSTM(input_size, hidden_size)",
        "return_sequences": "run.y is the output of every step, run.final['h'] the last state: leave it out",
        "return_state": "run.final has every state after the last step: leave it out",
        "device": _CPU,
        "activation": "each cell has its own activations; `pylstm cells` lists the cells, RNN has nonlinearity=",
        "recurrent_activation": "each cell has its own activations; `pylstm cells` lists the cells",
        "recurrent_dropout": "give factors on the previous state at each step: layer(x, pre={'h': mask})",
        "go_backwards": "bidirectional=True runs both directions; for the reverse one alone pass x[::-1]",
        "stateful": "pass states on: run = layer(x, initial=run.final)",
        "time_major": "arrays are (T, B, I); batch_first=True makes them (B, T, I)",
        "use_bias": "bias=False makes a layer without biases",
        "kernel_initializer": "layer.initialise('glorot_uniform', seed=0) sets initial values",
        "random_state": "seed= makes the initial parameters repeat",
        "n_layers": "num_layers= is the number of layers",
        "unroll": "leave it out: the loop over time is compiled",
        "optimizer": "an optimiser belongs to the fit: pylstm.fit(model, (x, y), optimiser=pylstm.Adam(model.params))",
        "learning_rate": "an optimiser belongs to the fit: optimiser=pylstm.Adam(model.params, lr=0.01)",
        "unit_forget_bias": "layer.initialise('gate_bias', 'f', 1.0) sets it",
    },
    "optimiser option": {
        "learning_rate": "lr= is the rate",
        "weight_decay": "pylstm.AdamW has weight_decay=",
        "clipnorm": "pylstm.clip_by_norm(grads.params, 1.0) clips, and so does pylstm.fit(..., clip=1.0)",
        "clipvalue": "pylstm.clip_by_value(grads.params, 1.0) clips",
        "beta_1": "betas=(0.9, 0.999) are both",
        "beta_2": "betas=(0.9, 0.999) are both",
        "epsilon": "eps= is the number",
        "rho": "alpha= is the number",
    },
    "fit option": {
        "optimizer": "optimiser=pylstm.Adam(model.params) is the option",
        "lr": "the rate is the optimiser's: optimiser=pylstm.Adam(model.params, lr=0.01)",
        "learning_rate": "the rate is the optimiser's: optimiser=pylstm.Adam(model.params, lr=0.01)",
        "loss": "the loss is the model's: SequenceModel(..., loss='mean_squared_error')",
        "metrics": "callbacks=[function] is called with the trainer after every epoch",
        "verbose": "progress=True shows a bar",
        "validation_split": "validation=0.2 is a share of the rows",
        "validation_data": "validation=(x, y) are other data",
        "sample_weight": "weights are the third array of the data: pylstm.fit(model, (x, y, weights))",
        "early_stopping": "patience=5 stops after so many epochs without a lower validation loss",
        "max_epochs": "epochs= is the number of epochs",
        "max_iter": "epochs= is the number of epochs",
        "random_state": "seed= makes the order of the rows repeat",
        "scheduler": "schedule= is a function of the step, such as pylstm.training.schedules.cosine(0.01, steps=1000)",
    },
}
"""Kind of thing -> name that it does not have -> what to write instead."""


class Hint:
    """A name that a class does not have. Reading it raises AttributeError, with what to write instead."""

    def __init__(self, name: str, cure: str) -> None:
        self.name, self.cure = name, cure

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        kind = type(instance) if owner is None else owner
        raise AttributeError(f"{kind.__name__} has no {self.name}: {self.cure}", name=self.name, obj=instance)


class SetHint(Hint):
    """A name that cannot be set either: ``adam.learning_rate = 0.1`` would change nothing.

    A class derived outside of pylstm may set it on its instances, and then has it.
    """

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        own = getattr(instance, "__dict__", {})
        return own[self.name] if self.name in own else super().__get__(instance, owner)

    def __set__(self, instance: Any, value: Any) -> None:
        if type(instance).__module__.partition(".")[0] == "pylstm":
            self.__get__(instance)
        instance.__dict__[self.name] = value

    def __delete__(self, instance: Any) -> None:
        self.__get__(instance)
        del instance.__dict__[self.name]


SETTABLE = ("optimiser", "plateau", "trainer")
"""Kinds whose attributes are set by users as a matter of course."""


class Hinted:
    """Of a class made with ``class X(Hinted, hints=kind)``, which answers the names of ``HINTS[kind]``."""

    __slots__ = ()

    def __init_subclass__(cls, hints: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, cure in HINTS.get(hints, {}).items():
            if not hasattr(cls, name):
                setattr(cls, name, (SetHint if hints in SETTABLE else Hint)(name, cure))

    def __dir__(self) -> Iterable[str]:
        return [name for name in super().__dir__() if not isinstance(inspect.getattr_static(self, name, None), Hint)]


class Output(Hinted, hints="output"):
    """What a layer returns: neither an array nor a pair, for those who index, unpack or compute with it."""

    __slots__ = ()
    __array_ufunc__ = None

    def __getitem__(self, index: Any) -> NoReturn:
        states = ", run.final['h'] a state after the last step" if hasattr(self, "final") else ""
        raise TypeError(f"a run is neither an array nor a pair (output, states): run.y is the output{states}")

    def __iter__(self) -> NoReturn:  # y, (h, c) = layer(x)
        self[0]

    def __array__(self, *_: Any, **__: Any) -> NoReturn:  # layer(layer(x)), loss(layer(x), target)
        self[0]


class GradientsBase(Hinted, hints="gradients"):
    """What a backward pass returns: shapes in its repr; several add by their `params`."""

    __slots__ = ()
    __array_ufunc__ = None

    def __getitem__(self, index: Any) -> NoReturn:
        raise TypeError(
            "gradients are not a dict: grads.params['weight_x'] is that of a parameter, grads.x that of the input"
        )

    def __iter__(self) -> NoReturn:
        self[0]

    def __add__(self, other: Any) -> NoReturn:
        raise TypeError("gradients of the parameters add and scale: a.params + b.params, a.params * 0.5")

    __radd__ = __sub__ = __mul__ = __rmul__ = __truediv__ = __add__

    def __repr__(self) -> str:
        values = ((each.name, getattr(self, each.name)) for each in dataclasses.fields(self))
        return f"{type(self).__name__}({', '.join(f'{name}={_shapes(value)}' for name, value in values)})"


class LossValue(Hinted, float, hints="loss"):
    """The value of a loss: a float."""

    __slots__ = ()


class Loss(Hinted, tuple[LossValue, np.ndarray], hints="loss"):
    """What a loss returns: the pair of its value and its cotangent."""

    __slots__ = ()

    def __new__(cls, value: float, dy: np.ndarray) -> Loss:
        return super().__new__(cls, (LossValue(value), dy))

    def __reduce__(self) -> Any:
        return Loss, tuple(self)


def _shapes(value: Any) -> str:
    """Shapes in place of arrays."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_shapes(each)}' for name, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_shapes, value))}]"
    return str(value.shape) if isinstance(value, np.ndarray) else repr(value)


def refuse_options(given: Iterable[str], known: Iterable[str], kind: str = "option") -> None:
    """TypeError for an option that another library has; `kind` is one of `HINTS`."""
    for name in given:
        if name in HINTS[kind] and name not in known:
            raise TypeError(f"there is no option {name}=: {HINTS[kind][name]}")
