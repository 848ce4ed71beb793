"""`compare`: a fair comparison of cells, with the same number of parameters, data and seeds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from pylstm.cells.cell import Cell
from pylstm.checks import check_positive, listed, quoted, seeds_of
from pylstm.comparing.sizing import Entry, count_params, entry_of, extra_sizes, sizes_for, state_size
from pylstm.comparing.tasks import TASKS, Batch, Task
from pylstm.feedforward.embedding import Embedding
from pylstm.feedforward.linear import Linear
from pylstm.hints import explained, explained_constructor
from pylstm.layers.arguments import find_cell
from pylstm.layers.named import Recurrent
from pylstm.losses.classification import softmax_cross_entropy
from pylstm.losses.regression import squared_error
from pylstm.models.passes import Pass
from pylstm.models.sequence_model import SequenceModel
from pylstm.optim.optimisers import Adam
from pylstm.training.budget import Budget
from pylstm.training.divergence import TrainingDiverged
from pylstm.training.following import Follower, followed
from pylstm.training.loop import Loop
from pylstm.training.sources import Source


@explained_constructor
@dataclass(frozen=True)
class Settings:
    """Settings that all cells share.

    Attributes
    ----------
    params : int
        Parameters of the whole model; the hidden size of each cell is the one that comes nearest.
    steps : int or None
        Steps of the optimiser.
    minutes : float or None
        In place of `steps`: minutes of training for each cell and seed.
    seeds : int
        Number of runs of each cell, with the seeds 0, 1, ...
    lr, clip : float
        Learning rate of Adam, and largest norm of the gradient.
    dtype : {"float32", "float64"}

    Raises
    ------
    ValueError
        A number out of range; neither steps nor minutes, or both.

    Examples
    --------
    >>> from pylstm.comparing import Settings
    >>> Settings(params=2000, steps=None, minutes=0.5)
    Settings(params=2000, steps=None, minutes=0.5, seeds=3, lr=0.005, clip=1.0, dtype='float32')
    """

    params: int = 10_000
    steps: int | None = 500
    minutes: float | None = None
    seeds: int = 3
    lr: float = 5e-3
    clip: float = 1.0
    dtype: Any = "float32"

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("the budget must be either steps or minutes, not both or neither")
        for name in ("params", "steps", "minutes", "seeds", "lr", "clip"):
            value = getattr(self, name)
            if value is not None:
                check_positive(name, value)

    @property
    def budget(self) -> Budget:
        """Budget of each run."""
        return Budget(self.minutes, steps=self.steps)


@dataclass
class Trace:
    """One training run: the loss of each step before it, and the seconds of training after it."""

    seed: int
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    held_out: float = math.nan
    diverged: int | None = None


@explained_constructor
@dataclass
class Result:
    """All runs of one cell.

    Attributes
    ----------
    cell : str
        Name, with the options and sizes that were given: ``mlstm(heads=4)``.
    hidden_size, params : int
        0 where the cell could not be tried.
    sizes : dict
        Its other sizes that are not the defaults.
    state : int
        How many numbers a row of the batch remembers.
    traces : list of Trace
    problem : str
        Why it could not be tried; ``""`` otherwise.

    Examples
    --------
    >>> from pylstm.comparing import Settings, compare
    >>> (result,) = compare(["gru"], "adding", Settings(params=2000, steps=3, seeds=2))
    >>> result.cell, result.params, len(result.traces), len(result.traces[0].losses), result.status
    ('gru', 1993, 2, 3, 'ok')
    """

    cell: str
    hidden_size: int = 0
    params: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    state: int = 0
    traces: list[Trace] = field(default_factory=list)
    problem: str = ""

    @property
    def status(self) -> str:
        """``"ok"``, ``"diverged at step ... (n of m seeds)"``, or ``"not tried: ..."``."""
        if self.problem:
            return f"not tried: {self.problem}"
        failed = [trace.diverged for trace in self.traces if trace.diverged is not None]
        if not failed:
            return "ok"
        return f"diverged at step {min(failed)} ({len(failed)} of {len(self.traces)} seeds)"

    @property
    def held_out(self) -> list[float]:
        """Losses on held-out data, of the runs that did not diverge."""
        return [trace.held_out for trace in self.traces if trace.diverged is None]

    def as_dict(self) -> dict[str, Any]:
        """The comparison as JSON can hold it."""
        traces = [vars(trace) | {"held_out": _finite(trace.held_out)} for trace in self.traces]
        head = {"cell": self.cell, "hidden_size": self.hidden_size, "params": self.params, "status": self.status}
        head |= {"sizes": self.sizes, "state": self.state}
        return head | {"traces": [each | {"losses": [_finite(x) for x in each["losses"]]} for each in traces]}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def make_model(
    cell: Any, task: Task, hidden_size: int, dtype: Any, seed: int, sizes: Mapping[str, int] | None = None
) -> SequenceModel:
    """``[Embedding ->] Recurrent -> Linear``, for a task."""
    seeds = seeds_of(seed, 3)
    parts: dict[str, Any] = {}
    if task.vocabulary:
        parts["embedding"] = Embedding(task.vocabulary, task.input_size, dtype=dtype, seed=seeds[0])
    extra: dict[str, Any] = {**extra_sizes(find_cell(cell), hidden_size), **(sizes or {})}
    layer = parts["layer"] = Recurrent(cell, task.input_size, hidden_size, dtype=dtype, seed=seeds[1], **extra)
    parts["head"] = Linear(layer.output_size, task.output_size, dtype=dtype, seed=seeds[2])
    loss = {"classes": "softmax_cross_entropy", "numbers": "mean_squared_error"}[task.kind]
    return SequenceModel.from_parts(parts, {"read": "every", "loss": loss, "loss_options": {}})


Report = Callable[[str, Trace], None]


@explained("compare option")
def compare(
    cells: Iterable[str | type[Cell] | tuple[str | type[Cell], Mapping[str, Any]]],
    task: Task | Literal["copy", "adding", "digits", "text"],
    settings: Settings | None = None,
    report: Report = lambda cell, trace: None,
) -> list[Result]:
    """Train each cell on a task, all with the same number of parameters, data and seeds.

    Parameters
    ----------
    cells : sequence of str, Cell subclasses or pairs
        A name, ``"mlstm(heads=4)"`` with options and sizes, a class, or ``(MyCell, {"heads": 4})``.
    task : Task or {"copy", "adding", "digits", "text"}
    settings : Settings, optional
    report : callable
        Called with the cell's name and the trace after every step.

    Returns
    -------
    list of Result
        In the order of `cells`. A cell that diverges, or cannot be tried, does not stop the others.

    Raises
    ------
    LookupError, TypeError
        The cell or the task does not exist.

    Examples
    --------
    >>> results = compare(["lstm", "gru"], "adding", Settings(params=2000, steps=2, seeds=1))
    >>> [(r.cell, r.hidden_size, r.params, r.status) for r in results]
    [('lstm', 21, 2038, 'ok'), ('gru', 24, 1993, 'ok')]
    """
    found = list(map(entry_of, listed("cells", cells, "names or classes of cells, such as ['lstm', 'gru']")))
    settings = settings or Settings()
    if isinstance(task, str):
        if task not in TASKS:
            raise LookupError(f"unknown task {task!r} (known: {', '.join(TASKS)})")
        task = TASKS[task]()
    if not isinstance(task, Task):
        raise TypeError(f"task must be a Task, or one of {', '.join(TASKS)}, got {quoted(task)}")
    if not isinstance(settings, Settings):
        raise TypeError(f"settings must be a Settings: Settings(steps=100), got {quoted(settings)}")
    results = [(_prepare(each, task, settings), each.cell) for each in found]
    for seed in range(settings.seeds):
        runs = []
        for result, cell in results:
            if not result.problem:
                run = Run(cell, task, result, settings, seed)
                result.traces.append(run.trace)
                runs.append((run.turns(), run))
        while runs:  # in turn, step by step: what else the machine does meets all of them alike
            runs = [pair for pair in runs if _advance(*pair, report)]
    return [result for result, _ in results]


def _prepare(entry: Entry, task: Task, settings: Settings) -> Result:
    """The sizes of a cell's models, or why there can be none."""
    result, cell = Result(entry.name), entry.cell
    needed = [name for name in cell.contract.aux if name != "x"]
    if needed:
        result.problem = f"needs aux {', '.join(needed)}, which the task does not have"
        return result
    try:
        result.hidden_size, result.sizes = sizes_for(entry, task, settings.params)
    except (TypeError, ValueError) as error:
        result.problem = str(error)
        return result
    result.params = count_params(cell, task, result.hidden_size, result.sizes)
    result.state = state_size(cell, task, result.hidden_size, result.sizes)
    return result


