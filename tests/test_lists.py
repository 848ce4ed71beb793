"""A str, or one value, where a list is expected: refused with what to pass, never taken letter by letter."""

from __future__ import annotations

import re

import numpy as np
import pytest

import pylstm
from pylstm import comparing, data, datasets
from pylstm.layers import regularisers

LSTM = pylstm.LSTM(2, 3, seed=0)
FRAME = {"who": ["b", "a"], "x": [0.1, 0.2], "y": [0.1, 0.2]}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "walks.csv"
    path.write_text("who,x,y\na,1,2\nb,2,3\n")
    return datasets.read_table(str(path))


WRONG = {
    "cells": (lambda table, wrong: comparing.compare(wrong, "adding"), "names or classes of cells, such as ['lstm',"),
    "classes": (lambda table, wrong: pylstm.ClassifyModel(wrong), "names"),
    "columns": (lambda table, wrong: data.sequences_from_frame(FRAME, id="who", columns=wrong), "names"),
    "columns of grouped": (lambda table, wrong: datasets.grouped(table, id="who", columns=wrong), "names"),
    "names": (lambda table, wrong: table.numbers(wrong), "names"),
    "names of drop_connect": (lambda table, wrong: regularisers.drop_connect(LSTM, 0.1, wrong).__enter__(), "names"),
    "names of l2_penalty": (lambda table, wrong: regularisers.l2_penalty(LSTM.params, 0.1, wrong), "names"),
    "sizes": (lambda table, wrong: pylstm.MLP(3, wrong, 2), "the widths of the hidden layers, such as [32]"),
    "head_sizes": (lambda table, wrong: pylstm.SequenceModel.of(LSTM, 1, head_sizes=wrong), "the widths of the"),
    "head_sizes of a classifier": (lambda table, wrong: pylstm.ClassifyModel(["a", "b"], head_sizes=wrong), "the wi"),
    "head_sizes of a forecaster": (lambda table, wrong: pylstm.ForecastModel(head_sizes=wrong), "the widths of the"),
    "sequences": (lambda table, wrong: pylstm.Sequences.of(wrong), "arrays"),
    "layers": (lambda table, wrong: pylstm.Stack(wrong), "layers: Stack([layer, ...])"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", ["xy", 3])
@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_a_list(name, wrong, table):
    call, what = WRONG[name]
    with pytest.raises(TypeError, match=re.escape(f"{name.split()[0]} must be a list of {what}")) as caught:
        call(table, wrong)
    cured = wrong == "xy" and what.startswith("names")
    assert str(caught.value).endswith("got 'xy': pass ['xy']" if cured else f"got {wrong!r}")


def test_the_states_to_learn():
    assert pylstm.LSTM(2, 3, learn_initial="c").learn_initial == ("c",)  # one name is one state
    with pytest.raises(TypeError, match="learn_initial must be a list of names of states, or True for all, got 3"):
        pylstm.LSTM(2, 3, learn_initial=3)


def test_generators_and_arrays_are_lists(table):
    assert pylstm.ClassifyModel(np.array(["up", "down"])).classes == ("up", "down")
    assert table.numbers(name for name in "xy").tolist() == [[1, 2], [2, 3]]
    assert pylstm.MLP(3, iter((4, 5)), 2).sizes == (4, 5)
    assert len(pylstm.Stack(iter([LSTM])).layers) == 1


def test_sequences_of_single_values_and_of_other_axes():
    with pytest.raises(TypeError, match=r"^sequence 0 must be an array of numbers, got 'a'$"):
        pylstm.Sequences.of(["a"])
    with pytest.raises(ValueError, match=r"^sequence 1 must have shape \(T, \.\.\.\), got the single value 3$"):
        pylstm.Sequences.of([[1, 2], 3])
    with pytest.raises(
        ValueError, match=r"sequence 1 has shape \(2,\), but sequence 0 \(3, 1\): the axes after the fi"
    ):
        pylstm.Sequences.of([np.zeros((3, 1)), np.zeros(2)])
