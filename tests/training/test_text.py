"""The character model and its training."""

import itertools
import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import pylstm
from pylstm.datasets import Vocabulary, manual_topics
from pylstm.text.char_model import CharModel
from pylstm.text.settings import Budget, TextSettings, learning_rate
from pylstm.text.trainer import TextTrainer, text_bits
from pylstm.training.divergence import TrainingDiverged
from pylstm.training.progress import Progress

TEXT = "".join(f"{a}{b} is {a} before {b}.\n" for a, b in itertools.product("abcdefghijkl", repeat=2))
SMALL = TextSettings(hidden_size=12, embedding_size=6, batch_size=5, length=11, validation=0.1)


def train(steps, text=TEXT, settings=SMALL):
    trainer = TextTrainer(text, settings)
    trainer.run(Budget(steps=steps))
    return trainer


def test_gradients_of_the_model_are_those_of_differences():
    rng = np.random.default_rng(0)
    model = CharModel(Vocabulary("abcd"), hidden_size=4, embedding_size=3, dtype="float64", seed=1)
    indices, targets = rng.integers(5, size=(2, 6, 2))
    initial = {"h": rng.normal(size=(2, 4)), "c": rng.normal(size=(2, 4))}
    step = model.chunk(indices, targets, initial)
    assert step.bits == pytest.approx(model.bits(indices, targets, initial)[0], rel=1e-14)
    for params, grads in zip(model.params, step.grads):
        assert params.same_layout(grads)
        for at in rng.choice(params.size, 12, replace=False):
            value, losses = params.flat[at], []
            for moved in (value + 1e-6, value - 1e-6):
                params.flat[at] = moved
                losses.append(model.bits(indices, targets, initial)[0] * math.log(2))
            params.flat[at] = value
            assert grads.flat[at] == pytest.approx((losses[0] - losses[1]) / 2e-6, abs=1e-8)


def test_carried_states_make_chunks_one_sequence():
    model = CharModel(Vocabulary("abcd"), hidden_size=4, embedding_size=3, dtype="float64", seed=1)
    indices = np.random.default_rng(0).integers(5, size=(9, 2))
    whole, final = model.logits(indices)
    first, states = model.logits(indices[:4])
    second, states = model.logits(indices[4:], states)
    np.testing.assert_allclose(np.concatenate([first, second]), whole, rtol=0, atol=1e-14)
    for name, state in final.items():
        np.testing.assert_allclose(states[name], state, rtol=0, atol=1e-14)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    one, two = train(30), train(30)
    assert one.trace == two.trace
    for a, b in zip(one.model.params, two.model.params):
        np.testing.assert_array_equal(a.flat, b.flat)
    other = train(1, settings=TextSettings(**{**vars(SMALL), "seed": 1}))
    assert other.trace[0] != one.trace[0]


def test_a_shorter_run_is_the_beginning_of_a_longer_one():
    trainer = TextTrainer(TEXT, SMALL)
    trainer.run(Budget(minutes=0.3 / 60))
    assert trainer.seconds >= 0.3 and len(trainer.trace) > 1
    longer = train(len(trainer.trace) + 3)
    assert longer.trace[: len(trainer.trace)] == trainer.trace


def test_epochs_are_passes_over_the_text():
    trainer = TextTrainer(TEXT, SMALL)
    seen = []
    trainer.run(Budget(epochs=2), lambda trainer: seen.append(len(trainer.trace)))
    assert seen == list(range(1, 2 * trainer.steps_per_epoch + 1))
    assert trainer.steps_per_epoch == trainer.streams.number_of_chunks(SMALL.length)


def test_states_are_carried_within_an_epoch_and_start_at_zero_in_the_next():
    trainer = TextTrainer(TEXT, SMALL)
    seen = []
    chunk = trainer.model.chunk
    trainer.model.chunk = lambda inputs, targets, states, *rest: (
        seen.append(states) or chunk(inputs, targets, states, *rest)
    )
    trainer.run(Budget(steps=trainer.steps_per_epoch + 2))
    zeros = [number for number, states in enumerate(seen) if states is None]
    assert zeros == [0, trainer.steps_per_epoch]
    assert all(states["h"].any() for states in seen if states is not None)


def test_training_on_a_small_text_beats_the_bigram_model():
    trainer = train(250)
    assert trainer.trace[0] > 4
    assert trainer.validate() < trainer.bigram() - 0.1
    assert trainer.train_bits < trainer.bigram()