def _advance(run: Iterator[None], each: Run, report: Report) -> bool:
    """One step of a run; returns whether it continues."""
    with np.errstate(all="ignore"):  # a net that diverges says so by its loss
        goes_on = next(run, StopIteration) is None
    if goes_on:
        report(each.cell, each.trace)
    return goes_on


class Drawn(Source):
    """Batches of a task, without end and without epochs; losses are in the unit of the task."""

    def __init__(self, task: Task, seed: int) -> None:
        self.task, self._batches, self._drawn = task, task.training(seed), 0

    def draw(self, step: int) -> Batch:
        """Batch number `step`: the last one drawn, or the next."""
        if self._drawn == step:
            self._batch, self._drawn = next(self._batches), step + 1
        return self._batch

    def gradients(self, model: SequenceModel, step: int, states: Any) -> tuple[float, Any, Any]:
        """Loss and gradients of a batch, from the states of the batch before where it carries them on."""
        forward, value, dout = self._through(model, self.draw(step), states, tape=True)
        return value, forward.backward(dout), forward.states()

    def held_out(self, model: SequenceModel) -> float:
        """Mean loss over all held-out targets."""
        total, count, states = 0.0, 0, None
        for batch in self.task.held_out:
            forward, value, _ = self._through(model, batch, states, tape=False)
            total, count, states = total + value * batch.targets.size, count + batch.targets.size, forward.states()
        return total / count

    def _through(self, model: SequenceModel, batch: Batch, states: Any, *, tape: bool) -> tuple[Pass, float, Any]:
        x = batch.x if self.task.vocabulary else batch.x.astype(model.layer.dtype)
        forward = Pass(model, x, initial=states if batch.carry else None, last=len(batch.targets), tape=tape)
        if self.task.kind == "classes":
            value, dout = softmax_cross_entropy(forward.out, batch.targets)
        else:
            value, dout = squared_error(forward.out, batch.targets.astype(forward.out.dtype), 1 / forward.out.size)
        return forward, value / (math.log(2) if self.task.unit == "bits" else 1.0), dout


