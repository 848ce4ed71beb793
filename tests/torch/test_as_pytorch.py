"""What PyTorch's own tests of its recurrent modules check (`test/test_nn.py`, `test/nn/`), of ours; written anew."""

import copy
import pickle
import warnings

import pytest

torch = pytest.importorskip("torch")

import pylstm.torch  # noqa: E402  (after the skip)

I, H, T, B = 3, 5, 6, 4
KINDS = ("LSTM", "GRU", "RNN")


def module_of(kind, *arguments, **options):
    return getattr(pylstm.torch, kind)(*arguments, **options)


def states(kind, *shape):
    return (torch.randn(*shape), torch.randn(*shape)) if kind == "LSTM" else torch.randn(*shape)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("layers", "both"), [(1, False), (2, True)])
def test_wrong_inputs_and_states_are_refused(kind, layers, both):
    """As `test_rnn_args_check`: sizes of rows, units, layers and directions."""
    module, n = module_of(kind, I, H, layers, bidirectional=both), layers * (1 + both)
    module(torch.randn(T, B, I), states(kind, n, B, H))
    for shape in ((n, B + 1, H), (n, B, H + 1), (n + 1, B, H)):
        with pytest.raises(ValueError, match=r"hx.* must have shape"):
            module(torch.randn(T, B, I), states(kind, *shape))
    with pytest.raises(ValueError, match="input must have shape"):
        module(torch.randn(T, B, I + 1))


@pytest.mark.parametrize("kind", KINDS)
def test_errors_are_of_the_classes_and_in_the_words_of_torch(kind):
    """As `test_cudnn_forward_exception` and `test_errors`: a caller may catch either class."""
    module = module_of(kind, I, H)
    with pytest.raises(RuntimeError, match=r"Expected hidden.*size.*got"):
        module(torch.randn(T, B, I), states(kind, 1, B, H + 1))
    with pytest.raises(RuntimeError, match=r"input.size\(-1\) must be equal to input_size"):
        module(torch.randn(T, B, I + 1))
    for error in (ValueError, TypeError):
        with pytest.raises(error, match=r"RNN input dtype .* does not match weight dtype .* Convert input: input\.to"):
            module(torch.randn(T, B, I, dtype=torch.float64))
    for arguments, error, match in (
        ((0, H), ValueError, "input_size must be greater than zero"),
        ((I, 0), ValueError, "hidden_size must be greater than zero"),
        ((I, H, 0), ValueError, "num_layers must be greater than zero"),
        ((I, 5.0), TypeError, "hidden_size should be of type int, got: float"),
    ):
        with pytest.raises(error, match=match):
            module_of(kind, *arguments)
    for flag in ("bias", "batch_first"):
        with pytest.raises(TypeError, match=f"{flag} should be of type bool, got: int"):
            module_of(kind, I, H, **{flag: 1})


