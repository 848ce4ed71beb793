"""The table of works: which sizes, who takes part, and what is to be reached."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from .problem import Size

SIZES = [
    Size(*each)
    for each in (
        (1, 100, 8), (1, 100, 32), (1, 100, 128), (1, 100, 512), (1, 1000, 64), (16, 100, 16),
        (32, 100, 32), (32, 100, 64), (32, 100, 128), (32, 100, 256), (64, 100, 512),
    )
]  # fmt: skip
HUNDRED = [size for size in SIZES if size.T == 100]
DOUBLE = [size for size in SIZES if size in ((1, 100, 8), (1, 100, 32), (32, 100, 32), (32, 100, 128), (64, 100, 512))]
SHARED = [size for size in SIZES if size.B >= 16 or size == (1, 100, 512)]
LARGE = [size for size in SIZES if size.B >= 32 and size.H >= 128]
DIAGONAL = [Size(1, 10_000, 64), Size(8, 10_000, 64), Size(8, 1000, 64)]
UNITS = (8, 32, 128)
QUICK = 10**8
"""``--quick`` leaves out sizes of more multiplications by recurrent weights, B T H^2, than this."""


@dataclass(frozen=True)
class Target:
    """Time of the fastest of `over` by the time of `under`: a geometric mean over the sizes, and the worst size."""

    over: tuple[str, ...]
    under: str = "pylstm"
    mean: float | None = None
    worst: float | None = None
    at_most: bool = False

    @property
    def label(self) -> str:
        return f"{'best' if len(self.over) > 1 else self.over[0]} / {self.under}"

    def meets(self, value: float, wanted: float | None) -> bool:
        return wanted is None or (value <= wanted if self.at_most else value >= wanted)


@dataclass(frozen=True)
class Work:
    """One panel of the plot.

    Attributes
    ----------
    entrants : dict
        Name in the table -> (module of this package, function in it, fields of the `Problem` that differ).
    of_problem : dict
        Fields of the `Problem` that all share.
    of_size : dict
        Fields of the `Size` that do not come from a size that the user asks for.
    agree : bool
        Whether all entrants compute the same.
    """

    name: str
    title: str
    sizes: list[Size]
    entrants: dict[str, tuple[str, str, dict[str, Any]]]
    of_problem: dict[str, Any]
    targets: tuple[Target, ...]
    of_size: dict[str, int] | None = None
    threads: int = 1
    agree: bool = True

    def chosen(self, sizes: list[Size] | None, quick: bool) -> list[Size]:
        """The sizes to run: those asked for, or the table's."""
        if sizes:
            return list(dict.fromkeys(size._replace(**self.of_size or {}) for size in sizes))
        return [size for size in self.sizes if not quick or size.B * size.T * size.H**2 <= QUICK]


def _libraries(kind: str, *peers: str) -> dict[str, tuple[str, str, dict[str, Any]]]:
    return {name: (f"of_{name}", kind, {}) for name in ("pylstm", *peers)}


def _against(kind: str, cell: str, dtype: str, peers: tuple[str, ...], sizes: list[Size], mean: float, worst: float):
    """A whole-sequence work of pylstm against libraries."""
    double = dtype == "float64"
    label = cell.removesuffix("_tanh")
    return Work(
        f"{label}-{kind}{'-float64' if double else ''}",
        f"{label.upper()} {dtype} {'training' if kind == 'train' else 'inference'}",
        sizes,
        _libraries(kind, *peers),
        {"cell": cell, "dtype": dtype},
        (Target(peers, mean=mean, worst=worst),),
    )


def _feed(cell: str) -> Work:
    return Work(
        f"{cell}-feed",
        f"{cell.upper()}, 480 steps of a stream in a call",
        [Size(1, 480, units) for units in UNITS],
        _libraries("feed", "onnxruntime") | {"RTNeural": ("machine", "rtneural", {})},
        {"cell": cell, "input_size": 1},
        (Target(("RTNeural",), mean=1.0, worst=0.8),),
        {"B": 1, "T": 480},
    )


def with_rtneural(work: Work) -> Work:
    """`work`, and where RTNeural's published figures take part in it, RTNeural itself."""
    if "RTNeural" not in work.entrants:
        return work
    entrants = work.entrants | {"RTNeural here": ("of_rtneural", "feed", {})}
    return replace(work, entrants=entrants, targets=(*work.targets, Target(("RTNeural here",), mean=1.0, worst=0.8)))


WORKS = (
    _against("train", "lstm", "float32", ("torch", "jax"), SIZES, 1.8, 1.05),
    _against("infer", "lstm", "float32", ("torch", "onnxruntime", "openvino", "jax"), SIZES, 1.3, 1.0),
    _against("train", "gru", "float32", ("torch",), HUNDRED, 8, 1.1),
    _against("infer", "gru", "float32", ("torch", "onnxruntime", "openvino"), SIZES, 1.5, 1.0),
    _against("train", "rnn_tanh", "float32", ("torch",), HUNDRED, 8, 1.1),
    _against("infer", "rnn_tanh", "float32", ("torch", "onnxruntime", "openvino"), HUNDRED, 1.5, 1.0),
    _against("train", "lstm", "float64", ("torch",), DOUBLE, 6, 1.3),
    _against("train", "gru", "float64", ("torch",), DOUBLE, 7, 1.3),
    Work(
        "lstm-step",
        "LSTM, one step of a stream",
        [Size(1, 1, units) for units in UNITS],
        _libraries("step", "onnxruntime", "torch"),
        {"cell": "lstm"},
        (Target(("onnxruntime",), mean=8), Target(("torch",), mean=12)),
        {"B": 1, "T": 1},
    ),
    _feed("lstm"),
    _feed("gru"),
    Work(
        "lstm-float64-cost",
        "LSTM training, float64 by float32",
        SIZES,
        {"float64": ("of_pylstm", "train", {"dtype": "float64"}), "float32": ("of_pylstm", "train", {})},
        {"cell": "lstm"},
        (Target(("float64",), "float32", mean=2.2, at_most=True),),
    ),
    Work(
        "lstm-peak",
        "LSTM float32 training and the peak",
        LARGE,
        _libraries("train") | {"peak": ("machine", "lstm_training_at_peak", {})},
        {"cell": "lstm"},
        (Target(("peak",), worst=0.9),),
    ),
    Work(
        "plugins",
        "Training, plugins beside the LSTM",
        [size for size in SIZES if size.H < 256],
        {name: ("of_pylstm", "train", {"cell": name}) for name in ("lstm", "peephole", "cifg")},
        {},
        (
            Target(("peephole",), "lstm", mean=1.1, at_most=True),
            Target(("cifg",), "lstm", mean=1.1, at_most=True),
        ),
        agree=False,
    ),
    Work(
        "lstm-train-2-threads",
        "LSTM float32 training, two threads",
        SHARED,
        _libraries("train", "torch"),
        {"cell": "lstm"},
        (Target(("torch",), mean=1.3, worst=1.0),),
        threads=2,
    ),
    Work(
        "mingru-train-2-threads",
        "Minimal GRU float32 training, two threads",
        DIAGONAL,
        {
            "pylstm": ("of_pylstm", "train", {}),
            "jax scan": ("of_jax", "train_mingru", {}),
            "jax associative": ("of_jax", "train_mingru_associative", {}),
        },
        {"cell": "mingru"},
        (Target(("jax scan", "jax associative"), worst=1.0),),
        threads=2,
    ),
)
BY_NAME = {work.name: work for work in WORKS}
LIBRARIES = ("pylstm", "torch", "onnxruntime", "openvino", "jax")