class Run(Loop):
    """One cell with one seed in training; its `trace`. `seconds` are those of its own steps."""

    source: Drawn

    def __init__(self, cell: Any, task: Task, result: Result, settings: Settings, seed: int) -> None:
        model = make_model(cell, task, result.hidden_size, settings.dtype, seed, result.sizes)
        super().__init__(model, Drawn(task, seed), Adam(model.params, settings.lr), clip=settings.clip)
        self.cell, self.trace, self.budget = result.cell, Trace(seed, self.history.steps), settings.budget

    def turns(self) -> Iterator[None]:
        """A step at each `next`; at the end the loss on held-out data."""
        with followed(self) as follower:
            while self._goes_on(self.budget):
                self._advance(follower)
                if self._stop != "diverged":
                    yield
            self.history.stopped = self._stop or self.spent
        if self.trace.diverged is None:
            self.trace.held_out = self.source.held_out(self.model)
            self.trace.diverged = None if math.isfinite(self.trace.held_out) else self.step

    def _advance(self, follower: Follower) -> None:
        self.source.draw(self.step)
        start = time.perf_counter()
        try:
            self._train_step()
        except TrainingDiverged:
            self._stop, self.trace.diverged = "diverged", self.step + 1
            return
        self.seconds += time.perf_counter() - start
        self.trace.seconds.append(self.seconds)
        self._tell(follower)
