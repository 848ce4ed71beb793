"""`History`: losses, rates and times of a fit."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

import numpy as np

from pylstm.hints import Hinted, explained_constructor
from pylstm.schema import Entries


@explained_constructor
@dataclass
class History(Hinted, hints="history"):
    """Losses of a fit.

    Attributes
    ----------
    steps : list of float
        Loss of every batch, before its step.
    norms : list of float
        Norm of every gradient, before clipping.
    loss : list of float
        Of every epoch: mean over its batches, weighed by their rows.
    validation_loss : list of float
        Of every epoch, after it; empty without validation data.
    lr : list of float
        Learning rate of the last step of every epoch.
    best_epoch : int
        Epoch, from 0, with the lowest validation loss; -1 for none.
    stopped : str
        Why the fit ended: "epochs", "early", "callback" or "interrupted"; "" while it runs. Others: see `fit_lbfgs`;
        training on a text and comparisons end with "budget", and a run of a comparison with "diverged".

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> x = np.random.default_rng(0).normal(size=(20, 7, 3)).astype("float32")
    >>> history = pylstm.fit(pylstm.SequenceModel("gru", 3, 4, 1, seed=0), (x, x[:, -1, :1]), epochs=2, batch_size=10)
    >>> len(history.steps), len(history.loss), history.stopped
    (4, 2, 'epochs')
    """

    steps: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    best_epoch: int = -1
    stopped: str = ""

    def __getitem__(self, name: str) -> NoReturn:
        raise TypeError("a history is not a dict: history.loss and history.validation_loss are its lists")

    def state_dict(self) -> dict[str, Any]:
        """The history for a checkpoint: lists as float64 arrays."""
        return {
            name: np.array(value, "f8") if isinstance(value, list) else value for name, value in asdict(self).items()
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], steps: int, epochs: int) -> History:
        """The inverse of `state_dict`, of a fit of that many steps and ended epochs."""
        says, usual = Entries(state, "history"), cls().state_dict()
        says.only(usual)
        for name in usual:
            value = says.get(name)
            if type(value) is not type(usual[name]) or (isinstance(value, np.ndarray) and value.ndim != 1):
                says.refuse(f"must be of type {type(usual[name]).__name__}", value, name)
        values = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in state.items()}
        history = cls(**values)
        judged = epochs if history.validation_loss else 0
        counts = {"steps": steps, "norms": steps, "loss": epochs, "lr": epochs, "validation_loss": judged}
        for name, count in counts.items():
            if len(values[name]) != count:
                says.refuse(f"must have {count} values, as counts say", len(values[name]), name)
        if not -1 <= history.best_epoch < judged:
            says.refuse(f"must be in -1..{judged - 1}", history.best_epoch, "best_epoch")
        return history
