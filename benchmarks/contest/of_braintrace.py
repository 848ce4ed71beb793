"""BrainTrace, learning online: gradients of the same nets, with the same parameters, compiled by JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .online_problems import Problem

METHODS = ("D_RTRL", "SnAp", "pp_prop", "BPTT")
"""D_RTRL: without products with states, what e-prop is here; SnAp: of order 1; pp_prop: with a decay of 0.99."""

Gradient = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def gradient_of(method: str, problem: Problem, layer: Any, head: Any, rows: int) -> Gradient:
    """``f(x, target)``: outputs of the scored steps, and the gradient by parameters of `layer` and `head`.

    The parameters are read anew at each call.
    """
    import brainstate
    import jax
    from jax import numpy as jnp

    net = _net(problem, layer)
    weights = net.states(brainstate.ParamState)
    late = problem.steps - problem.scored
    grads, dhead = layer.params.zeros_like(), head.params.zeros_like()

    def loss_of(out: Any, target: Any) -> Any:
        if not problem.classes:
            return jnp.mean((out - target) ** 2)
        return -jnp.take_along_axis(jax.nn.log_softmax(out), target[:, None], 1).mean()

    @brainstate.transform.jit
    def run(x: Any, target: Any) -> Any:
        return _run(method, net, weights, x, target, late, rows, loss_of)

    def gradient(x: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        for name, (blocks, bias) in places(problem.cell, layer.params, head.params).items():
            value = {"weight": jnp.asarray(np.hstack(blocks).T)}
            getattr(net, name).weight.value = value if bias is None else value | {"bias": jnp.asarray(bias)}
        found, y = run(jnp.asarray(x), jnp.asarray(target))
        of = {id(state): found[key] for key, state in weights.items()}
        for name, (blocks, bias) in places(problem.cell, grads, dhead).items():
            at, each = 0, of[id(getattr(net, name).weight)]
            for block in blocks:
                block[...] = np.asarray(each["weight"]).T[:, at : at + block.shape[1]]
                at += block.shape[1]
            if bias is not None:
                bias[...] = each["bias"]
        return np.asarray(y), np.concatenate([grads.flat, dhead.flat])

    return gradient


def _run(method: str, net: Any, weights: Any, x: Any, target: Any, late: int, rows: int, loss_of: Any) -> Any:
    """Gradient and outputs, of the mean over the scored steps."""
    import brainstate
    import braintrace

    if method == "BPTT":
        brainstate.nn.init_all_states(net, batch_size=rows)

        def whole() -> Any:
            brainstate.transform.for_loop(net.update, x[:late]) if late else None
            y = brainstate.transform.for_loop(net.update, x[late:])
            return brainstate.transform.for_loop(loss_of, y, target).mean(), y

        return brainstate.transform.grad(whole, weights, has_aux=True)()
    options: dict[str, Any] = {"pp_prop": {"decay_or_rank": 0.99}, "SnAp": {"n": 1}}.get(method, {})
    options = options | {"vjp_method": "multi-step"}  # with "single-step" the head has a gradient of 0
    learner = braintrace.compile(net, getattr(braintrace, method), x[0], batch_size=rows, **options)
    if late:
        learner.etrace_evolve(x[:late])

    def step(x_t: Any, target_t: Any) -> Any:
        out = learner(x_t)
        return loss_of(out, target_t), out

    return learner.etrace_grad(x[late:], target, step_fn=step, reduction="mean", has_aux=True)


def places(cell: str, p: Any, head: Any) -> dict[str, tuple[list[np.ndarray], np.ndarray | None]]:
    """Linear map of the net -> the matrices in `p` that it has side by side, and its bias: views."""
    found: dict[str, Any] = {"head": ([head["weight"]], head["bias"])}
    W, b = p["weight_x"], p["bias"] if cell != "alif" else None
    if cell == "alif":
        return found | {"i": ([W, p["weight_s"]], None)}
    H = len(W) // (2 if cell == "mingru" else 3)
    first, second, third = (slice(k * H, (k + 1) * H) for k in range(3))
    if cell == "mingru":
        return found | {"u": ([W[first]], b[first]), "n": ([W[second]], b[second])}
    U = p["weight_h"]
    gates = {"r": ([W[first], U[first]], b[first]), "z": ([W[second], U[second]], b[second])}
    return found | gates | {"m": ([U[third]], b[third]), "n": ([W[third]], b[3 * H :])}


def _net(problem: Problem, layer: Any) -> Any:
    """The cell and a dense head, of linear maps."""
    import brainstate
    import braintrace
    from jax import numpy as jnp

    H, step = layer.output_size, {"mingru": _mingru, "gru": _gru, "alif": _alif}[problem.cell]
    head = {"weight": np.zeros((problem.outputs, H)), "bias": np.zeros(problem.outputs)}

    class Net(brainstate.nn.Module):  # type: ignore[misc]
        options = layer.cell.contract.options

        def __init__(self) -> None:
            super().__init__()
            for name, (blocks, bias) in places(problem.cell, layer.params, head).items():
                out, width = len(blocks[0]), sum(block.shape[1] for block in blocks)
                linear = brainstate.nn.Linear if name == "head" else braintrace.nn.Linear
                setattr(self, name, linear(width, out, **({"b_init": None} if bias is None else {})))

        def init_state(self, batch_size: int | None = None, **_: Any) -> None:
            for name in layer.cell.contract.states:
                zeros = jnp.zeros((batch_size, H) if batch_size else (H,))
                setattr(self, "_" + name, brainstate.HiddenState(zeros))

        def update(self, x: Any) -> Any:
            return self.head(step(self, x))

    return Net()


def _mingru(net: Any, x: Any) -> Any:
    """A step of `pylstm_zoo`'s mingru."""
    import jax

    u = jax.nn.sigmoid(net.u(x))
    net._h.value = (1 - u) * net._h.value + u * net.n(x)
    return net._h.value


def _gru(net: Any, x: Any) -> Any:
    """A step of `pylstm_gru`'s gru, reset after the product."""
    import jax
    from jax import numpy as jnp

    h = net._h.value
    both = jnp.concatenate([x, h], -1)
    r, z = jax.nn.sigmoid(net.r(both)), jax.nn.sigmoid(net.z(both))
    net._h.value = (1 - z) * jnp.tanh(net.n(x) + r * net.m(h)) + z * h
    return net._h.value


def _alif(net: Any, x: Any) -> Any:
    """A step of `pylstm_zoo`'s alif: the spikes have a declared derivative."""
    import jax
    from jax import numpy as jnp

    @jax.custom_jvp
    def fired(over: Any) -> Any:
        return (over > 0).astype(over.dtype)

    @fired.defjvp
    def _along(at: Any, along: Any) -> Any:
        return fired(*at), o["dampening"] * jnp.maximum(0, 1 - jnp.abs(at[0])) * along[0]

    o, s = net.options, net._s.value
    v = o["decay"] * net._v.value + net.i(jnp.concatenate([x, s], -1)) - o["threshold"] * s
    a = o["memory"] * net._a.value + s
    net._s.value, net._v.value, net._a.value = fired((v - o["threshold"] - o["lift"] * a) / o["threshold"]), v, a
    return net._s.value
