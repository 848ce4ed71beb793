"""JAX in a job: the whole step, Adam and clipping included, in one compiled function around `lax.scan`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .tasks import BATCHES, CLIP, LEARNING_RATE, Job

DATA = ("x", "y", "indices")


def train(job: Job) -> Callable[[int], list[float]]:
    """Trains for so many steps more; their losses."""
    import jax
    from jax import numpy as jnp

    params, forward = _params(job), _forward(job)
    averages = jax.tree.map(jnp.zeros_like, (params, params))
    batches = [tuple(map(jnp.asarray, each)) for each in job.batches()]
    zeros = _zeros(job)
    states, number = zeros, 0

    def loss_of(params: Any, x: Any, y: Any, states: Any) -> Any:
        out, states = forward(params, x, states)
        found = jnp.take_along_axis(jax.nn.log_softmax(out), y[..., None], axis=-1)
        return -found.mean(), states

    def step(params: Any, averages: Any, n: Any, x: Any, y: Any, states: Any) -> Any:
        (loss, states), grads = jax.value_and_grad(loss_of, has_aux=True)(params, x, y, states)
        params, averages = adam(params, averages, clipped(grads), n)
        return params, averages, loss, states

    compiled = jax.jit(step, donate_argnums=(0, 1))

    def run(steps: int) -> list[float]:
        nonlocal params, averages, states, number
        losses = []
        for _ in range(steps):
            x, y = batches[number % BATCHES]
            params, averages, loss, states = compiled(params, averages, number + 1.0, x, y, states)
            losses.append(float(loss))
            number += 1
            states = states if job.task.text and number % BATCHES else zeros
        return losses

    return run


def infer(job: Job) -> Callable[[], np.ndarray]:
    """Outputs of the head for the first batch."""
    import jax

    forward, params, x, zeros = jax.jit(_forward(job)), _params(job), jax.numpy.asarray(job.batch(0)[0]), _zeros(job)
    return lambda: np.asarray(forward(params, x, zeros)[0])


def clipped(grads: Any) -> Any:
    """Scaled to a norm of at most `CLIP`."""
    import jax
    from jax import numpy as jnp

    norm = jnp.sqrt(sum(jnp.sum(each**2) for each in jax.tree.leaves(grads)))
    return jax.tree.map(lambda g: g * jnp.minimum(1, CLIP / norm), grads)


def adam(params: Any, averages: Any, grads: Any, n: Any) -> Any:
    """Parameters and averages (of gradients, of squares) after step n = 1, 2, ..."""
    import jax
    from jax import numpy as jnp

    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, averages[0], grads)
    second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, averages[1], grads)

    def moved(p: Any, m: Any, v: Any) -> Any:
        return p - LEARNING_RATE * (m / (1 - 0.9**n)) / (jnp.sqrt(v / (1 - 0.999**n)) + 1e-8)

    return jax.tree.map(moved, params, first, second), (first, second)


def _params(job: Job) -> dict[str, Any]:
    from jax import numpy as jnp

    return {name: jnp.asarray(array) for name, array in job.arrays.items() if name not in DATA}


def _zeros(job: Job) -> Any:
    from jax import numpy as jnp

    zeros = jnp.zeros((job.task.B, job.task.H), "float32")
    return (zeros,) if job.cell == "gru" else (zeros, zeros)


def _forward(job: Job) -> Callable[[Any, Any, Any], Any]:
    """Outputs of the head, and states, from parameters, x and states."""
    import jax

    text, cell = job.task.text, {"lstm": lstm, "gru": gru, "formula": formula}[job.cell]

    def forward(params: Any, x: Any, states: Any) -> Any:
        x = params["embedding"][x] if text else x.swapaxes(0, 1)
        states, y = jax.lax.scan(lambda states, z: cell(params, states, z), states, x @ params["W"].T + params["b"])
        return (y if text else y[-1]) @ params["head_weight"].T + params["head_bias"], states

    return forward


def lstm(params: Any, states: Any, z_x: Any) -> Any:
    """A step: states and output from what x adds to the gates."""
    from jax import nn
    from jax import numpy as jnp

    h, c = states
    z_i, z_f, z_g, z_o = jnp.split(z_x + h @ params["U"].T, 4, axis=-1)
    c = nn.sigmoid(z_f) * c + nn.sigmoid(z_i) * jnp.tanh(z_g)
    h = nn.sigmoid(z_o) * jnp.tanh(c)
    return (h, c), h


def gru(params: Any, states: Any, z_x: Any) -> Any:
    """A step of PyTorch's GRU."""
    from jax import nn
    from jax import numpy as jnp

    (h,) = states
    x_r, x_z, x_n = jnp.split(z_x, 3, axis=-1)
    h_r, h_z, h_n = jnp.split(h @ params["U"].T, 3, axis=-1)
    z = nn.sigmoid(x_z + h_z)
    n = jnp.tanh(x_n + nn.sigmoid(x_r + h_r) * (h_n + params["b_m"]))
    h = (1 - z) * n + z * h
    return (h,), h


def formula(params: Any, states: Any, z_x: Any) -> Any:
    """A step of the LSTM with peepholes."""
    from jax import nn
    from jax import numpy as jnp

    h, c = states
    z_i, z_f, z_g, z_o = jnp.split(z_x + h @ params["U"].T, 4, axis=-1)
    i, f = nn.sigmoid(z_i + params["p_i"] * c), nn.sigmoid(z_f + params["p_f"] * c)
    c = f * c + i * jnp.tanh(z_g)
    h = nn.sigmoid(z_o + params["p_o"] * c) * jnp.tanh(c)
    return (h, c), h
