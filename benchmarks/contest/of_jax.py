"""JAX in the contest: an LSTM by `lax.scan`, the products with the input taken out of the loop, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from .problem import Contestant, Problem, gradients


def prepare(threads: int) -> None:
    """XLA reads how many threads to use from the environment, before it is imported."""


def train(problem: Problem) -> Contestant:
    """Forward, and backward to the input and all weights, in one compiled function."""
    import jax

    def both(weights: Any, x: Any, dy: Any) -> Any:
        y, pull = jax.vjp(lstm, weights, x)
        return y, *pull(dy)

    compiled, weights, x, dy = jax.jit(both), _weights(problem), jax.numpy.array(problem.x), jax.numpy.array(problem.dy)

    def results(found: Any) -> dict[str, np.ndarray]:
        y, grads, dx = found
        state = dict(zip(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"), map(np.asarray, grads)))
        return {"y": np.asarray(y), "dx": np.asarray(dx), **gradients(problem.cell, problem.H, state)}

    return Contestant(lambda: jax.block_until_ready(compiled(weights, x, dy)), results)


def infer(problem: Problem) -> Contestant:
    """Forward only, all outputs."""
    import jax

    compiled, weights, x = jax.jit(lstm), _weights(problem), jax.numpy.array(problem.x)
    return Contestant(lambda: jax.block_until_ready(compiled(weights, x)), lambda y: {"y": np.asarray(y)})


def lstm(weights: Any, x: Any) -> Any:
    """Outputs (T, B, H) of an LSTM with torch's weights (4H, I), (4H, H) and the bias (4H,), from zero states."""
    import jax
    from jax import numpy as jnp

    W, U, b = weights
    zeros = jnp.zeros((x.shape[1], U.shape[1]), x.dtype)

    def step(states: Any, z_x: Any) -> Any:
        h, c = states
        z_i, z_f, z_g, z_o = jnp.split(z_x + h @ U.T, 4, axis=-1)
        c = jax.nn.sigmoid(z_f) * c + jax.nn.sigmoid(z_i) * jnp.tanh(z_g)
        h = jax.nn.sigmoid(z_o) * jnp.tanh(c)
        return (h, c), h

    return jax.lax.scan(step, (zeros, zeros), x @ W.T + b)[1]


def _weights(problem: Problem) -> Any:
    from jax import numpy as jnp

    assert problem.cell == "lstm" and problem.dtype == "float32"
    state = problem.weights
    bias = state["bias_ih_l0"] + state["bias_hh_l0"]
    return tuple(jnp.array(each) for each in (state["weight_ih_l0"], state["weight_hh_l0"], bias))