@pytest.mark.parametrize("kind", KINDS)
def test_states_that_are_given_as_zeros_are_those_that_are_not(kind):
    """As `test_rnn_initial_hidden_state`."""
    module, x = module_of(kind, I, H, 2), torch.randn(T, B, I)
    zeros = torch.zeros(2, B, H)
    given = module(x, (zeros, zeros) if kind == "LSTM" else zeros)[0]
    assert torch.equal(given, module(x)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_sequence_with_states(kind):
    """As `test_rnn_unbatched` and the checks of 2-D input with 3-D states."""
    module = module_of(kind, I, H, 2)
    module(torch.randn(T, I), states(kind, 2, H))
    with pytest.raises(ValueError, match="hx"):
        module(torch.randn(T, I), states(kind, 2, 1, H))
    with pytest.raises(ValueError, match="hx"):
        module(torch.randn(T, B, I), states(kind, 2, H))


def test_only_lstm_has_projections():
    """As `test_projections_errors_on_gru_and_rnn`."""
    for kind in ("GRU", "RNN"):
        with pytest.raises(ValueError, match="only supported for LSTM"):
            module_of(kind, I, H, proj_size=2)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_of_all_and_of_nothing(kind):
    """As `test_RNN_dropout`: with 1 the second layer sees zeros, so all rows are alike; with 0 nothing is drawn."""
    for rate in (0.0, 1.0):
        module, x = module_of(kind, I, H, 2, dropout=rate), torch.randn(T, B, I)
        y = module(x)[0]
        assert torch.equal(y, module(x)[0])
        assert torch.allclose(y, y[:, :1].expand_as(y)) == (rate == 1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_can_be_changed_and_is_off_in_evaluation(kind):
    """As `test_RNN_change_dropout` and `test_RNN_dropout_state`, a pickle between the calls too."""
    module, x = module_of(kind, I, H, 2), torch.randn(T, B, I)
    plain = module(x)[0]
    for rate in (0.5, 0.0, 0.3):
        module.dropout = rate
        other = pickle.loads(pickle.dumps(module))
        for each in (module, other):
            assert torch.equal(each.train()(x)[0], plain) == (rate == 0)
            assert torch.equal(each.eval()(x)[0], plain)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_add_up_over_calls_that_keep_the_graph(kind):
    """As `test_rnn_retain_variables`."""
    module = module_of(kind, I, H, 2)
    y = module(torch.randn(T, B, I))[0].sum()
    y.backward(retain_graph=True)
    once = [weight.grad.clone() for weight in module.parameters()]
    for _ in range(4):
        module.zero_grad()
        y.backward(retain_graph=True)
        for weight, grad in zip(module.parameters(), once, strict=True):
            assert torch.equal(weight.grad, grad)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_may_be_normalised_pruned_and_set_as_tensors(kind):
    """As `test_rnn_weight_norm`, `test_rnn_pruning`, and scripts that replace a parameter by a tensor."""
    from torch.nn.utils import prune

    module, x = module_of(kind, I, H), torch.randn(T, B, I, requires_grad=True)
    before = module(x)[0]
    normed = torch.nn.utils.parametrizations.weight_norm(copy.deepcopy(module), "weight_ih_l0")
    torch.testing.assert_close(normed(x)[0], before, rtol=0, atol=1e-6)
    pruned = prune.l1_unstructured(copy.deepcopy(module), "weight_hh_l0", 0.5)
    pruned(x)[0].sum().backward()
    mask = pruned.weight_hh_l0_mask
    assert mask.sum() < mask.numel() and (pruned.weight_hh_l0_orig.grad[mask == 0] == 0).all()
    raw = module._parameters.pop("weight_hh_l0")
    module.weight_hh_l0 = raw * 0.5
    module(x)[0].sum().backward()
    assert raw.grad.abs().max() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_batch_and_no_steps(kind):
    """As the tests of empty inputs: no rows are legal; no steps are, too, which torch refuses."""
    module = module_of(kind, I, H)
    y = module(torch.randn(T, 0, I))[0]
    y.sum().backward()
    assert y.shape == (T, 0, H) and all((weight.grad == 0).all() for weight in module.parameters())
    assert module(torch.randn(0, B, I))[0].shape == (0, B, H)


@pytest.mark.parametrize("kind", KINDS)
def test_no_warning_of_weights_that_are_not_in_one_piece(kind):
    """As the tests of `flatten_parameters`: after a copy and a conversion too."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module = copy.deepcopy(module_of(kind, I, H, 2)).double()
        module.flatten_parameters()
        module(torch.randn(T, B, I, dtype=torch.float64))


def test_flat_weights_are_what_the_module_computes_with():
    """As `test_rnn_weight_norm` and `test_partial_flat_weights`: a weight that is computed is a plain tensor."""
    lstm = pylstm.torch.LSTM(I, H, proj_size=2)
    assert [id(weight) for weight in lstm._flat_weights] == [id(weight) for weight in lstm.parameters()]
    before = lstm(torch.ones(T, B, I))[0]
    with pytest.warns(FutureWarning):
        lstm = torch.nn.utils.weight_norm(lstm, "weight_hr_l0")
    assert sum(isinstance(weight, torch.nn.Parameter) for weight in lstm._flat_weights) == 4
    torch.testing.assert_close(lstm(torch.ones(T, B, I))[0], before, rtol=0, atol=1e-6)
    lstm = torch.nn.utils.remove_weight_norm(lstm, "weight_hr_l0")
    assert all(isinstance(weight, torch.nn.Parameter) for weight in lstm._flat_weights)
    del lstm.weight_hh_l0
    assert lstm._flat_weights[1] is None and len(lstm._flat_weights_names) == 5


def test_a_state_without_a_projection_is_read():
    """As `test_save_lstm_compatibility`."""
    state = dict(pylstm.torch.LSTM(I, H).__dict__)
    del state["proj_size"]
    other = pylstm.torch.LSTM(I, H)
    other.__setstate__(state)
    assert other.__dict__["proj_size"] == 0 and repr(other) == f"LSTM({I}, {H})"
    other.__dict__.clear()
    other.__setstate__(state)
    assert other.proj_size == 0


def test_state_dicts_that_do_not_fit_are_refused_by_their_keys():
    """As the tests of `load_state_dict`."""
    state = pylstm.torch.LSTM(I, H).state_dict()
    with pytest.raises(RuntimeError, match="weight_ih_l1"):
        pylstm.torch.LSTM(I, H, 2).load_state_dict(state)
    with pytest.raises(RuntimeError, match="size mismatch for weight_hh_l0"):
        pylstm.torch.LSTM(I, H + 1).load_state_dict(state)
    assert pylstm.torch.LSTM(I, H, 2).load_state_dict(state, strict=False).missing_keys


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ordered", [True, False])
def test_a_packed_batch_is_row_by_row(kind, ordered):
    """As `test_variable_sequence`: output, states and gradients of each row are those of the row alone."""
    module, lengths = module_of(kind, I, H, 2, bidirectional=True), [6, 4, 4, 1] if ordered else [4, 1, 6, 4]
    x = torch.randn(T, B, I, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=ordered)
    y, last = module(packed)
    y, told = torch.nn.utils.rnn.pad_packed_sequence(y)
    assert told.tolist() == lengths
    (grad,) = torch.autograd.grad(y.square().sum(), x)
    for b, length in enumerate(lengths):
        alone, final = module(x[:length, b])
        torch.testing.assert_close(y[:length, b], alone, rtol=0, atol=1e-6)
        (own,) = torch.autograd.grad(alone.square().sum(), x)
        torch.testing.assert_close(grad[:, b], own[:, b], rtol=0, atol=1e-5)
        for all_rows, one in zip(last, final, strict=True) if kind == "LSTM" else [(last, final)]:
            torch.testing.assert_close(all_rows[:, b], one, rtol=0, atol=1e-6)
