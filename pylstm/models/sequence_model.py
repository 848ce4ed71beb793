"""`SequenceModel`: an optional embedding, a recurrent body of any layers, a read-out and a head."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self, Unpack

import numpy as np

from pylstm.cells.cell import Cell
from pylstm.checks import DTYPES, Array, Dtype, Integer, as_array, check_indices, check_size, seeds_of
from pylstm.data.finite import Masks, counting
from pylstm.data.sequences import Batch, Sequences, lengths_of
from pylstm.data.stored import Stored, lazily
from pylstm.described import Trainable
from pylstm.feedforward.embedding import Embedding
from pylstm.feedforward.mlp import Activation
from pylstm.hints import explained
from pylstm.layers.arguments import LayerOptions, check_extra, find_cell
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.generators import unmoved
from pylstm.layers.named import Recurrent
from pylstm.layers.recurrent import RecurrentLayer
from pylstm.layers.stack import Stack
from pylstm.losses.classification import leave_out
from pylstm.models.body import as_list, head_on, parts_of
from pylstm.models.outlined import OutlinedNet
from pylstm.models.passes import Pass
from pylstm.models.predicting import outputs_of
from pylstm.models.reading import READS, Read
from pylstm.models.targets import (
    ALIGNED,
    LOSSES,
    PER_ROW,
    LossName,
    check_loss,
    check_rows,
    check_shapes,
    loss_of_labels,
    loss_of_rows,
    loss_of_steps,
)
from pylstm.parameter_lists import ParametersList
from pylstm.schema import Entries, is_number, set_state
from pylstm.wording import converted

__all__ = ["LOSSES", "PER_ROW", "READS", "SequenceModel"]


class SequenceModel(OutlinedNet, Trainable, kind="sequence_model"):
    """Body and head: ``x (N, T, I) -> recurrent layers -> read -> head -> (N, K) or (N, T, K)``.

    With a `vocabulary` x are indices (N, T), and an `Embedding` makes vectors of them.

    Parameters
    ----------
    cell : str or Cell subclass
    input_size, hidden_size, output_size : int
        I, the units, and K: classes, values, or what the loss asks for (2 values for each `gaussian_likelihood`).
    num_layers, bidirectional, dropout, residual
        Of the body, which is a `Stack` where they ask for one; layers of your own: `of`.
    head_sizes : iterable of int
        Units of the layers of an `MLP` head; none: the head is `Linear`.
    activation : {"relu", "tanh"}
        Of the `MLP`.
    read : {"last", "every", "mean", "max", "stats"}
        What the head sees: the last step, every step, mean or maximum over the steps, or side by side the last step,
        mean, standard deviation, maximum and minimum; each row of a `Sequences` by its own steps. ``last`` of a
        bidirectional body is where both directions have seen all: the forward output at the last step of the row,
        beside the reverse output at step 0 (PyTorch's ``h_n`` of the last layer, Keras' ``return_sequences=False``).
        A row without steps shows the head zeros.
    loss : str
        A name of `LOSSES`, or ``ctc`` with ``read="every"``: labels that are not aligned with the steps (`ctc_loss`).
    loss_options : dict, optional
        Such as ``{"delta": 2.0}`` or ``{"smoothing": 0.1}``; what a JSON file can hold.
    vocabulary : int
        Number of different indices, each with a vector of `input_size` numbers; 0: x are numbers.
    dtype : {"float32", "float64"}
    seed : int
        Of parameters and dropout.
    **options
        Sizes and options of the cell; bias, learn_initial, certified of `Recurrent`.

    Attributes
    ----------
    embedding, layer, head : Embedding or None; Recurrent, Stack or Bidirectional; Linear or MLP
    params : list of Parameters
        Of embedding, body and head; adds, subtracts and scales as `Parameters` do.
    rng : Generator or None
        Of the dropout; checkpoints hold it.

    Raises
    ------
    LookupError, TypeError, ValueError
        As `Embedding`, `Recurrent`, `Stack` and `MLP`; an unknown `read` or `loss`.

    Examples
    --------
    >>> model = SequenceModel("lstm", 3, 8, 2, loss="softmax_cross_entropy", seed=0)
    >>> x = np.zeros((5, 7, 3), "float32")
    >>> model.predict(x).shape, len(model.gradients(x, np.array([0, 1, 1, 0, 1]))[1])
    ((5, 2), 2)
    >>> deep = SequenceModel("gru", 3, 8, 2, num_layers=2, bidirectional=True, dropout=0.2, head_sizes=(16,), seed=0)
    >>> deep.predict(Sequences(x, [7, 1, 4, 0, 2])).shape
    (5, 2)
    """

    fixed = ("read", "loss_name", "loss_options")
    judged_by_shape = ("x",)
    """Arrays of which `check_batch` looks at dtype and shape only (of indices a batch checks the values)."""

    def __init__(
        self,
        cell: str | type[Cell],
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        residual: bool | Iterable[bool] = False,
        head_sizes: Iterable[int] = (),
        activation: Activation = "relu",
        read: Read = "last",
        loss: LossName = "mean_squared_error",
        loss_options: dict[str, Any] | None = None,
        vocabulary: int = 0,
        dtype: Dtype = "float32",
        seed: Integer = 0,
        **options: Unpack[LayerOptions],
    ) -> None:
        check_extra("SequenceModel", find_cell(cell), options, SequenceModel.__init__, RecurrentLayer.__init__)
        seeds = seeds_of(seed, 3 if vocabulary else 2)
        embedding = Embedding(vocabulary, input_size, dtype=dtype, seed=seeds.pop(0)) if vocabulary else None
        sizes: dict[str, Any] = {"bidirectional": bidirectional, "dropout": dropout, "seed": seeds[0], **options}
        if check_size("num_layers", num_layers) > 1 or bidirectional:
            sizes |= {"seed": int(seeds[0].generate_state(1, np.uint64)[0]), "residual": residual}
        layer: Any = Recurrent(cell, input_size, hidden_size, num_layers, dtype=dtype, **sizes)
        head = head_on(layer, read, output_size, head_sizes, activation, seeds[1])
        self._set(embedding, layer, head, read, loss, loss_options or {})

    @classmethod
    @explained(name="SequenceModel.of")
    def of(
        cls,
        layer: Recurrent | Stack | Bidirectional,
        output_size: int,
        *,
        head_sizes: Iterable[int] = (),
        activation: Activation = "relu",
        read: Read = "last",
        loss: LossName = "mean_squared_error",
        loss_options: dict[str, Any] | None = None,
        seed: Integer = 0,
    ) -> SequenceModel:
        """A model on a given body: layers of different cells and sizes.

        Parameters
        ----------
        layer : Recurrent, Stack or Bidirectional
            Used as it is, not copied.
        output_size, head_sizes, activation, read, loss, loss_options
            As for `SequenceModel`.
        seed : int
            Of the head.

        Examples
        --------
        >>> import pylstm
        >>> body = Stack([pylstm.LSTM(3, 8, seed=0), pylstm.Recurrent("indrnn", 8, 6, seed=1)], dropout=0.1, seed=2)
        >>> SequenceModel.of(body, 2, read="max").predict(np.zeros((5, 7, 3), "float32")).shape
        (5, 2)
        """
        if not isinstance(layer, Recurrent | Stack | Bidirectional):
            raise TypeError(f"layer must be a Recurrent, Stack or Bidirectional, got {type(layer).__name__}")
        head_seed = seeds_of(seed, 2)[1]
        model = cls.__new__(cls)
        head = head_on(layer, read, output_size, head_sizes, activation, head_seed)
        model._set(None, layer, head, read, loss, {} if loss_options is None else loss_options)
        return model

    def _set(self, embedding: Any, layer: Any, head: Any, read: str, loss: str, loss_options: dict[str, Any]) -> None:
        if read not in READS:
            raise ValueError(f"read must be one of {', '.join(READS)}, got {read!r}")
        loss = check_loss(loss, read, loss_options, head.out_features)
        self.embedding, self.layer, self.head = embedding, layer, head
        self.read, self.loss_name, self.loss_options = read, loss, dict(loss_options)
        self._rng: np.random.Generator | None = None

    @classmethod
    def from_parts(cls, parts: dict[str, Any], metadata: dict[str, Any]) -> Self:
        """A model of the given layers, as `pylstm.load` makes it."""
        says = Entries(metadata, "metadata").only(("read", "loss", "loss_options", "rng"))
        embedding, layer, head = parts_of(parts, says.text("read", READS))
        options = says.entries("loss_options")
        for name, value in options.value.items():
            if not all(isinstance(each, bool) or is_number(each) for each in as_list(value)):
                options.refuse("must be a finite number, or a list of them", value, name)
        model = cls.__new__(cls)
        model._set(embedding, layer, head, says.text("read", READS), says.text("loss"), options.value)
        if metadata.get("rng") is not None:
            if not isinstance(layer, Stack):
                raise ValueError("metadata.rng is for a stack with dropout, which this model does not have")
            set_state(layer.rng, metadata["rng"], "metadata.rng")
        return model

    @property
    def parts(self) -> dict[str, Any]:
        """Name -> layer, as `pylstm.save` stores them."""
        embedding = {} if self.embedding is None else {"embedding": self.embedding}
        return embedding | {"layer": self.layer, "head": self.head}

    @property
    def metadata(self) -> dict[str, Any]:
        """Entries of a file besides the layers; with dropout also the state of its generator."""
        drops = isinstance(self.layer, Stack) and self.layer.dropout
        settings = {"read": self.read, "loss": self.loss_name, "loss_options": self.loss_options}
        return settings | ({"rng": self.layer.rng.bit_generator.state} if drops else {})

    @property
    def rng(self) -> np.random.Generator | None:
        return self.layer.rng if isinstance(self.layer, Stack) else self._rng

    @rng.setter
    def rng(self, rng: np.random.Generator) -> None:
        if isinstance(self.layer, Stack):
            self.layer.rng = rng
        else:
            self._rng = rng

    @property
    def training(self) -> bool:
        """Whether dropout acts in `gradients`; in `loss` and `predict` it never does."""
        return getattr(self.layer, "training", False)

    def train(self, mode: bool = True) -> Self:
        """Training mode, as a new model is in: `gradients` are with dropout. Returns the model."""
        if isinstance(self.layer, Stack):
            self.layer.train(mode)
        return self

    def eval(self) -> Self:
        """Evaluation mode: `gradients` are without dropout, too. Returns the model."""
        return self.train(False)

    @explained()
    def predict(self, x: Batch, *, batch_size: int = 1024) -> Array:
        """Outputs of the head: (N, K), or (N, T, K) where it reads every step. Classes are their ``argmax(-1)``.

        Parameters
        ----------
        x : array_like, shape (N, T, I), or Sequences
            Of the model's dtype, or indices (N, T) where it has an embedding. Where every step is read, outputs beyond
            the end of a row are 0, up to the T of `x`. What is not in memory is read by batch, as by `pylstm.fit`.
        batch_size : int
            Rows that are run at a time, which bounds the memory.

        Raises
        ------
        TypeError, ValueError
            Another dtype or shape; an array without steps.
        """
        return outputs_of(self, self._check(lazily(x)), check_size("batch_size", batch_size))

    @explained()
    def loss(self, x: Batch, y: Any, weights: Batch | None = None) -> float:
        """Mean loss on a batch, without dropout; arguments as for `gradients`."""
        x = self._counted(x, y, weights)
        return self._loss(self._pass(x, tape=False).out, lengths_of(x), y, weights)[0]

    @explained()
    def gradients(self, x: Batch, y: Any, weights: Batch | None = None) -> tuple[float, ParametersList]:
        """Mean loss on a batch, and its gradients in the order of `params`; those of several batches add and scale.

        Parameters
        ----------
        x : array_like, shape (N, T, I), or Sequences
            Of the model's dtype, or indices (N, T).
        y : array_like, or where every step is read also Sequences
            (N, K) or (N, T, K); (N,) or (N, T) for classes, quantiles and where K is 1. Steps beyond the end of a row
            are left out of the loss. For ``ctc`` labels as `Sequences` of int, or in a list.
        weights : array_like or Sequences, optional
            A bool mask or factors, of one sequence (N,), step (N, T) or element; 0 leaves a target out, and the inputs
            that reach no other: what stands there has no effect, NaN included.

        Raises
        ------
        TypeError, ValueError
            A wrong dtype or shape, as the loss says it; an array without steps.
        """
        x = self._counted(x, y, weights)
        with unmoved(self.rng if getattr(self.layer, "drops", False) else None):
            forward = self._pass(x)
            value, dout = self._loss(forward.out, lengths_of(x), y, weights)
            return value, forward.backward(dout)

    def check_batch(self, x: Batch, y: Any, weights: Batch | None = None) -> None:
        """Reject what `loss` and `gradients` would, at the cost of the loss alone: it is computed on outputs of 0.

        Parameters
        ----------
        x, y, weights
            As for `gradients`.

        Raises
        ------
        TypeError, ValueError
            As `gradients`.

        Examples
        --------
        >>> model = SequenceModel("gru", 3, 8, 2, loss="softmax_cross_entropy", seed=0)
        >>> model.check_batch(np.zeros((2, 7, 3), "float32"), np.array([0, 2]))
        Traceback (most recent call last):
        ...
        ValueError: y, row 1: targets must be in 0..1, got 2: output_size, here 2, must be the number of classes
        """
        x = self._check(x)
        if self.embedding is not None:
            found = self._counted(x, y, weights)
            check_indices(
                "x", found.padded[found.inside] if isinstance(found, Sequences) else found, self.embedding.count
            )
        lead = x.shape[:2] if self.read == "every" else x.shape[:1]
        if self.loss_name not in ALIGNED:
            y, weights = check_shapes(
                self.loss_name, y, weights, lead, self.head.out_features, isinstance(x, Sequences), x.shape[1]
            )
        check_rows(self._judge, x, y, weights)

    def _judge(self, x: Any, y: Any, weights: Any) -> None:
        x = x.cut() if isinstance(x, Sequences) else x
        lead = (x.shape[1], len(x)) if self.read == "every" else (len(x),)
        self._loss(np.zeros((*lead, self.head.out_features), self.head.dtype), lengths_of(x), y, weights)

    def counting(self, x: Batch, y: Any, weights: Batch | None = None) -> Masks:
        """Which values of a batch have an effect on its loss, as masks by the first axes of each array; None: all.

        Parameters
        ----------
        x, y, weights
            As for `gradients`.

        Examples
        --------
        >>> model = SequenceModel("gru", 3, 8, 1, seed=0)
        >>> model.counting(np.zeros((2, 7, 3)), np.zeros(2), np.array([True, False]))[0]
        array([ True, False])
        """
        layers = self.layer.layers if isinstance(self.layer, Stack) else [self.layer]
        ahead = any(isinstance(each, Bidirectional) for each in layers)
        steps = self.read == "every" and self.loss_name not in ALIGNED
        return counting(x if isinstance(x, Sequences) else as_array("x", x), y, weights, steps=steps, ahead=ahead)

    def _counted(self, given: Any, y: Any, weights: Any) -> np.ndarray | Sequences:
        """`given` with 0 where nothing counts: a cotangent of 0 times NaN would be NaN."""
        x = self._check(given)
        if weights is None:
            return x
        counts = self.counting(x, y, weights)[0]
        (values,) = leave_out(counts, x.padded if isinstance(x, Sequences) else x)
        return Sequences(values, x.lengths) if isinstance(x, Sequences) else values

    def _check(self, given: Any) -> np.ndarray | Sequences:
        x: Any = given if isinstance(given, Sequences | Stored) else as_array("x", given)
        I, dtype, indices = self.layer.input_size, self.layer.dtype, self.embedding is not None
        inner = () if indices else (I,)
        if len(x.shape) < 2 or x.shape[2:] != inner or not (x.shape[1] or isinstance(x, Sequences)):
            raise ValueError(f"x must have shape (N, T{'' if indices else f', {I}'}) with T >= 1, got {x.shape}")
        if not indices and x.dtype != dtype and x.dtype.newbyteorder("=") != dtype:
            other = f", or make the model with dtype='{x.dtype.name}'" if x.dtype.name in DTYPES else ""
            cure = f": convert it with {converted('x', given, str(dtype))}{other}" if x.dtype.kind in "fiub" else ""
            raise TypeError(f"x must be {dtype}, got {x.dtype}{cure}")
        checked: np.ndarray | Sequences = x
        return checked

    def _pass(self, x: np.ndarray | Sequences, *, tape: bool = True) -> Pass:
        """Rows that `_check` has seen, through all layers."""
        array = x.cut().padded if isinstance(x, Sequences) else x
        if self.embedding is not None and isinstance(x, Sequences):
            array = np.where(x.cut().inside, array, 0)  # beyond the end of a row anything may stand
        array = array if self.layer.batch_first else np.ascontiguousarray(array.swapaxes(0, 1))
        return Pass(self, array, lengths_of(x), tape=tape)

    def _loss(self, out: np.ndarray, lengths: np.ndarray | None, y: Any, weights: Any) -> tuple[float, np.ndarray]:
        if self.loss_name in ALIGNED:
            return loss_of_labels(self.loss_name, out, lengths, y, weights, self.loss_options)
        if self.read == "every":
            return loss_of_steps(self.loss_name, out, lengths, y, weights, self.loss_options)
        return loss_of_rows(self.loss_name, out, y, weights, self.loss_options)

    def __repr__(self) -> str:
        layers = ", ".join(map(repr, self.parts.values()))
        return f"{type(self).__name__}({layers}, read={self.read!r}, loss={self.loss_name!r})"
