"""Rules of streams that learn, beside their definitions with the Jacobians of steps written down again for PyTorch."""

import numpy as np
import pytest

import pylstm

torch = pytest.importorskip("torch")
I, H, B, T = 3, 4, 2, 7


def gru(P, s, x, cut):
    W, U, b, h = P["weight_x"], P["weight_h"], P["bias"], cut(s)
    r, z = (torch.sigmoid(W[k : k + H] @ x + U[k : k + H] @ h + b[k : k + H]) for k in (0, H))
    n = torch.tanh(W[2 * H :] @ x + b[3 * H :] + r * (U[2 * H :] @ h + b[2 * H : 3 * H]))
    return (1 - z) * n + z * s


def peephole(P, s, x, cut, seen=1):
    h, c = cut(s[:H]), s[H:]
    i, f, g, o = (P["weight_x"] @ x + P["weight_h"] @ h + P["bias"]).split(H)
    p_i, p_f, p_o = (P[f"p_{gate}"] for gate in "ifo") if seen else (0, 0, 0)
    c_new = torch.sigmoid(f + p_f * c) * c + torch.sigmoid(i + p_i * c) * torch.tanh(g)
    return torch.cat([torch.sigmoid(o + p_o * c_new) * torch.tanh(c_new), c_new])


def lstm(P, s, x, cut):
    return peephole(P, s, x, cut, seen=0)


STEPS = {"gru": (gru, 1), "lstm": (lstm, 2), "peephole": (peephole, 2)}


def by_jacobians(cell, layer, online, x, dy, reset):
    """The gradient of every step: E = J E + M, with what a rule leaves out left out."""
    step, S = STEPS[cell]
    flat = torch.tensor(layer.params.flat.astype("float64"))
    shapes, size = layer.params.shapes, layer.params.size
    units = np.concatenate([np.repeat(np.arange(n[0]) % H, np.prod(n[1:], dtype=int)) for n in shapes.values()])
    own = torch.tensor(np.tile(units == np.arange(H)[:, None], (S, 1)).astype("float64"))
    own = torch.ones_like(own) if online == "rtrl" else own
    cut = (lambda h: h.detach()) if online == "eprop" else (lambda h: h)

    def along(flat, s, x_t, cut=lambda h: h):
        parts = flat.split([int(np.prod(shape)) for shape in shapes.values()])
        return step({name: part.reshape(shapes[name]) for name, part in zip(shapes, parts)}, s, x_t, cut)

    found = np.zeros((T, size))
    for b in range(B):
        s, E = torch.zeros(S * H, dtype=flat.dtype), torch.zeros(S * H, size, dtype=flat.dtype)
        for t in range(T):
            s, E = (torch.zeros_like(s), torch.zeros_like(E)) if reset[t, b] else (s, E)
            x_t = torch.tensor(x[t, b].astype("float64"))
            J = torch.func.jacrev(lambda s, x_t=x_t: along(flat, s, x_t, cut))(s)
            M = torch.func.jacrev(lambda flat, s=s, x_t=x_t: along(flat, s, x_t))(flat)
            E, s = own * (J @ E + M), along(flat, s, x_t)
            found[t] += (torch.tensor(dy[t, b].astype("float64")) @ E[:H]).numpy()
    return found


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("online", ["rtrl", "snap1", "eprop"])
@pytest.mark.parametrize("cell", STEPS)
def test_every_step_of_a_stream_with_resets(cell, online, dtype, tmp_path):
    rng = np.random.default_rng(0)
    layer = pylstm.Recurrent(cell, I, H, dtype=dtype, seed=1)
    layer.params.flat[...] = 0.6 * rng.normal(size=layer.params.size)
    x, dy = rng.normal(size=(T, B, I)).astype(dtype), rng.normal(size=(T, B, H)).astype(dtype)
    reset = np.zeros((T, B), bool)
    reset[3, 1] = reset[5] = True
    truth = by_jacobians(cell, layer, online, x, dy, reset)
    stream = layer.stream(B, online=online)
    for again in range(2):
        stream.reset()
        for t in range(T):
            stream.step(x[t], reset=reset[t])
            error = np.abs(stream.learn(dy[t]).flat - truth[t]).max()
            assert error <= (1e-13 if dtype == "float64" else 2e-6) * np.abs(truth).max(), (again, t)
            if again and t == 4:  # saved, and gone on from by a layer and a stream that were loaded
                pylstm.save(tmp_path / "layer", layer)
                np.savez(tmp_path / "stream.npz", **stream.state_dict())
                stream = pylstm.load(tmp_path / "layer").stream(B, online=online)
                stream.load_state_dict(dict(np.load(tmp_path / "stream.npz")))


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("cells", [("gru", "lru", "lstm"), ("s4d", "gru"), ("mamba", "mingru")])
def test_a_stack_without_a_shorter_way(cells, residual):
    """All parameters on all states, of several rows that start anew, with learned initial states: through time."""
    rng = np.random.default_rng(0)
    layers = [pylstm.Recurrent(c, H, H, dtype="float64", seed=0, learn_initial=c == "gru") for c in cells]
    stack = pylstm.Stack(layers, residual=residual)
    x, dy = rng.normal(size=(2, T, B, H))
    reset = np.zeros((T, B), bool)
    reset[3, 1] = reset[5] = True
    stream, total = stack.stream(B, online="rtrl"), stack.params.zeros_like()
    for t in range(T):
        stream.step(x[t], reset=reset[t])
        total += stream.learn(dy[t])
    truth = stack(x, reset=reset).backward(dy).params.flat
    assert np.abs(total.flat - truth).max() <= 1e-13 * np.abs(truth).max()
