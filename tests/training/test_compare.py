"""Comparisons: budgets, seeds, tasks, a cell that cannot be trained; and the command."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from pylstm import cli, plugins
from pylstm.cells import Cell, contract, outer, tanh
from pylstm.comparing.comparison import Drawn, Settings, compare, make_model
from pylstm.comparing.sizing import count_params, entry_of, growing, hidden_size_for
from pylstm.comparing.tasks import TASKS, Batch, Task, adding, copy, digits, text
from pylstm.losses.regression import squared_error
from pylstm.plots.comparison import curves, plot

# Not by `get`, which certifies every cell: each process of a run would, when it only collects tests.
CELLS = sorted(entry.cell.name for entry in plugins.registry().entries() if not {*entry.cell.contract.aux} - {"x"})
QUICK = Settings(params=1500, steps=4, seeds=2)


class Exploding(Cell):
    """Doubles and squares its state."""

    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z, prev):
        return dict(h=(10 + z.a * z.a) * (1 + prev.h * prev.h))

    def backward(d, y, prev):
        a = y.a
        return dict(a=d.h * 2 * a * (1 + prev.h**2), h=d.h * (10 + a * a) * 2 * prev.h)


class NeedsTime(Cell):
    states = ("h",)
    gates = {"a": "x+h"}
    aux = ("dt",)

    def forward(z, prev, u):
        return dict(h=prev.h + u.dt * (tanh(z.a) - prev.h))


class Heads(Cell):
    """A matrix for each head; nothing has the hidden size."""

    states = ("h", "S")
    gates = {"q": "x", "k": "x", "v": "x"}
    sizes = {"key": 3, "heads": 2, "value": 4}
    widths = dict.fromkeys("qk", "heads * key") | dict.fromkeys("vh", "heads * value") | {"S": "heads * key * value"}
    options = {"keep": 0.9}

    def forward(z, prev, o):
        S = o.keep * prev.S + outer(z.k, z.v, "heads")
        return {"h": contract(z.q, S, "heads"), "S": S}


@pytest.mark.parametrize("name", sorted(TASKS))
def test_small_runs_of_every_task_finish(name):
    if name == "digits":
        pytest.importorskip("sklearn")
    results = compare(["lstm", "gru"], name, Settings(params=8000, steps=2, seeds=1))
    assert [result.status for result in results] == ["ok", "ok"]
    for result in results:
        (trace,) = result.traces
        assert len(trace.losses) == len(trace.seconds) == 2 and np.isfinite(trace.held_out)
        assert trace.seconds == sorted(trace.seconds)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("task", [adding(), copy(), Task("like-text", 32, 90, "classes", "bits", 1, "", None, [], 90)])
@pytest.mark.parametrize("budget", [5_000, 40_000])
def test_the_budget_is_kept_within_5_percent(cell, task, budget):
    cell = plugins.registry().get(cell)
    least = {"intersection_rnn": 8094, "hyper_lstm": 7414}  # y is as wide as x; the small LSTM has 16 units
    if cell.name in least and (task.name, budget) == ("like-text", 5_000):
        with pytest.raises(ValueError, match=f"5000 parameters are too few: one unit needs {least[cell.name]}"):
            hidden_size_for(cell, task, budget)
        return
    size = hidden_size_for(cell, task, budget)
    model = make_model(cell, task, size, "float32", 0)
    exact = sum(params.size - params.constant_size for params in model.params)
    assert exact == count_params(cell, task, size)
    assert abs(exact - budget) <= 0.05 * budget
    for other in (size - 1, size + 1):
        assert abs(count_params(cell, task, other) - budget) >= abs(exact - budget)


def test_a_cell_of_heads_grows_by_heads():
    whole = (Heads, {"heads": 4, "value": 4, "key": 2})
    given = [Heads, (Heads, {"key": 5, "keep": 0.5}), (Heads, {"heads": 4}), whole]
    assert [growing(entry_of(each), adding()) for each in given] == ["heads", "heads", "value", ""]
    results = compare([*given, "mlstm(heads=4)"], adding(6), QUICK)
    assert [each.status for each in results] == ["ok"] * 5
    names = ["heads", "heads(keep=0.5, key=5)", "heads(heads=4)", "heads(heads=4, value=4, key=2)", "mlstm(heads=4)"]
    assert [each.cell for each in results] == names
    for each in (*results[:3], results[4]):
        assert abs(each.params - 1500) <= 75
    first = results[0]
    assert first.hidden_size == 4 * first.sizes["heads"] and first.state == (4 + 3 * 4) * first.sizes["heads"]
    model = make_model(Heads, adding(6), first.hidden_size, "float32", 0, first.sizes)
    assert sum(params.size for params in model.params) == first.params
    assert results[3].params == 4 * (2 + 2 + 4) * 3 + 17 and results[3].as_dict()["sizes"]["key"] == 2


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("mlstm(head=4)", "cell 'mlstm' has neither a size nor an option 'head'"),
        ("mlstm(4)", r"'mlstm\(4\)' must be a name of a cell, or a name with .* mlstm\(heads=4\)"),
        ("mlstm(heads=4", "must be a name of a cell"),
        ("mlstm(heads=four)", "must be a name of a cell"),
        ("mlstm(heads=2.5)", "heads must be an integer, got 2.5"),
        ("mlstm(heads=0)", "heads must be at least 1, got 0"),
        ("mlstm(hidden_size=3)", "hidden_size cannot be given: the task and the number of parameters decide it"),
        ("cornn(dt='a')", "must be a name of a cell"),
    ],
)
def test_options_that_cannot_be_given(cell, message):
    with pytest.raises((TypeError, ValueError), match=message):
        compare([cell], adding(6), QUICK)


def test_the_command_takes_options_and_sizes(capsys):
    names = "lstm, mlstm(heads=2, key=3),cornn(dt=0.2)"
    assert cli.main(["compare", names, "--task", "adding", "--steps", "1", "--params", "900", "--seeds", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["cell", "hidden", "params", "state"]
    assert [line.split("  ")[0] for line in lines[1:4]] == ["lstm", "mlstm(heads=2, key=3)", "cornn(dt=0.2)"]
    assert cli.main(["check", "mlstm(heads=2, key=3)"]) == 0
    assert cli.main(["check", "mlstm(heeds=2)"]) == 2
    assert "neither a size nor an option 'heeds'" in capsys.readouterr().err


def test_sizes_without_default_are_half_of_the_hidden_size():
    (result,) = compare(["lstmp"], adding(8), QUICK)
    model = make_model("lstmp", adding(8), result.hidden_size, "float32", 0)
    assert result.status == "ok" and len(result.held_out) == 2
    assert result.hidden_size > 3 and model.layer.output_size == result.hidden_size // 2
    assert make_model("lstmp", adding(8), 1, "float32", 0).layer.output_size == 1


def test_a_budget_that_is_too_small():
    (result,) = compare(["lstm"], text(), Settings(params=50, steps=1))
    assert "50 parameters are too few" in result.status and not result.traces


def test_the_same_seeds_give_the_same_losses():
    once, again = (compare(["gru", "lstm"], adding(8), QUICK) for _ in range(2))
    for one, other in zip(once, again):
        assert [t.losses for t in one.traces] == [t.losses for t in other.traces]
        assert one.held_out == other.held_out
    assert once[0].traces[0].losses != once[0].traces[1].losses
    alone = compare(["lstm"], adding(8), QUICK)  # what is compared with does not matter
    assert [t.losses for t in alone[0].traces] == [t.losses for t in once[1].traces]
    assert next(adding(8).training(0)).x.sum() == next(adding(8).training(0)).x.sum()
    assert next(adding(8).training(0)).x.sum() != next(adding(8).training(1)).x.sum()


def test_a_cell_that_diverges_does_not_stop_the_others():
    results = compare([Exploding, "gru", NeedsTime], adding(30), QUICK)
    assert results[0].status == "diverged at step 1 (2 of 2 seeds)" and results[0].held_out == []
    assert results[1].status == "ok" and len(results[1].held_out) == 2
    assert results[2].status == "not tried: needs aux dt, which the task does not have"
    json.dumps([result.as_dict() for result in results], allow_nan=False)


def test_gradients_are_those_of_the_loss():
    task = copy(3)
    task = replace(task, held_out=[next(task.training(0))])
    model, source = make_model("lstm", task, 5, "float64", 0), Drawn(task, 0)
    value, grads, _ = source.gradients(model, 0, None)
    assert value == pytest.approx(source.held_out(model), rel=1e-12)
    for params, grad in zip(model.params, grads):
        for k in (0, params.size // 2, params.size - 1):
            before = params.flat[k]
            values = []
            for step in (1e-5, -1e-5):
                params.flat[k] = before + step
                values.append(source.held_out(model))
            params.flat[k] = before
            difference = (values[0] - values[1]) / 2e-5
            assert difference * np.log(2) == pytest.approx(grad.flat[k], rel=1e-5, abs=1e-9)


def test_the_adding_task():
    batch = adding(7).held_out[0]
    assert batch.x.shape == (7, 256, 2) and batch.targets.shape == (1, 256, 1)
    assert (batch.x[..., 1].sum(axis=0) == 2).all() and (batch.x[:3, :, 1].sum(axis=0) == 1).all()
    marked = [batch.x[batch.x[:, b, 1] == 1, b, 0].sum() for b in range(256)]
    np.testing.assert_allclose(batch.targets[0, :, 0], marked)
    trivial = squared_error(np.ones_like(batch.targets), batch.targets, 1 / 256)[0]
    assert trivial == pytest.approx(adding().baseline, rel=0.2)


def test_the_copy_task():
    batch = copy(4).held_out[0]
    assert batch.x.shape == (20, 256, 10) and (batch.x.sum(axis=-1) == 1).all()
    np.testing.assert_array_equal(batch.x[:8].argmax(axis=-1), batch.targets)
    assert (batch.x[8:].argmax(axis=-1) >= 8).all() and (batch.x[11].argmax(axis=-1) == 9).all()


def test_the_text_task_carries_states():
    task = text(16)
    first, second = (batch for batch, _ in zip(task.training(3), range(2)))
    assert not first.carry and second.carry
    np.testing.assert_array_equal(first.x[1:], first.targets[:-1])
    np.testing.assert_array_equal(first.targets[-1], second.x[0])


def test_states_are_carried_in_training_and_on_held_out_data():
    whole = text(16)

    def forgetful(seed):
        return (batch._replace(carry=False) for batch in whole.training(seed))

    apart = replace(whole, training=forgetful)
    alone = replace(whole, held_out=[batch._replace(carry=False) for batch in whole.held_out])
    tasks = (whole, apart, alone)
    traces = [compare(["gru"], task, Settings(params=6000, steps=2, seeds=1))[0].traces[0] for task in tasks]
    assert traces[0].losses[0] == traces[1].losses[0] and traces[0].losses[1] != traces[1].losses[1]
    assert traces[0].losses == traces[2].losses and traces[0].held_out != traces[2].held_out


def test_digits_are_held_out_and_need_an_extra(monkeypatch):
    pytest.importorskip("sklearn")
    task = digits()
    held = {bytes(column) for column in task.held_out[0].x[:, :, 0].T}
    batch = next(task.training(0))
    assert batch.x.shape == (64, 32, 1) and 0 <= batch.x.min() < batch.x.max() <= 1
    assert not held & {bytes(column) for column in batch.x[:, :, 0].T}
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'pylstm\[sklearn\]'"):
        digits()


def test_minutes_are_a_budget():
    (result,) = compare(["gru"], adding(5), Settings(params=300, steps=None, minutes=0.1 / 60, seeds=1))
    seconds = result.traces[0].seconds
    assert seconds[-2] < 0.1 <= seconds[-1]


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"steps": 3, "minutes": 1.0}, {"steps": None}, {"lr": float("nan")}, {"params": -1}]
)
def test_settings_are_checked(wrong):
    with pytest.raises(ValueError, match=r"must be above 0|either steps or minutes"):
        Settings(**wrong)


def test_the_table(capsys, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from pylstm.cells import Cell, tanh\n\n\nclass Mine(Cell):\n    states = ('h',)\n    gates = {'a': 'x+h'}\n\n"
        "    def forward(z, prev):\n        return dict(h=0.5 * (prev.h + tanh(z.a)))\n"
    )
    arguments = ["--task", "adding", "--params", "600", "--steps", "3", "--seeds", "2", "--length", "6"]
    assert cli.main(["compare", f"lstm,{file}:Mine", *arguments]) == 0
    header, lstm, mine, about = capsys.readouterr().out.splitlines()
    assert header.split() == ["cell", "hidden", "params", "state", "loss", "seeds", "steps", "ms/step", "status"]
    assert lstm.split()[0] == "lstm" and lstm.split()[-1] == "ok" and mine.split()[0] == "mine"
    assert about == "task adding: held-out loss in squared error; always the mean: 0.1667"
    assert cli.main(["compare", "lstm", *arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["settings"]["seeds"] == 2 and len(found["cells"][0]["traces"][1]["losses"]) == 3
    mean = np.mean([trace["held_out"] for trace in found["cells"][0]["traces"]])
    assert lstm.split()[4] == f"{mean:.4g}"


def test_what_is_refused_before_training(capsys):
    assert cli.main(["compare", "lstmm", "--task", "copy"]) == 2
    assert "lstm" in capsys.readouterr().err
    assert cli.main(["compare", "lstm", "--task", "copy", "--plot", "no/such/folder/a.png"]) == 2
    assert cli.main(["compare", "lstm", "--task", "copy", "--plot", "a.txt"]) == 2
    assert cli.main(["compare", ",", "--task", "copy"]) == 2
    with pytest.raises(SystemExit, match="2"):
        cli.main(["compare", "lstm", "--task", "copy", "--length", "0"])
    assert "argument --length: must be at least 1, got 0" in capsys.readouterr().err


def test_all_cells_failed(capsys):
    assert cli.main(["compare", "lstm", "--task", "copy", "--params", "5", "--steps", "1"]) == 1
    assert "too few" in capsys.readouterr().out


def test_the_plot(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = tmp_path / "plot.png"
    arguments = ["--task", "adding", "--params", "500", "--steps", "5", "--seeds", "2", "--plot", str(path)]
    assert cli.main(["compare", "gru,rnn_tanh", *arguments]) == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    results = compare([Exploding, "gru", NeedsTime], adding(30), QUICK)
    seconds, losses, steps = curves(results[1])
    assert losses.shape == (2, 4) and list(steps) == [1, 2, 3, 4] and len(seconds) == 4
    plot(results, adding(30), tmp_path / "plot.svg")
    drawn = (tmp_path / "plot.svg").read_text()
    assert "seconds of training" in drawn and "gru" in drawn and "exploding" not in drawn and "needstime" not in drawn


@pytest.mark.slow
def test_the_lstm_learns_to_add():
    task = adding(20)
    (result,) = compare(["lstm"], task, Settings(params=1500, steps=600, seeds=2, lr=0.02))
    assert max(result.held_out) < task.baseline / 5


def test_held_out_loss_is_the_mean_over_targets():
    task = adding(6)
    whole = task.held_out[0]
    parts = [Batch(whole.x[:, rows], whole.targets[:, rows]) for rows in (slice(0, 200), slice(200, 256))]
    model = make_model("gru", task, 4, "float64", 0)
    split = Drawn(replace(task, held_out=parts), 0)
    assert Drawn(task, 0).held_out(model) == pytest.approx(split.held_out(model), rel=1e-12)
