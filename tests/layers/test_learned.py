"""Initial states that are learned: exact gradients through runs, resets, lengths, stacks; streams; files."""

import copy
import pickle

import numpy as np
import pytest

import pylstm
from pylstm import Bidirectional, Recurrent, Stack

T, B, I, H = 7, 4, 3, 5
RNG = np.random.default_rng(9)
X, DY = RNG.normal(size=(T, B, I)), RNG.normal(size=(T, B, 2 * H))
RESET = RNG.random(size=(T, B)) < 0.3
LENGTHS = [5, 0, 7, 2]


def make(cell="lstm", learn=True, **options):
    layer = Recurrent(cell, I, H, dtype="float64", seed=1, learn_initial=learn, **options)
    for leaf in getattr(layer, "recurrents", [layer]):
        for name in leaf.learn_initial:
            leaf.params[f"initial_{name}"] = np.random.default_rng(4).normal(size=leaf.widths[name])
    return layer


def check_gradients(layer, x=X, **options):
    """Of all parameters, along random directions and along the learned ones alone."""
    run = layer(x, **options)
    dy = DY[..., : run.y.shape[-1]].swapaxes(0, 1) if layer.batch_first else DY[..., : run.y.shape[-1]]
    dy = dy[:, 0] if x.ndim == 2 else dy
    grads, before = run.backward(dy).params, layer.params.flat.copy()
    learned = layer.params.zeros_like()
    for name in learned:
        learned[name][...] = "initial_" in name
    assert learned.flat.any() and grads.flat[learned.flat == 1].all()
    for mask in (1.0, learned.flat):
        direction, values = np.random.default_rng(3).normal(size=before.shape) * mask, []
        for step in (1e-6, -1e-6):
            layer.params.flat[...] = before + step * direction
            values.append(np.vdot(layer(x, **options).y, dy))
        layer.params.flat[...] = before
        assert np.vdot(grads.flat, direction) == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-7, abs=1e-8)


