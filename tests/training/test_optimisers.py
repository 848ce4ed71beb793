"""Optimisers and clipping: steps by hand and by torch, state dicts, refusals."""

import numpy as np
import pytest

from pylstm.optim.clipping import clip_by_norm, clip_by_value
from pylstm.optim.optimisers import SGD, Adam, AdamW, RMSProp
from pylstm.parameters import Parameters

SHAPES = {"weight": (4, 3), "bias": (4,)}


def random_parameters(rng, dtype="float64", shapes=SHAPES):
    params = Parameters(shapes, dtype)
    params.flat[...] = rng.normal(size=params.size)
    return params


def scalar(value):
    params = Parameters({"w": (1,)}, "float64")
    params.flat[0] = value
    return params


MAKERS = {
    "sgd": lambda params: SGD(params, lr=0.1),
    "momentum": lambda params: SGD(params, lr=0.1, momentum=0.9),
    "nesterov": lambda params: SGD(params, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda params: Adam(params, lr=0.01),
    "adam, other betas": lambda params: Adam(params, lr=0.3, betas=(0.7, 0.95), eps=1e-3),
    "adamw": lambda params: AdamW(params, lr=0.1, weight_decay=0.3),
    "rmsprop": lambda params: RMSProp(params, lr=0.03),
    "rmsprop, momentum": lambda params: RMSProp(params, lr=0.02, alpha=0.8, eps=1e-3, momentum=0.7),
}


def test_steps_by_hand():
    w = scalar(1.0)
    sgd = SGD(w, lr=0.1, momentum=0.5)
    sgd.step(scalar(2.0))  # v = 2
    assert w["w"][0] == pytest.approx(0.8, rel=1e-15)
    sgd.step(scalar(-1.0))  # v = 1 - 1 = 0
    assert w["w"][0] == pytest.approx(0.8, rel=1e-15)

    w = scalar(1.0)
    SGD(w, lr=0.1, momentum=0.5, nesterov=True).step(scalar(2.0))  # g + 0.5 v = 3
    assert w["w"][0] == pytest.approx(0.7, rel=1e-15)

    w = scalar(1.0)
    adam = Adam(w, lr=0.1, betas=(0.5, 0.75), eps=0.5)
    adam.step(scalar(2.0))  # m / 0.5 = 2, v / 0.25 = 4: 2 / (2 + 0.5)
    assert w["w"][0] == pytest.approx(1 - 0.1 * 0.8, rel=1e-15)
    adam.step(scalar(0.0))  # m = 0.5, / 0.75;  v = 0.75, / 0.4375
    assert w["w"][0] == pytest.approx(0.92 - 0.1 * (0.5 / 0.75) / (np.sqrt(0.75 / 0.4375) + 0.5), rel=1e-14)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_are_those_of_torch(name, dtype):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    params = [random_parameters(rng, dtype), random_parameters(rng, dtype, {"w": (7,)})]
    tensors = [torch.nn.Parameter(torch.from_numpy(each.flat.copy())) for each in params]
    ours = MAKERS[name](params)
    if name.startswith("rmsprop"):
        theirs = torch.optim.RMSprop(tensors, ours.lr, alpha=ours.alpha, eps=ours.eps, momentum=ours.momentum)
    elif name == "adamw":
        theirs = torch.optim.AdamW(tensors, ours.lr, ours.betas, ours.eps, weight_decay=ours.weight_decay)
    elif name.startswith("adam"):
        theirs = torch.optim.Adam(tensors, lr=ours.lr, betas=ours.betas, eps=ours.eps)
    else:
        theirs = torch.optim.SGD(tensors, lr=ours.lr, momentum=ours.momentum, nesterov=ours.nesterov)
    for _ in range(20):
        grads = [random_parameters(rng, dtype, each.shapes) for each in params]
        for tensor, grad in zip(tensors, grads):
            tensor.grad = torch.from_numpy(grad.flat.copy())
        ours.step(grads)
        theirs.step()
    for each, tensor in zip(params, tensors):
        assert each.flat.dtype == dtype
        np.testing.assert_allclose(
            each.flat, tensor.detach().numpy(), rtol=0, atol=1e-12 if dtype == "float64" else 2e-6
        )


@pytest.mark.parametrize("name", MAKERS)
def test_a_loaded_state_goes_on_with_the_same_bits(name):
    rng = np.random.default_rng(1)
    params = random_parameters(rng)
    optimiser = MAKERS[name](params)
    optimiser.step(random_parameters(rng))
    state, resumed_params = optimiser.state_dict(), params.copy()
    grads = [random_parameters(rng) for _ in range(3)]
    for each in grads:
        optimiser.step(each)
    resumed = type(optimiser)(resumed_params, lr=77.0)
    resumed.load_state_dict(state)
    for each in grads:
        resumed.step(each)
    np.testing.assert_array_equal(params.flat, resumed_params.flat)


def test_step_does_not_change_the_gradients():
    for make in MAKERS.values():
        rng = np.random.default_rng(2)
        params, grads = random_parameters(rng), random_parameters(rng)
        before = grads.flat.copy()
        make(params).step(grads)
        np.testing.assert_array_equal(grads.flat, before)


def test_state_dict_refusals():
    params = random_parameters(np.random.default_rng(0))
    adam, sgd = Adam(params), SGD(params, lr=0.1)
    with pytest.raises(ValueError, match="state of optimiser 'SGD', expected 'Adam'"):
        adam.load_state_dict(sgd.state_dict())
    state = adam.state_dict()
    del state["m.0"]
    with pytest.raises(ValueError, match=r"missing keys \['m.0'\]"):
        adam.load_state_dict(state)
    with pytest.raises(ValueError, match=r"'m.0' must have shape \(16,\), got \(3,\)"):
        adam.load_state_dict(adam.state_dict() | {"m.0": np.zeros(3)})


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p: SGD(p, lr=-1), ValueError, "lr must be 0 or more"),
        (lambda p: SGD(p, lr=float("nan")), ValueError, "lr must be 0 or more and finite, got nan"),
        (lambda p: SGD(p, lr=lambda step: 0.1), TypeError, r"lr must be a number.*pylstm\.fit\(..., schedule=\)"),
        (lambda p: SGD(p, 0.1, momentum=1.0), ValueError, "momentum must be in"),
        (lambda p: SGD(p, 0.1, nesterov=True), ValueError, "nesterov needs"),
        (lambda p: Adam(p, betas=(0.9, 1.0)), ValueError, "betas must be"),
        (lambda p: Adam(p, eps=0), ValueError, "eps must be above 0"),
        (lambda p: AdamW(p, weight_decay=-1), ValueError, "weight_decay must be 0 or more"),
        (lambda p: RMSProp(p, alpha=1.0), ValueError, "alpha must be in"),
        (lambda p: RMSProp(p, eps=0), ValueError, "eps must be above 0"),
        (lambda p: RMSProp(p, momentum=1.0), ValueError, "momentum must be in"),
        (lambda p: Adam([p.flat]), TypeError, "params must be one Parameters or a list of them, got ndarray"),
        (lambda p: SGD(p, 0.1).step([p, p]), ValueError, "grads must be 1 Parameters.*got 2"),
        (lambda p: SGD(p, 0.1).step(Parameters({"weight": (3, 4), "bias": (4,)}, "float64")), ValueError, "layout"),
        (lambda p: SGD(p, 0.1).step(Parameters(SHAPES, "float32")), ValueError, "layout"),
        (lambda p: clip_by_norm(p, 0), ValueError, "max_norm must be above 0"),
        (lambda p: clip_by_value(p, -1), ValueError, "limit must be above 0"),
        (lambda p: clip_by_norm([p.flat], 1), TypeError, "grads must be one Parameters"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call(random_parameters(np.random.default_rng(0)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_clip_by_norm_treats_several_as_one_vector(dtype):
    rng = np.random.default_rng(3)
    grads = [random_parameters(rng, dtype), random_parameters(rng, dtype, {"w": (7,)})]
    before = np.concatenate([each.flat for each in grads])
    norm = clip_by_norm(grads, 1.5)
    after = np.concatenate([each.flat for each in grads])
    assert norm == pytest.approx(np.linalg.norm(before), rel=1e-6)
    np.testing.assert_allclose(after, before * 1.5 / norm, rtol=1e-6)
    assert clip_by_norm(grads, 2.0) == pytest.approx(1.5, rel=1e-6)
    np.testing.assert_array_equal(np.concatenate([each.flat for each in grads]), after)


def test_clip_by_norm_in_float32_does_not_overflow():
    grads = Parameters({"w": (2,)}, "float32")
    grads.flat[...] = 3e25, 4e25
    assert clip_by_norm(grads, 1.0) == pytest.approx(5e25, rel=1e-6)
    np.testing.assert_allclose(grads.flat, [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("scale", [1e200, 1e150, 1e-140, 1e-155, 1e-200, 1e-300])
def test_clip_by_norm_in_float64_does_not_over_or_underflow(scale):
    grads = [random_parameters(np.random.default_rng(6)), Parameters({"w": (2,)}, "float64")]
    grads[1].flat[...] = -3, 4
    before = np.concatenate([each.flat for each in grads])
    expected = np.linalg.norm(before) * scale
    for each in grads:
        each.flat[...] *= scale
    assert clip_by_norm(grads, expected / 8) == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(np.concatenate([each.flat for each in grads]), before * scale / 8, rtol=1e-13)


def test_the_norm_of_zeros_of_nothing_and_of_what_has_none():
    assert clip_by_norm([], 1.0) == clip_by_norm(scalar(0.0), 1.0) == 0
    grads = Parameters({"w": (2,)}, "float64")
    grads.flat[...] = 1.7e308, -1.7e308
    assert clip_by_norm(grads, 1.0) == np.inf
    np.testing.assert_array_equal(grads.flat, [1.7e308, -1.7e308])


@pytest.mark.parametrize("wrong", [np.inf, np.nan])
def test_clip_by_norm_leaves_what_is_not_finite(wrong):
    grads = scalar(wrong)
    assert not np.isfinite(clip_by_norm(grads, 1.0))
    np.testing.assert_array_equal(grads.flat, [wrong])


def test_clip_by_value():
    grads = random_parameters(np.random.default_rng(4))
    expected = np.clip(grads.flat, -0.5, 0.5)
    clip_by_value(grads, 0.5)
    np.testing.assert_array_equal(grads.flat, expected)
    assert np.abs(expected).max() == 0.5
