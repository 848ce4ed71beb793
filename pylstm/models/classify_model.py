"""`ClassifyModel`: a classifier of sequences, with standardisation of the features and names of the classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np

from pylstm.cells.cell import Cell
from pylstm.checks import Dtype, Integer, check_dtype, check_flag, check_share, check_size, listed
from pylstm.data.finite import refuse_array
from pylstm.data.scaling import pack, pieces_of, scale_of_pieces
from pylstm.data.sequences import Rows, Sequences
from pylstm.data.stored import Stored, StoredSequences, lazily
from pylstm.data.views import VIEWS, seen
from pylstm.hints import explained
from pylstm.models.body import check_head_sizes
from pylstm.models.fitted import OWN, FittedModel, NetOptions, check_net
from pylstm.models.reading import OF_ROWS
from pylstm.models.restoring import constructor_options, held, leaf_of, own_options
from pylstm.models.sequence_model import SequenceModel
from pylstm.schema import Entries, as_array
from pylstm.training.history import History
from pylstm.training.refit import all_or_nothing

if TYPE_CHECKING:
    from pylstm.arrays import HasArray


class ClassifyModel(FittedModel, kind="classify_model"):
    """Classes of sequences of one length or of several; what `pylstm train classify` trains and saves.

    Parameters
    ----------
    classes : sequence of str
        Names of the classes, in the order of their numbers.
    cell : str or Cell subclass
    hidden_size : int
    num_layers, bidirectional, dropout, head_sizes, read
        As for `SequenceModel`.
    dtype : {"float32", "float64"}
    seed : int
    **options
        Sizes and options of the cell; activation, residual, loss_options of `SequenceModel`; bias, learn_initial,
        certified of `Recurrent`.

    Attributes
    ----------
    net : SequenceModel
        After `fit`.
    scale : ndarray, shape (2, I)
        Mean and deviation of every feature over all steps that were trained on.
    view : {"steps", "differences", "normalised"}
        What the net sees of a sequence (`pylstm.data.views`); `scale` has as many columns.

    Raises
    ------
    ValueError
        Fewer than two classes, or the same twice.

    Examples
    --------
    >>> x = [np.full((steps, 1), float(steps % 2)) for steps in (3, 4, 5, 6)]
    >>> model = ClassifyModel(["even", "odd"], "gru", 4, seed=0)
    >>> history = model.fit(x, [1, 0, 1, 0], epochs=30, lr=0.02)
    >>> model.predict(x), model.probabilities(x).shape
    (array([1, 0, 1, 0]), (4, 2))
    """

    task = "classify"
    """What `pylstm evaluate` and `pylstm predict` do with it."""

    def __init__(
        self,
        classes: Sequence[str],
        cell: str | type[Cell] = "lstm",
        hidden_size: int = 64,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        head_sizes: Iterable[int] = (),
        read: Literal["last", "mean", "max", "stats"] = "last",
        dtype: Dtype = "float32",
        seed: Integer = 0,
        **options: Unpack[NetOptions],
    ) -> None:
        self.classes = tuple(listed("classes", classes))
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"at least two different classes are needed, got {', '.join(self.classes) or 'none'}")
        if str(read) == "every":
            raise ValueError("read must be last, mean, max or stats, since a class belongs to a whole sequence")
        if str(read) not in OF_ROWS:
            raise ValueError(f"read must be last, mean, max or stats, got {read!r}")
        check_net(type(self), cell, options, ("loss", *OWN))
        self._net: dict[str, Any] = {"num_layers": check_size("num_layers", num_layers)}
        self._net |= {
            "bidirectional": check_flag("bidirectional", bidirectional),
            "dropout": check_share("dropout", dropout),
        }
        self._net |= {"head_sizes": check_head_sizes(head_sizes), "dtype": dtype, "seed": seed, "read": read} | options
        self.cell, self.hidden_size = cell, check_size("hidden_size", hidden_size)
        self.dtype = check_dtype(dtype).name

    view = "steps"

    @classmethod
    def around(
        cls, net: SequenceModel, classes: Sequence[str], scale: np.ndarray, view: str = "steps"
    ) -> ClassifyModel:
        """A fitted model of a net with this standardisation (2, I) of its input; shared, not copied."""
        layer = leaf_of(net.layer)
        read: Any = net.read
        model = cls(classes, layer.cell, layer.hidden_size, dtype=net.layer.dtype, read=read)
        model.net, model.scale, model.view = net, scale, view
        return model

    @all_or_nothing
    @explained()
    def fit(
        self,
        x: Rows,
        y: HasArray | Sequence[Any],
        *,
        epochs: int = 30,
        batch_size: int = 32,
        lr: float = 0.01,
        **options: Any,
    ) -> History:
        """Train from new parameters. A fit that fails leaves the model as it was.

        Parameters
        ----------
        x : list of array_like (T_i, I), array_like (N, T, I), or Sequences
            An array that is not in memory is read by batch, as by `pylstm.fit`.
        y : array_like of int, shape (N,)
            Numbers of the classes.
        epochs, batch_size : int
        lr : float
            Of `Adam` at the first step; falls to 0 as half a cosine wave.
        **options
            Of `pylstm.fit`: validation (a share), patience, clip, seed, callbacks, checkpoint, resume, progress,
            optimiser, schedule.

        Raises
        ------
        TypeError, ValueError, TrainingDiverged
            Other shapes, numbers of classes that there are not, values that are not finite; as `pylstm.fit`.
        """
        rows = _rows(x)
        y = np.asarray(y)
        if y.shape != (len(rows),) or y.dtype.kind not in "iu":
            cure = (
                ": pass numbers of the classes, [model.classes.index(each) for each in y]"
                if y.dtype.kind in "US"
                else ""
            )
            raise ValueError(
                f"y must be integers of shape ({len(rows)},), one for each sequence, got {y.dtype} of shape "
                f"{y.shape}{cure}"
            )
        if y.min() < 0 or y.max() >= len(self.classes):
            raise ValueError(f"y must be in 0..{len(self.classes) - 1}, got {y.min()}..{y.max()}")
        if not isinstance(rows, Stored) and not any(map(len, rows)):
            raise ValueError("x must have at least one step, got none")
        self.scale = scale_of_pieces(pieces_of(rows))
        net = SequenceModel(
            self.cell, _width(rows), self.hidden_size, len(self.classes), loss="softmax_cross_entropy", **self._net
        )
        return self._fit_net(net, (self._standardised(rows), y), epochs=epochs, batch_size=batch_size, lr=lr, **options)

    @explained()
    def probabilities(self, x: Rows) -> np.ndarray:
        """Probability of each class for each sequence: float64, (N, K).

        Raises
        ------
        RuntimeError
            There was no `fit`.
        ValueError
            Other features than those of the fit; values that are not finite.
        """
        net = self._need_net()
        odds: np.ndarray = np.exp(log_probabilities(net.predict(self.inputs(x)).astype("float64")))
        return odds

    @explained()
    def predict(self, x: Rows) -> np.ndarray:
        """Numbers of the most probable classes, (N,); raises as `probabilities` does."""
        return np.asarray(self.probabilities(x).argmax(axis=1))

    @explained()
    def inputs(self, x: Rows) -> Any:
        """What the net sees of sequences: standardised, as ``model.net.predict`` takes them.

        Raises
        ------
        RuntimeError
            There was no `fit`.
        ValueError
            Other features than those of the fit; values that are not finite.
        """
        self._need_net()
        rows = _rows(x)
        I = self.scale.shape[1] // VIEWS[self.view]
        if _width(rows) != I:
            raise ValueError(f"sequences must have {I} features at a step, got {_width(rows)}")
        return self._standardised(rows)

    def _standardised(self, rows: list[np.ndarray] | Stored) -> Any:
        if isinstance(rows, Stored):
            (mean, deviation), dtype, stored = self.scale, self.dtype, seen(rows, self.view)
            return stored.changed(lambda x: ((x - mean) / deviation).astype(dtype), stored.shape[1:], dtype)
        rows = [seen(row, self.view) for row in rows]
        return pack([(row - self.scale[0]) / self.scale[1] for row in rows], self.dtype)

    @property
    def metadata(self) -> dict[str, Any]:
        """Entries of a file besides the layers."""
        self._need_fit()
        options = self._net | {"head_sizes": list(self._net["head_sizes"]), "dtype": self.dtype}
        return {
            "classes": list(self.classes),
            "cell": self.cell if isinstance(self.cell, str) else self.cell.name,
            "options": options | {"hidden_size": self.hidden_size} | own_options(self.cell),
            "scale": self.scale.tolist(),
            "net": self.net.metadata,
        } | ({"view": self.view} if self.view != "steps" else {})

    @classmethod
    def from_parts(cls, parts: dict[str, Any], metadata: dict[str, Any]) -> ClassifyModel:
        """A fitted model of the given layers, as `pylstm.load` makes it."""
        says = Entries(metadata, "metadata").only(("classes", "cell", "options", "scale", "net", "view"))
        net = SequenceModel.from_parts(parts, says.entries("net").value)
        options = says.entries("options")
        if net.read != "every" and options.text("read") != net.read:
            options.refuse(f"must be {net.read!r}, as in the net", options.value["read"], "read")
        model = cls(says.list("classes", str), held(net.layer), **constructor_options(cls, says, net.layer))
        model.net, inputs = net, net.layer.input_size
        model.scale = says.array("scale", (2, inputs))
        model.view = says.text("view", VIEWS) if "view" in metadata else "steps"
        as_array([model.scale[1].tolist()], (1, inputs), "metadata.scale, deviations", positive=True)
        if net.head.out_features != len(model.classes):
            raise ValueError(f"metadata.classes: {len(model.classes)} classes, but {net.head!r}")
        if net.loss_name != "softmax_cross_entropy" or net.read == "every":
            raise ValueError(
                "metadata.net must have loss softmax_cross_entropy, and read one of last, mean, max, stats"
            )
        return model

    def __repr__(self) -> str:
        return f"ClassifyModel({len(self.classes)} classes, {self.cell!r}, {self.hidden_size})"


def _width(rows: list[np.ndarray] | Stored) -> int:
    return rows.shape[2] if isinstance(rows, Stored) else rows[0].shape[1]


def _rows(x: Any) -> list[np.ndarray] | Stored:
    """Single sequences (T_i, I), checked; an array (N, T, I) that is not in memory is checked when it is read."""
    x = lazily(x)
    if isinstance(x, StoredSequences):
        x = x.read()
    if isinstance(x, Stored):
        if x.ndim != 3 or not x.shape[2] or x.dtype.kind not in "biuf":
            raise ValueError(f"x must be numbers of shape (N, T, I), got {x.dtype} of shape {x.shape}")
        return x.finite("x")
    rows = x.rows() if isinstance(x, Sequences) else [np.asarray(each) for each in listed("x", x, "sequences (T, I)")]
    if not rows:
        raise ValueError("at least one sequence is needed")
    for k, each in enumerate(rows):
        if each.ndim != 2 or each.shape[1] != rows[0].shape[-1] or each.shape[1] == 0:
            raise ValueError(f"sequence {k} must have shape (T, I) with the same I as all others, got {each.shape}")
        if each.dtype.kind not in "biuf":
            raise TypeError(f"sequence {k} must be numbers, got {each.dtype}")
        refuse_array(f"sequence {k}", each, "fill the gaps, or leave the sequence out")
    return rows


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Logarithms of the softmax of each row (N, K)."""
    z: np.ndarray = logits - logits.max(axis=1, keepdims=True)
    z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
    return z


def confusion(true: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts (K, K) by true class (row) and predicted class (column).

    Examples
    --------
    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    return np.bincount(true * classes + predicted, minlength=classes * classes).reshape(classes, classes)
