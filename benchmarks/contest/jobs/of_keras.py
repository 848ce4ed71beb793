"""Keras on PyTorch in a job: `train_on_batch`, or where states are carried over a loop of one's own.

The formula is a cell in `keras.layers.RNN`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .tasks import BATCHES, CLIP, COMPARED, GATES, LEARNING_RATE, PEEPHOLES, Job, second_bias_trained

ORDER = {"lstm": (0, 1, 2, 3), "gru": (1, 0, 2), "formula": (0, 1, 2, 3)}
"""PyTorch's gates in the order of Keras."""


def train(job: Job) -> Callable[[int], list[float]]:
    """Trains for so many steps more; their losses."""
    import keras

    model = _model(job)
    optimiser = keras.optimizers.Adam(LEARNING_RATE, epsilon=1e-8, global_clipnorm=CLIP)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    train_batch = (_carrying if job.task.text else _compiled)(model, optimiser, loss_of)
    batches, step, hook = [_rows_first(job, *each) for each in job.batches()], 0, _hook(job, model)

    def run(steps: int) -> list[float]:
        nonlocal step
        losses = []
        for _ in range(steps):
            losses.append(train_batch(*batches[step % BATCHES], first=step % BATCHES == 0))
            step += 1
            if step == COMPARED and hook:
                hook.remove()
        return losses

    return run


def infer(job: Job) -> Callable[[], np.ndarray]:
    """Outputs of the head for the first batch."""
    import keras

    model = _model(job)
    x = _rows_first(job, *job.batch(0))[0]
    if not job.task.text:
        return lambda: model.predict_on_batch(x)
    model = keras.Model(model.inputs, model.outputs[0])
    zeros = [np.zeros((job.task.B, job.task.H), "f4")] * (len(model.inputs) - 1)
    return lambda: model.predict_on_batch([x, *zeros]).swapaxes(0, 1)


def _compiled(model: Any, optimiser: Any, loss_of: Any) -> Callable[..., float]:
    """A step of a compiled model."""
    model.compile(optimiser, loss_of)

    def train_batch(x: np.ndarray, y: np.ndarray, first: bool) -> float:
        model.reset_metrics()
        return float(model.train_on_batch(x, y))

    return train_batch


def _carrying(model: Any, optimiser: Any, loss_of: Any) -> Callable[..., float]:
    """A step of a loop of one's own: a layer with ``stateful=True`` cannot be trained on PyTorch."""
    import torch

    zeros = [torch.zeros(each.shape) for each in model.inputs[1:]]
    states = zeros

    def train_batch(x: np.ndarray, y: np.ndarray, first: bool) -> float:
        nonlocal states
        out, *after = model([torch.from_numpy(x), *(zeros if first else states)], training=True)
        loss = loss_of(torch.from_numpy(y), out)
        model.zero_grad()
        loss.backward()
        gradients = [weight.value.grad for weight in model.trainable_weights]
        with torch.no_grad():
            optimiser.apply(gradients, model.trainable_weights)
        states = [each.detach() for each in after]
        return loss.item()

    return train_batch


def _hook(job: Job, model: Any) -> Any:
    """Holds the second bias of a GRU where it adds to the first, while losses are compared."""
    import torch

    if job.cell != "gru":
        return None
    bias = model.get_layer("layer").cell.bias.value
    factors = torch.from_numpy(_ordered(job, second_bias_trained(job))).to(bias.device)
    return bias.register_hook(lambda gradient: torch.stack([gradient[0], gradient[1] * factors]))


def _rows_first(job: Job, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keras takes (B, T) of a text, too."""
    return (np.ascontiguousarray(x.T), np.ascontiguousarray(y.T)) if job.task.text else (x, y)


def _model(job: Job) -> Any:
    """From x to the outputs of the head; of a text from x and states to outputs and states."""
    import keras

    task, layers = job.task, keras.layers
    x = keras.Input(batch_shape=(task.B, task.T) if task.text else (task.B, task.T, task.I))
    states = [keras.Input(batch_shape=(task.B, task.H)) for _ in range(1 if job.cell == "gru" else 2)]
    features = layers.Embedding(task.K, task.I)(x) if task.text else x
    options = {"return_sequences": task.text, "return_state": task.text, "name": "layer"}
    if job.cell == "formula":
        layer = layers.RNN(_formula(task.H), **options)
    else:
        layer = {"lstm": layers.LSTM, "gru": layers.GRU}[job.cell](task.H, **options)
    head = layers.Dense(task.K)
    if task.text:
        y, *after = layer(features, initial_state=states)
        model = keras.Model([x, *states], [head(y), *after])
    else:
        model = keras.Model(x, head(layer(features)))
    model.set_weights([*([job["embedding"]] if task.text else []), *_layer_weights(job), *_head_weights(job)])
    return model


def _head_weights(job: Job) -> list[np.ndarray]:
    return [job["head_weight"].T, job["head_bias"]]


def _layer_weights(job: Job) -> list[np.ndarray]:
    """Kernel (I, G H), recurrent kernel (H, G H), bias: (G H,), of a GRU (2, G H); peepholes."""
    bias = _ordered(job, job["b"])
    if job.cell == "gru":
        bias = np.stack([bias, np.concatenate([np.zeros(2 * job.task.H, "f4"), job["b_m"]])])
    more = [job[name] for name in PEEPHOLES] if job.cell == "formula" else []
    return [_ordered(job, job["W"]).T, _ordered(job, job["U"]).T, bias, *more]


def _ordered(job: Job, array: np.ndarray) -> np.ndarray:
    """Blocks of PyTorch's gates in the order of Keras."""
    blocks = array.reshape(GATES[job.cell], job.task.H, *array.shape[1:])
    return blocks[list(ORDER[job.cell])].reshape(array.shape)


def _formula(units: int) -> Any:
    """The LSTM with peepholes as a cell."""
    import keras
    from keras import ops

    class Formula(keras.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.units, self.state_size, self.output_size = units, [units, units], units

        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(shape=(shape[-1], 4 * units), name="kernel")
            self.recurrent = self.add_weight(shape=(units, 4 * units), name="recurrent")
            self.bias = self.add_weight(shape=(4 * units,), name="bias")
            self.p_i, self.p_f, self.p_o = (self.add_weight(shape=(units,), name=name) for name in PEEPHOLES)

        def call(self, x: Any, states: Any) -> Any:
            h, c = states
            z = ops.matmul(x, self.kernel) + ops.matmul(h, self.recurrent) + self.bias
            z_i, z_f, z_g, z_o = ops.split(z, 4, axis=-1)
            i, f = ops.sigmoid(z_i + self.p_i * c), ops.sigmoid(z_f + self.p_f * c)
            c = f * c + i * ops.tanh(z_g)
            h = ops.sigmoid(z_o + self.p_o * c) * ops.tanh(c)
            return h, [h, c]

    return Formula()