@pytest.mark.slow
def test_training_on_the_manual_topics_beats_the_bigram_model():
    trainer = TextTrainer(manual_topics(), TextSettings(hidden_size=96))
    trainer.run(Budget(steps=240))
    bits, bigram = trainer.validate(), trainer.bigram()
    assert 3.0 < bigram < 3.5
    assert bits < bigram - 0.2


def by_hand(model, streams, depth, steps, settings=SMALL):
    """Losses of windows that are run from the state `depth` steps back, of which the newest losses count."""
    optimiser, states, trace, n = (
        pylstm.Adam(model.params, settings.lr, betas=(0.9, 0.99)),
        {0: None},
        [],
        settings.length,
    )
    for k in range(steps):
        end = (k + 1) * n
        start = max(0, end - depth)
        looked_up = model.embedding(streams.inputs[start:end])
        run = model.layer(looked_up.y, states[start])
        states |= {
            start + t: {name: array[t].copy() for name, array in run.states.items()} for t in range(1, end - start + 1)
        }
        logits = model.head(run.y[-n:])
        value, dlogits = pylstm.softmax_cross_entropy(logits.y, streams.targets[k * n : end])
        dhead = logits.backward(dlogits)
        dy = np.zeros_like(run.y)
        dy[-n:] = dhead.x
        dlayer = run.backward(dy)
        grads = [looked_up.backward(dlayer.x).params, dlayer.params, dhead.params]
        pylstm.clip_by_norm(grads, settings.clip)
        optimiser.lr = learning_rate(k, settings.lr)
        optimiser.step(grads)
        trace.append(value / math.log(2))
    return trace


def test_gradients_that_go_back_further():
    deep = replace(SMALL, depth=28)
    trainer, other = train(6, settings=deep), TextTrainer(TEXT, SMALL)
    assert trainer.trace == pytest.approx(by_hand(other.model, other.streams, 28, 6), rel=1e-6)
    for ours, theirs in zip(trainer.model.params, other.model.params):
        np.testing.assert_allclose(ours.flat, theirs.flat, rtol=0, atol=1e-6)
    assert trainer.trace != train(6).trace
    assert train(6, settings=replace(SMALL, depth=SMALL.length)).trace == train(6).trace
    with pytest.raises(ValueError, match="depth must be at least length, 11, got 10"):
        replace(SMALL, depth=10)


@pytest.mark.parametrize("depth", [None, 11, 25])
def test_a_resumed_run_has_the_same_bits(tmp_path, depth):
    settings = replace(SMALL, depth=depth)
    steps = 5 + TextTrainer(TEXT, settings).steps_per_epoch
    whole = train(steps, settings=settings)
    for cut in (1, 4, steps - 3):
        train(cut, settings=settings).save_checkpoint(tmp_path / "run")
        resumed = TextTrainer.resume(tmp_path / "run", TEXT, settings)
        resumed.run(Budget(steps=steps))
        assert resumed.trace == whole.trace
        for ours, theirs in zip(resumed.model.params, whole.model.params):
            np.testing.assert_array_equal(ours.flat, theirs.flat)
    with pytest.raises(ValueError, match="depth"):
        TextTrainer.resume(tmp_path / "run", TEXT, replace(SMALL, depth=12))


def test_validation_is_the_mean_over_the_tail():
    trainer = train(3)
    tail = trainer.validation_indices
    expected, _ = trainer.model.bits(tail[:-1, None], tail[1:, None])
    assert trainer.validate(columns=1) == pytest.approx(expected, rel=1e-5)
    assert trainer.validate() == pytest.approx(expected, rel=0.05)


def test_a_long_tail_is_read_in_part(monkeypatch):
    trainer = train(3)
    rng = np.random.default_rng(0)
    tail = rng.integers(0, len(trainer.vocabulary), 64 * 300 + 1).astype(np.uint8)
    expected, _ = trainer.model.bits(*(each[:256] for each in trainer_streams(tail)))
    assert text_bits(trainer.model, tail, most=64 * 200) == pytest.approx(expected, rel=1e-6)
    whole = text_bits(trainer.model, tail, columns=64)
    assert text_bits(trainer.model, tail, columns=64, most=64 * 301) == whole != expected
    monkeypatch.setattr("pylstm.text.trainer.SAMPLE", 64 * 200)
    trainer.validation_indices = tail
    assert trainer.validate() == text_bits(trainer.model, tail, most=64 * 200)


