"""JAX for `formulas_beside`."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.scipy.linalg import block_diag as block_diagonal  # noqa: F401

stack = jnp.stack
broadcast = jnp.broadcast_to


def array(values):
    return jnp.array(values, dtype="float64")


def across(op, a, width, groups):
    if op in ("row_sum", "row_max", "logsumexp"):
        made = {"row_sum": jnp.sum, "row_max": jnp.max, "logsumexp": jax.nn.logsumexp}[op]
        return made(a.reshape(*a.shape[:-1], width, -1), axis=-1)
    if op == "fill":
        return jnp.repeat(a, width // a.shape[-1], axis=-1)
    pieces = a.reshape(*a.shape[:-1], groups, -1)
    if op == "tile":
        return jnp.tile(pieces, width // a.shape[-1]).reshape(*a.shape[:-1], width)
    if op == "fold":
        return pieces.reshape(*pieces.shape[:-1], -1, width // groups).sum(axis=-2).reshape(*a.shape[:-1], width)
    made = {
        "softmax": jax.nn.softmax,
        "cumsum": jnp.cumsum,
        "rcumsum": lambda b, axis: jnp.cumsum(b[..., ::-1], axis)[..., ::-1],
    }
    return made[op](pieces, axis=-1).reshape(a.shape)


OPERATIONS = {
    "add": jnp.add, "sub": jnp.subtract, "mul": jnp.multiply, "div": jnp.divide, "neg": jnp.negative, "abs": jnp.abs,
    "max": jnp.maximum, "min": jnp.minimum, "where": jnp.where, "relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh, "exp": jnp.exp, "expm1": jnp.expm1, "log": jnp.log, "log1p": jnp.log1p, "sqrt": jnp.sqrt,
    "softplus": jax.nn.softplus, "power": jnp.power, "sin": jnp.sin, "cos": jnp.cos, "lt": jnp.less, "gt": jnp.greater,
    "stop": jax.lax.stop_gradient,
}  # fmt: skip
