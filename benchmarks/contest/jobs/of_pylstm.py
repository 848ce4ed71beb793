"""pylstm in a job: the trainers behind `pylstm.fit` and `pylstm train text`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .tasks import BATCHES, CLIP, LEARNING_RATE, PEEPHOLES, Job, torch_layout


def train(job: Job) -> Callable[[int], list[float]]:
    """Trains for so many steps more; their losses."""
    return _train_text(job) if job.task.text else _train_rows(job)


def infer(job: Job) -> Callable[[], np.ndarray]:
    """Outputs of the head for the first batch."""
    x, model = job.batch(0)[0], (_text_trainer(job).model if job.task.text else _rows_model(job))
    return (lambda: model.logits(x)[0]) if job.task.text else (lambda: model.predict(x))


def _train_text(job: Job) -> Callable[[int], list[float]]:
    from pylstm.text.settings import Budget

    trainer = _text_trainer(job)

    def run(steps: int) -> list[float]:
        trainer.run(Budget(steps=trainer.step + steps))
        return [bits * float(np.log(2)) for bits in trainer.history.steps[-steps:]]

    return run


def _text_trainer(job: Job) -> Any:
    """`TextTrainer` on a text whose characters have the indices of the job; the rate stays as the peers' does."""
    import pylstm
    from pylstm.text.settings import TextSettings
    from pylstm.text.trainer import TextTrainer

    task = job.task
    text = "".join(map(chr, 255 + job["indices"]))
    settings = TextSettings(
        cell=_cell(job.cell),
        hidden_size=task.H,
        embedding_size=task.I,
        batch_size=task.B,
        length=task.T,
        clip=CLIP,
        validation=1e-9,
    )
    trainer = TextTrainer(text + text[:2], settings)  # two characters are held out
    trainer.schedule, trainer.optimiser = None, pylstm.Adam(trainer.model.params, LEARNING_RATE)
    trainer.model.embedding.params["weight"] = job["embedding"]
    _set_weights(trainer.model, job)
    return trainer


def _train_rows(job: Job) -> Callable[[int], list[float]]:
    import pylstm

    model = _rows_model(job)
    optimiser = pylstm.Adam(model.params, LEARNING_RATE)
    options = {"batch_size": job.task.B, "clip": CLIP, "shuffle": False, "progress": False}
    trainer = pylstm.Trainer(model, (job["x"], job["y"]), optimiser=optimiser, **options)

    def run(steps: int) -> list[float]:
        trainer.epochs = (trainer.step + steps) / BATCHES
        trainer.run()
        return trainer.history.steps[-steps:]

    return run


def _rows_model(job: Job) -> Any:
    import pylstm

    task = job.task
    model = pylstm.SequenceModel(_cell(job.cell), task.I, task.H, task.K, loss="softmax_cross_entropy")
    _set_weights(model, job)
    return model


def _set_weights(model: Any, job: Job) -> None:
    from pylstm.interop.torch import load_state_dict

    if job.cell == "formula":
        weights = {"weight_x": job["W"], "weight_h": job["U"], "bias": job["b"]}
        model.layer.params.update(weights | {name: job[name] for name in PEEPHOLES})
    else:
        load_state_dict(model.layer, torch_layout(job))
    model.head.params.update({"weight": job["head_weight"], "bias": job["head_bias"]})


def _cell(name: str) -> Any:
    """A name, or the formula as a user writes it."""
    if name != "formula":
        return name
    from pylstm import Cell, sigmoid, tanh

    class Formula(Cell):
        """An LSTM with peepholes."""

        states = ("h", "c")
        gates = dict(i="x+h", f="x+h", g="x+h", o="x+h")
        params = PEEPHOLES

        def forward(z, prev, p):
            i = sigmoid(z.i + p.p_i * prev.c)
            f = sigmoid(z.f + p.p_f * prev.c)
            c = f * prev.c + i * tanh(z.g)
            o = sigmoid(z.o + p.p_o * c)
            return dict(h=o * tanh(c), c=c)

    return Formula
