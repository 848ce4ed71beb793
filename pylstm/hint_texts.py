"""`HINTS`: names of PyTorch, Keras and scikit-learn, and what to write instead."""

from __future__ import annotations

from pylstm.hint_options import CPU as _CPU
from pylstm.hint_options import OPTIONS

_DTYPE = "dtype='float64' chooses the dtype when a layer is made"
_MODEL_DTYPE = "the dtype is chosen when the model is made: SequenceModel(..., dtype='float64')"
_ZERO = "gradients do not accumulate: every run.backward(dy) returns new ones, so leave it out"
_FROM_RUN = "runs have backward: run = layer(x); grads = run.backward(dy), where value, dy = loss(run.y, target)"
_BY_NAME = "layer.params has the arrays by name: list(layer.params); layer.params[name] = array sets one"
_ONE_BY_NAME = (
    "arrays are in layer.params by name, such as layer.params['weight_x']; layer.params[name] = array sets one"
)
_TORCH_NAMES = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
_TORCH_NAME = f"{_BY_NAME}; pylstm.interop.torch.state_dict(layer) has PyTorch's names"
_MODES = "it computes the same in training and evaluation; only a Stack has modes, for its dropout"
_CALL = "call the layer itself: run = layer(x); run.y"
_FREEZE = "layer.params.freeze() holds all parameters, by name some; layer.params.unfreeze() trains them again"
_SAVED = "pylstm.save(path, it) writes a file, pylstm.load(path) reads it"
_BOTH = {
    "to": f"{_DTYPE}; {_CPU}",
    "cuda": _CPU,
    "cpu": _CPU,
    "device": _CPU,
    "float": _DTYPE,
    "double": _DTYPE,
    "half": f"{_DTYPE}, or 'float32'",
    "requires_grad_": _FREEZE,
    "save": _SAVED,
    "save_weights": _SAVED,
    "state_dict": _SAVED,
    "load_state_dict": "pylstm.load(path) reads what pylstm.save(path, it) wrote",
    "get_config": "its repr shows how it was made; pylstm.save(path, it) writes all of it",
}
_TRAINING = "pylstm.SequenceModel.of(layer, output_size) puts a head on it, pylstm.fit(model, (x, y)) trains that"
_TRAINING_MAP = "it is trained as the head of a model: pylstm.SequenceModel('lstm', 3, 8, 2, head_sizes=[16])"
_RUN_OF_EACH = "a run of several layers has the run of each: run.layers[0]"

_RECURRENT = {
    **dict.fromkeys(("fit", "compile"), _TRAINING),
    "predict": "call the layer itself: run = layer(x, tape=False); run.y",
    "get_weights": f"{_BY_NAME}; pylstm.interop.keras.get_weights(layer) is Keras' list",
    "set_weights": "pylstm.interop.keras.load_weights(layer, weights) takes Keras' list",
    "state_dict": "pylstm.save(path, layer) writes a file; pylstm.interop.torch.state_dict(layer) is PyTorch's",
    "load_state_dict": "pylstm.interop.torch.load_state_dict(layer, state_dict) takes PyTorch's",
    "apply": "layer.initialise('orthogonal', seed=0) sets initial values; docs/initialisers-and-regularisers.md",
    "reset_states": "a call begins with zeros unless initial= is given; stream.reset() begins a stream anew",
    "num_layers": "more than one layer is a Stack: len(stack.layers)",
    "modules": "a Stack has its layers in stack.layers; one layer has no parts",
    "children": "a Stack has its layers in stack.layers; one layer has no parts",
    "hidden": "a call returns a run: run = layer(x); run.final['h']",
    "final": "a call returns a run: run = layer(x); run.final['h']",
    **dict.fromkeys((*_TORCH_NAMES, "recurrent_kernel"), _TORCH_NAME),
}