KINDS = {
    "plain": {},
    "reset": {"reset": RESET},
    "lengths": {"lengths": LENGTHS},
    "both": {"lengths": LENGTHS, "reset": RESET},
    "checkpoint": {"checkpoint": "sqrt", "reset": RESET},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh", "peephole", "mingru", "cornn", "slstm"])
def test_gradients_are_those_of_differences(cell, kind):
    check_gradients(make(cell), **KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_in_stacks_and_both_directions(kind):
    check_gradients(make(num_layers=2, bidirectional=True, residual=[False, True]), **KINDS[kind])
    mixed = Stack([make("gru"), Recurrent("lstm", H, H, dtype="float64", seed=2, learn_initial="c")])
    check_gradients(mixed, **KINDS[kind])
    check_gradients(Bidirectional(make("gru"), make("lstm", learn=["h"])), **KINDS[kind])


def test_layouts():
    check_gradients(make(batch_first=True), X.swapaxes(0, 1))
    check_gradients(make(batch_first=True), X.swapaxes(0, 1), lengths=LENGTHS)
    check_gradients(make(), X[:, 0])
    check_gradients(make(num_layers=2), X[:, 0])


@pytest.mark.parametrize("options", [{}, {"lengths": LENGTHS}, {"checkpoint": "sqrt"}], ids=str)
def test_they_are_the_initial_states(options):
    layer, plain = make(), make(learn=False)
    assert plain.params.names == layer.params.names[:-2]
    np.testing.assert_array_equal(plain.params.flat, layer.params.flat[: plain.params.size])
    given = {name: np.tile(layer.params[f"initial_{name}"], (B, 1)) for name in "hc"}
    run, same = layer(X, **options), plain(X, given, **options)
    np.testing.assert_array_equal(run.y, same.y)
    np.testing.assert_array_equal(run.final["c"], same.final["c"])
    one, two = run.backward(DY[..., :H]), same.backward(DY[..., :H])
    for name in "hc":
        np.testing.assert_array_equal(one.initial[name], two.initial[name])
        np.testing.assert_allclose(one.params[f"initial_{name}"], two.initial[name].sum(axis=0), rtol=1e-13)
    np.testing.assert_array_equal(one.params["weight_h"], two.params["weight_h"])


def test_what_is_given_is_used_instead():
    layer, plain, c = make(), make(learn=False), RNG.normal(size=(B, H))
    h = np.tile(layer.params["initial_h"], (B, 1))
    run = layer(X, {"c": c})
    np.testing.assert_array_equal(run.y, plain(X, {"h": h, "c": c}).y)
    grads = run.backward(DY[..., :H]).params
    assert grads["initial_h"].all() and not grads["initial_c"].any()
    np.testing.assert_array_equal(layer(X, {"h": h, "c": None}).y, layer(X).y)
    np.testing.assert_array_equal(layer(X, {"c": c}, tape=False).y, run.y)


def test_new_ones_are_zero_and_change_nothing():
    plain, layer = (Recurrent("lstm", I, H, seed=0, learn_initial=learn) for learn in (False, True))
    x = X.astype("f4")
    np.testing.assert_array_equal(layer(x).y, plain(x).y)
    assert layer.params.names[-2:] == ("initial_h", "initial_c") and not layer.params.flat[-2 * H :].any()
    assert layer.tape_width() == plain.tape_width()


def test_no_rows_and_no_steps():
    layer = make()
    assert not layer(X[:, :0]).backward(DY[:, :0, :H]).params.flat.any()
    run = layer(X[:0])
    np.testing.assert_array_equal(run.final["h"], np.tile(layer.params["initial_h"], (B, 1)))
    d = RNG.normal(size=(B, H))
    np.testing.assert_allclose(run.backward(dfinal={"h": d}).params["initial_h"], d.sum(axis=0), rtol=1e-14)


@pytest.mark.parametrize("rows", [1, 3])
def test_streams_begin_with_them(rows):
    for layer in (make(), make(num_layers=2)):
        x = X[:, :rows]
        stream, expected = layer.stream(rows), layer(x).y
        for _ in range(2):
            y = np.stack([stream.step(x[t] if rows > 1 else x[t, 0]) for t in range(T)]).reshape(T, rows, H)
            np.testing.assert_array_equal(y, expected)
            stream.reset()


def test_copies_and_files(tmp_path):
    for layer in (make(), make(learn=("c",), num_layers=2, bidirectional=True)):
        pylstm.save(tmp_path / "m", layer)
        for again in (pylstm.load(tmp_path / "m"), copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            assert again.params.same_layout(layer.params)
            assert repr(again) == repr(layer)
            np.testing.assert_array_equal(again(X).y, layer(X).y)


def test_other_libraries_do_not_have_them():
    from pylstm.interop.torch import state_dict

    with pytest.raises(ValueError, match="layers of torch hold no initial states, but this layer learns h, c"):
        state_dict(make())


def test_models_learn_them():
    model = pylstm.SequenceModel("gru", I, H, 1, dtype="float64", seed=0, learn_initial=True)
    x = np.zeros((8, 1, I))
    pylstm.fit(model, (x, np.full(8, 2.0)), optimiser=pylstm.Adam(model.params, lr=0.05), epochs=100)
    assert model.loss(x, np.full(8, 2.0)) < 1e-3 and model.layer.params["initial_h"].all()


@pytest.mark.parametrize(
    ("learn", "message"), [("z", "unknown state 'z' .known: h, c"), (["h", "q"], "unknown state 'q'")]
)
def test_refusals(learn, message):
    with pytest.raises(ValueError, match=message):
        Recurrent("lstm", I, H, learn_initial=learn)


def test_wrong_input_is_refused_as_without():
    for x, initial in ((X[0, 0], None), (X.astype("f4"), None), (X[..., :2], None), (X, [1]), (X, {"q": X})):
        messages = []
        for layer in (make(), make(learn=False)):
            with pytest.raises((TypeError, ValueError)) as error:
                layer(x, initial)
            messages.append(str(error.value))
        assert messages[0] == messages[1]
