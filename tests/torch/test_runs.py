"""Runs that modules of pylstm.torch make: when they are freed."""

import copy
import gc
import weakref

import pytest

torch = pytest.importorskip("torch")

import pylstm.torch  # noqa: E402  (after the skip)
from pylstm.torch import door  # noqa: E402

T, B, I, H = 7, 4, 3, 5


def x_of(**options):
    return torch.randn(T, B, I, **options)


@pytest.fixture
def runs(monkeypatch):
    """Weak references to all runs from here on."""
    found, run = [], door._run

    def noted(*arguments):
        outputs, held = run(*arguments)
        found.append(weakref.ref(held[1]))
        return outputs, held

    monkeypatch.setattr(door, "_run", noted)
    return found


def alive(runs):
    gc.collect()
    return sum(each() is not None for each in runs)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("held_by", ["the context", "a saved tensor"])
def test_inference_keeps_no_run_and_training_frees_it(monkeypatch, runs, held_by, layers):
    if held_by == "a saved tensor":  # as by a PyTorch that does not say whether backward comes again
        monkeypatch.setattr(door, "_KEEPS_GRAPH", None)
    module, x = pylstm.torch.LSTM(I, H, layers), x_of()
    with torch.no_grad():
        module(x)
    module.requires_grad_(False)(x)
    assert alive(runs) == 0
    module.requires_grad_(True)
    y = module(x)[0]
    assert alive(runs) == 1
    del y
    assert alive(runs) == 0
    y = module(x)[0]
    loss = y.sum()
    loss.backward(retain_graph=True)
    assert alive(runs) == 1
    weight = getattr(module, f"weight_hh_l{layers - 1}")
    first = weight.grad.clone()
    loss.backward()
    torch.testing.assert_close(weight.grad, 2 * first, rtol=0, atol=0)
    assert alive(runs) == 0  # though y and loss are alive
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_checkpointing_keeps_no_run(runs):
    module = pylstm.torch.LSTM(I, H)
    y = torch.utils.checkpoint.checkpoint(lambda x: module(x)[0], x_of(requires_grad=True), use_reentrant=False)
    assert len(runs) == 1
    assert alive(runs) == 0
    y.sum().backward()
    assert len(runs) == 2


def test_layers_and_workspaces_go_with_the_last_module_and_run():
    module, copied = pylstm.torch.LSTM(I, 6), None
    engine = weakref.ref(module._engine)
    copied = copy.deepcopy(module)
    assert copied._engine is module._engine is pylstm.torch.LSTM(I, 6)._engine
    loss = module(x_of())[0].sum()
    weight = module.weight_hh_l0
    del module, copied
    gc.collect()
    loss.backward()  # the run holds what it needs
    assert weight.grad.abs().max() > 0
    del loss, weight
    gc.collect()
    assert engine() is None