def trainer_streams(tail):
    """Of 64 columns: inputs and targets, (300, 64)."""
    return tail[:-1].reshape(64, 300).T, tail[1:].reshape(64, 300).T


def test_the_memory_of_a_long_text():
    text = TEXT * 1500
    tracemalloc.start()
    trainer = TextTrainer(text, replace(SMALL, batch_size=16))
    trainer.run(Budget(steps=1))
    trainer.bigram()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(text) > 3_000_000 and peak < 2 * len(text) + 8 * (1 << 20) * 5


def test_divergence_is_reported_and_leaves_the_parameters():
    trainer = train(3)
    trainer.model.head.params["bias"][0] = np.nan
    before = [params.copy() for params in trainer.model.params]
    with pytest.raises(TrainingDiverged, match=r"at step 4: loss nan .*: the parameter bias was not finite"):
        trainer.run(Budget(steps=4))
    for params, old in zip(trainer.model.params, before):
        np.testing.assert_array_equal(params.flat, old.flat)
    assert len(trainer.trace) == 3


def test_generation_is_decided_by_its_seed():
    model = train(20).model
    text = model.generate(50, seed=1)
    assert len(text) == 50 and text == model.generate(50, seed=1) != model.generate(50, seed=2)
    assert set(text) <= set(model.vocabulary.characters[1:])
    assert model.generate(20, temperature=0, seed=1) == model.generate(20, temperature=0, seed=2)
    assert model.generate(0) == ""


def test_generation_carries_the_states():
    model = train(60).model
    text = model.vocabulary.encode("\na" + model.generate(40, prompt="\na", temperature=0))
    logits, _ = model.logits(text[:-1, None])
    np.testing.assert_array_equal(text[2:], 1 + logits[1:, 0, 1:].argmax(axis=-1))


def test_generation_follows_the_probabilities():
    model = CharModel(Vocabulary("abc"), hidden_size=2, embedding_size=2, seed=0)
    model.head.params["weight"][...] = 0
    model.head.params["bias"] = np.log(np.array([0.9, 0.05, 0.03, 0.02], "f4"))
    counts = np.bincount(model.vocabulary.encode(model.generate(3000, prompt="a", temperature=1)), minlength=4) / 3000
    np.testing.assert_allclose(counts, [0, 0.5, 0.3, 0.2], rtol=0, atol=0.04)


def test_learning_rate_rises_then_falls():
    rates = [learning_rate(step, 1.0) for step in range(3000)]
    peak = int(np.argmax(rates))
    assert 0 < rates[0] < 0.05 and peak == 49
    assert (np.diff(rates[: peak + 1]) > 0).all() and (np.diff(rates[peak:]) < 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Budget(), "needs minutes, epochs or steps"),
        (lambda: Budget(minutes=0), "minutes must be above 0"),
        (lambda: Budget(epochs=-1), "epochs must be above 0"),
        (lambda: Budget(minutes=math.inf), "minutes must be above 0 and finite"),
        (lambda: TextSettings(hidden_size=0), "hidden_size must be at least 1"),
        (lambda: TextSettings(validation=1.0), "validation must be between 0 and 1"),
        (lambda: TextSettings(lr=0), "lr must be above 0"),
        (lambda: TextTrainer("abc" * 5, SMALL.__class__(batch_size=30)), "too short: 15 characters for 30 streams"),
        (lambda: train(1).model.generate(3, prompt=""), "prompt must have"),
        (lambda: train(1).model.generate(3, temperature=-1), "temperature must be 0 or more and finite, got -1"),
        (lambda: train(1).model.generate(3, temperature=np.inf), "temperature must be 0 or more and finite, got inf"),
        (lambda: train(1).model.generate(3, temperature=np.nan), "temperature must be 0 or more and finite, got nan"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_budget_takes_the_first_limit():
    assert Budget(epochs=2, steps=30).total_steps(10) == 20
    assert Budget(epochs=0.5, steps=30).total_steps(100) == 30
    assert Budget(minutes=1).total_steps(10) is None


def test_progress_in_lines_and_as_a_bar(capsys):
    for bar in (False, True):
        trainer = TextTrainer(TEXT, SMALL)
        trainer.run(Budget(steps=20), progress=Progress(bar))
        output = capsys.readouterr()
        if bar:
            assert "100%" in output.err and "bits per character" in output.err
        else:
            lines = output.out.splitlines()
            assert len(lines) == 10 and lines[-1].startswith(" 100%  step 20/20, epoch ")
            assert lines[-1].endswith(" bits per character, 0 s")