HINTS: dict[str, dict[str, str]] = {
    "layer": _BOTH
    | {
        "zero_grad": _ZERO,
        "backward": _FROM_RUN,
        "named_parameters": "params.items() are names and arrays",
        "trainable_variables": "params has all parameters",
        "trainable_weights": "params has all parameters",
        "parameters": "layer.params has all parameters, in one buffer: pylstm.Adam(layer.params)",
        **dict.fromkeys(("weights", "get_weights", "set_weights", "weight", "kernel"), _BY_NAME),
        **dict.fromkeys(("train", "eval"), _MODES),
        **dict.fromkeys(("forward", "call", "predict"), _CALL),
        "count_params": "layer.params.flat.size is the number of parameters",
        "flatten_parameters": "parameters lie in one buffer, layer.params.flat: leave it out",
        "modules": "one layer has no parts",
        "children": "one layer has no parts",
        "build": "a layer is made with its sizes: leave it out",
        "share_memory": "pickle copies a layer to another process; pylstm.save(path, layer) writes a file for all",
        "register_backward_hook": "grads = run.backward(dy) returns all gradients, as grads.params",
        "y": "a call returns a run: run = layer(x); run.y",
    },
    "map": {
        **dict.fromkeys(("fit", "compile"), _TRAINING_MAP),
        "units": "layer.out_features is the width of the output",
        "input_size": "layer.in_features is the width of the input",
        "register_forward_hook": _CALL,
    },
    "embedding": {
        **dict.fromkeys(("fit", "compile"), "pylstm.SequenceModel(..., vocabulary=50) has one below its layers"),
        "units": "layer.features is the width of the output",
        "num_embeddings": "layer.count is the number of vectors",
        "embedding_dim": "layer.features is the width of the output",
        "from_pretrained": "layer.params['weight'][...] = array sets the table",
        "register_forward_hook": _CALL,
    },
    "single": _RECURRENT
    | {
        **dict.fromkeys(("weights", "weight", "kernel", "recurrent_kernel"), _ONE_BY_NAME),
        **dict.fromkeys(_TORCH_NAMES, f"{_ONE_BY_NAME}; pylstm.interop.torch.state_dict(layer) has PyTorch's names"),
        "predict_step": "stream = layer.stream(); stream.step(x_t) is one step",
        "units": "layer.hidden_size is the number of units",
        "register_forward_hook": "a run has all values of all steps: run = layer(x); run.states, run.gates",
        "states": "a call returns a run: run = layer(x); run.states['h']",
        "gates": "a call returns a run: run = layer(x); run.gates",
    },
    "composite": _RECURRENT
    | {
        "units": "layer.output_size is the width of the output",
        "hidden_size": "layer.output_size is the width of the output",
        "predict_step": "where all layers have one direction, stack.stream() takes one step at a time",
        **dict.fromkeys(("states", "gates", "register_forward_hook"), f"run = layer(x); {_RUN_OF_EACH}"),
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
        "grad": "grads = run.backward(dy) returns the gradients, grads.params those of the parameters",
    },
    "run": {
        "h_n": "run.final has every state after the last step: run.final['h']",
        "c_n": "run.final has every state after the last step: run.final['c']",
        "hidden": "run.final has every state after the last step, run.states after every step",
        "last_hidden_state": "run.final['h'] is the state after the last step, run.y the output of every step",
        "h": "run.final['h'] is the state after the last step, run.states['h'] after every step",
        "c": "run.final['c'] is the state after the last step, run.states['c'] after every step",
        "loss": "a run has no targets: value, dy = loss(run.y, target), such as pylstm.mean_squared_error",
    },
    "composite run": {
        "h_n": "run.final has every state of every layer after the last step: run.final['h']",
        "c_n": "run.final has every state of every layer after the last step: run.final['c']",
        "hidden": f"run.final has every state of every layer after the last step; {_RUN_OF_EACH}",
        "last_hidden_state": "run.final['h'] is the state after the last step, run.y the output of every step",
        "h": f"run.final['h'] is the state after the last step, of every layer; {_RUN_OF_EACH}",
        "c": f"run.final['c'] is the state after the last step, of every layer; {_RUN_OF_EACH}",
        "states": f"{_RUN_OF_EACH}; that of a single layer has states and gates",
        "gates": f"{_RUN_OF_EACH}; that of a single layer has states and gates",
        "loss": "a run has no targets: value, dy = loss(run.y, target), such as pylstm.mean_squared_error",
    },
    "loss": {
        "backward": "a loss is (value, dy), and backward a method of the run: grads = run.backward(dy)",
        "item": "a loss is (value, dy), and value a Python float",
        "detach": "a loss is (value, dy), and value a Python float",
        "grad": "a loss is (value, dy), and dy its derivative with respect to the outputs",
    },
    "gradients": {
        "flat": "grads.params has the gradients of the parameters: grads.params.flat",
        "keys": "grads.params has the gradients of the parameters by name",
        "items": "grads.params has the gradients of the parameters by name: grads.params.items()",
        "zero_grad": _ZERO,
        "clip": "pylstm.clip_by_norm(grads.params, 1.0) clips in place",
    },
    "composite gradients": dict.fromkeys(
        ("gates", "states", "emissions"), "each layer of grads.layers has its own, of run.backward(dy, steps=True)"
    ),
    "parameters list": {
        **dict.fromkeys(
            ("flat", "data", "numpy"),
            "every layer has a buffer of its own: [each.flat for each in model.params]; of one layer params[0].flat",
        ),
        **dict.fromkeys(
            ("names", "keys", "items", "values", "shapes"), "params[0] is that of one layer, a dict by name"
        ),
        "size": "sum(each.size for each in model.params) is the number of elements",
        "grad": "gradients are returned, not stored: loss, grads = model.gradients(x, y)",
        "zero_grad": _ZERO,
    },
    "parameters": {
        "data": "params.flat is the buffer, params[name] one array",
        "grad": "gradients are returned, not stored: grads = run.backward(dy); grads.params",
        "shape": "params.shapes has the shape of every array, params.size the number of elements",
        "numel": "params.size is the number of elements",
        "numpy": "params.flat is a NumPy array of all values, params[name] one of them",
        "zero_grad": _ZERO,
        "requires_grad": _FREEZE,
        "detach": "params.flat is a NumPy array: leave it out",
        **dict.fromkeys(
            ("weight_x", "weight_h", "weight", "bias"), "params[name] is an array, and list(params) are the names"
        ),
    },
    "optimiser": {
        "zero_grad": _ZERO,
        "minimize": "optimiser.step(grads.params) takes gradients: grads = run.backward(dy)",
        "apply_gradients": "optimiser.step(grads.params) is one step",
        "apply": "optimiser.step(grads.params) is one step",
        "param_groups": "an optimiser has one rate, optimiser.lr = 1e-4: other rates need another optimiser",
        "add_param_group": "pass all parameters at once: pylstm.Adam([layer.params, head.params])",
        "learning_rate": "optimiser.lr is the rate",
        "state": "optimiser.state_dict() is the state",
    },
    "model": _BOTH
    | {
        "to": f"{_MODEL_DTYPE}; {_CPU}",
        "float": _MODEL_DTYPE,
        "double": _MODEL_DTYPE,
        "half": f"{_MODEL_DTYPE} (or 'float32')",
        "named_parameters": "model.parts has the layers by name: model.parts['layer'].params.items()",
        "layers": "model.parts has the layers by name",
        "modules": "model.parts has the layers by name",
        "children": "model.parts has the layers by name",
        "set_weights": "model.parts has the layers by name: model.parts['layer'].params[name] = array sets one array",
        "load_state_dict": "pylstm.load(path) reads a file; pylstm.interop.torch.load_state_dict takes one layer",
        "forward": "model.predict(x) returns the outputs",
        "train": "it has no dropout and computes the same in training and evaluation",
        "eval": "it has no dropout and computes the same in training and evaluation",
    },
    "trainable": {
        "zero_grad": "gradients do not accumulate: every model.gradients(x, y) returns new ones, so leave it out",
        "backward": "loss, grads = model.gradients(x, y) returns the gradients of all parameters",
        "fit": "pylstm.fit(model, (x, y), epochs=10) trains it",
        "compile": "SequenceModel(..., loss=) chooses the loss, pylstm.fit(model, (x, y), optimiser=) the optimiser",
        "evaluate": "model.loss(x, y) is the loss on data",
        "score": "model.loss(x, y) is the loss on data; pylstm.SequenceClassifier and SequenceRegressor have score",
        "partial_fit": "pylstm.fit(model, (x, y), epochs=1) continues from the present parameters",
        "train_on_batch": "loss, grads = model.gradients(x, y); optimiser.step(grads)",
        "parameters": "model.params has the parameters of all layers: pylstm.Adam(model.params)",
        "trainable_variables": "model.params has the parameters of all layers",
        "trainable_weights": "model.params has the parameters of all layers",
        "weights": "model.params has the parameters of all layers, model.parts the layers",
        "get_weights": "model.params has the parameters of all layers, model.parts the layers",
        "predict_proba": "the outputs are logits: softmax of model.predict(x); pylstm.SequenceClassifier has it",
        "optimizer": "an optimiser belongs to the fit: pylstm.fit(model, (x, y), optimiser=pylstm.Adam(model.params))",
    },
    "fitted model": {
        **dict.fromkeys(
            ("params", "parameters", "weights", "get_weights", "trainable_variables", "trainable_weights"),
            "model.net is the trained net: model.net.params has its parameters, model.parts its layers",
        ),
        **dict.fromkeys(("loss", "evaluate", "gradients"), "model.net is the trained net: it has loss and gradients"),
        "partial_fit": "every fit begins anew; pylstm.fit(model.net, (x, y)) trains the net on",
        **dict.fromkeys(("optimizer", "compile"), "fit takes optimiser=, schedule=, lr= and clip="),
    },
    "history": {
        "history": "history.loss, history.validation_loss and history.lr are lists, a value for each epoch",
        "val_loss": "history.validation_loss is the list",
        "epoch": "len(history.loss) is the number of epochs",
    },
    "plateau": {
        "step": "plateau.observe(loss) records a loss, plateau.lr is the rate",
        "get_last_lr": "plateau.lr is the rate",
    },
    "trainer": {
        "fit": "trainer.run() trains; pylstm.fit(model, data) makes a trainer and runs it",
        "train": "trainer.run() trains",
    },
    "module": {
        "nn": "layers are in pylstm itself: pylstm.LSTM, pylstm.Linear",
        "layers": "layers are in pylstm itself: pylstm.LSTM, pylstm.Linear",
        "Dense": "pylstm.Linear(in_features, out_features) is an affine map, pylstm.MLP several",
        "SimpleRNN": "pylstm.RNN(input_size, hidden_size) is the plain recurrent layer",
        "Sequential": "pylstm.Stack([...]) stacks recurrent layers, pylstm.SequenceModel adds a head",
        "Model": "pylstm.SequenceModel is recurrent layers and a head",
        "Module": "a model is any object with params and gradients: docs/training.md",
        "Dropout": "dropout acts between the layers of a stack: pylstm.LSTM(3, 8, num_layers=2, dropout=0.2)",
        "LSTMCell": "stream = pylstm.LSTM(3, 8).stream(); stream.step(x_t) is one step",
        "GRUCell": "stream = pylstm.GRU(3, 8).stream(); stream.step(x_t) is one step",
        "RNNCell": "stream = pylstm.RNN(3, 8).stream(); stream.step(x_t) is one step",
        "MSELoss": "pylstm.mean_squared_error(y, target) returns value and cotangent",
        **dict.fromkeys(("mse", "l2_loss"), "pylstm.mean_squared_error(y, target) returns value and cotangent"),
        **dict.fromkeys(
            ("mae", "l1_loss"), "pylstm.quantile_loss(y, target, quantiles=(0.5,)) is half of the absolute error"
        ),
        **dict.fromkeys(("bce", "binary_cross_entropy"), "pylstm.sigmoid_cross_entropy(logits, targets) is it"),
        **dict.fromkeys(("nll", "nll_loss"), "pylstm.softmax_cross_entropy(logits, targets) is it"),
        "mse_loss": "pylstm.mean_squared_error(y, target) returns value and cotangent",
        "CrossEntropyLoss": "pylstm.softmax_cross_entropy(logits, targets) returns value and cotangent",
        "cross_entropy": "pylstm.softmax_cross_entropy(logits, targets) returns value and cotangent",
        "BCELoss": "pylstm.sigmoid_cross_entropy(logits, targets) returns value and cotangent",
        "NLLLoss": "pylstm.softmax_cross_entropy(logits, targets) returns value and cotangent",
        "HuberLoss": "pylstm.huber(y, target, delta=1.0) returns value and cotangent",
        "SmoothL1Loss": "pylstm.huber(y, target, delta=1.0) returns value and cotangent",
        "L1Loss": "pylstm.quantile_loss(y, target, quantiles=(0.5,)) is half of the absolute error",
        "GaussianNLLLoss": "pylstm.gaussian_likelihood(y, target) returns value and cotangent",
        "EarlyStopping": "pylstm.fit(..., validation=0.1, patience=5) stops early and restores the best parameters",
        "ModelCheckpoint": "pylstm.fit(..., checkpoint='run.checkpoint', resume=True) writes one and resumes from it",
        "ReduceLROnPlateau": "pylstm.fit(model, data, schedule=pylstm.optim.Plateau(0.01, patience=5))",
        "Plateau": "pylstm.optim.Plateau(0.01, patience=5) is it",
        "ExponentialLR": "pylstm.fit(model, data, schedule=lambda step: 0.01 * 0.99**step)",
        "OneCycleLR": (
            "pylstm.optim.warm_up(pylstm.optim.cosine(0.01, steps=1000), 100) rises and falls: "
            "pylstm.fit(model, data, schedule=)"
        ),
        "Flatten": "SequenceModel(..., read='last') has its head on one step; arrays have x.reshape(len(x), -1)",
        "LayerNorm": "no layer normalises: standardise the inputs, (x - x.mean(axis=(0, 1))) / x.std(axis=(0, 1))",
        "BatchNorm1d": "no layer normalises: standardise the inputs, (x - x.mean(axis=(0, 1))) / x.std(axis=(0, 1))",
        "softmax": "losses take logits; pylstm.SequenceClassifier.predict_proba returns probabilities",
        "GridSearchCV": "that of sklearn.model_selection takes pylstm.SequenceClassifier() and other estimators",
        "StepLR": "pylstm.fit(model, data, schedule=pylstm.optim.step_decay(0.01, every=1000))",
        "CosineAnnealingLR": "pylstm.fit(model, data, schedule=pylstm.optim.cosine(0.01, steps=1000))",
        "LambdaLR": "pylstm.fit(model, data, schedule=lambda step: 0.01 * 0.99**step)",
        "LBFGS": "pylstm.fit_lbfgs(model, (x, y)) trains with L-BFGS",
        "Callback": "pylstm.fit(..., callbacks=[function]): each is called with the trainer after every epoch",
        "callbacks": "pylstm.fit(..., callbacks=[function]): each is called with the trainer after every epoch",
        "lr_scheduler": "pylstm.optim has cosine, step_decay, Plateau: pylstm.fit(..., schedule=)",
        "optimizers": "pylstm.Adam, AdamW, SGD and RMSProp are the optimisers",
        "Masking": "layer(x, lengths=[7, 3]) takes rows of different lengths, a SequenceModel pylstm.Sequences",
        "TimeDistributed": "SequenceModel(..., read='every') has its head on every step",
        "to_categorical": "labels are integers, not one-hot rows: pylstm.softmax_cross_entropy",
        "pad_sequences": "pylstm.Sequences.of(list_of_arrays) holds rows of different lengths",
        "BCEWithLogitsLoss": "pylstm.sigmoid_cross_entropy(logits, targets) returns value and cotangent",
        "CTCLoss": "pylstm.ctc_loss(logits, targets) returns value and cotangent",
        "tensor": "pylstm takes NumPy arrays: np.asarray(values, dtype='float32')",
        "Tensor": "pylstm takes NumPy arrays",
        "from_numpy": "pylstm takes NumPy arrays",
        "no_grad": "layer(x, tape=False) keeps nothing for a backward pass",
        "load_model": "pylstm.load(path) reads what pylstm.save(path, model) wrote",
        "save_model": "pylstm.save(path, model)",
        "keras": "layers are in pylstm itself: pylstm.LSTM, pylstm.Linear",
        "set_seed": "every layer has its own seed: pylstm.LSTM(3, 8, seed=0)",
        "set_random_seed": "every layer has its own seed: pylstm.LSTM(3, 8, seed=0)",
        "seed_everything": "every layer has its own seed: pylstm.LSTM(3, 8, seed=0)",
        "manual_seed": "every layer has its own seed: pylstm.LSTM(3, 8, seed=0)",
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
    "estimator": {
        "partial_fit": "warm_start=True makes fit continue from the previous net, as pylstm.fit(model, data) does",
    },
} | OPTIONS
"""Kind of thing -> name that it does not have -> what to write instead."""
