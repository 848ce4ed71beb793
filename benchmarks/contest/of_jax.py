"""JAX in the contest, compiled: an LSTM by `lax.scan`, the products with the input taken out of the loop, and a minimal
GRU by the same and by `lax.associative_scan`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .problem import Contestant, Problem, gradients


def prepare(threads: int) -> None:
    """XLA reads how many threads to use from the environment, before it is imported."""


def train(problem: Problem) -> Contestant:
    """Forward, and backward to the input and all weights, in one compiled function."""

    def named(grads: Any) -> dict[str, np.ndarray]:
        state = dict(zip(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"), map(np.asarray, grads)))
        return gradients(problem.cell, problem.H, state)

    return _trained(lstm, problem, _weights(problem), named)


def train_mingru(problem: Problem, associative: bool = False) -> Contestant:
    """The recurrence h = a h- + b of all units, a step after the other."""
    from jax import numpy as jnp

    def forward(weights: Any, x: Any) -> Any:
        return mingru(weights, x, associative)

    def named(grads: Any) -> dict[str, np.ndarray]:
        return {"dweight_x": np.asarray(grads[0]), "dbias": np.asarray(grads[1])}

    params = problem.layer.params
    return _trained(forward, problem, (jnp.array(params["weight_x"]), jnp.array(params["bias"])), named)


def train_mingru_associative(problem: Problem) -> Contestant:
    """The recurrence by composing steps in pairs, pairs of pairs and so on."""
    return train_mingru(problem, associative=True)


def _trained(forward: Any, problem: Problem, weights: Any, named: Any) -> Contestant:
    """`forward` and its backward to the input and all `weights`; `named` gives their gradients by name."""
    import jax

    def both(weights: Any, x: Any, dy: Any) -> Any:
        y, pull = jax.vjp(forward, weights, x)
        return y, *pull(dy)

    compiled, x, dy = jax.jit(both), jax.numpy.array(problem.x), jax.numpy.array(problem.dy)

    def results(found: Any) -> dict[str, np.ndarray]:
        y, grads, dx = found
        return {"y": np.asarray(y), "dx": np.asarray(dx), **named(grads)}

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


def mingru(weights: Any, x: Any, associative: bool) -> Any:
    """Outputs (T, B, H) of h = (1 - u) h- + u n with the rows u, n of (2H, I) and (2H,), from zero states."""
    import jax

    W, b = weights
    z_u, n = jax.numpy.split(x @ W.T + b, 2, axis=-1)
    u = jax.nn.sigmoid(z_u)
    kept, added = 1 - u, u * n
    if associative:
        return jax.lax.associative_scan(lambda f, g: (f[0] * g[0], g[0] * f[1] + g[1]), (kept, added))[1]

    def step(h: Any, now: Any) -> Any:
        h = now[0] * h + now[1]
        return h, h

    return jax.lax.scan(step, jax.numpy.zeros_like(added[0]), (kept, added))[1]


def _weights(problem: Problem) -> Any:
    from jax import numpy as jnp

    assert problem.cell == "lstm" and problem.dtype == "float32"
    state = problem.weights
    bias = state["bias_ih_l0"] + state["bias_hh_l0"]
    return tuple(jnp.array(each) for each in (state["weight_ih_l0"], state["weight_hh_l0"], bias))
