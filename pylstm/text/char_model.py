"""`CharModel`: a table of vectors, one recurrent layer, a softmax head; predicts the next character."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from pylstm.datasets import Vocabulary
from pylstm.described import Trainable
from pylstm.feedforward.embedding import Embedding
from pylstm.feedforward.linear import Linear
from pylstm.layers.named import Recurrent
from pylstm.losses.classification import softmax_cross_entropy
from pylstm.parameters import ParametersList
from pylstm.schema import Entries
from pylstm.training.tbptt import states_at

LN2 = float(np.log(2))


class Step(NamedTuple):
    """What `CharModel.gradients` gives: `bits` per character, `grads` in the order of ``model.params``, and the
    states to carry on, `final`."""

    bits: float
    grads: ParametersList
    final: dict[str, np.ndarray]


class CharModel(Trainable):
    """Character model: ``indices -> Embedding -> Recurrent -> Linear -> logits of the next character``.

    Parameters
    ----------
    vocabulary : Vocabulary
    cell : str or Cell subclass
        Of the recurrent layer.
    hidden_size, embedding_size : int
    dtype : {"float32", "float64"}
    seed : int
        The same seed gives the same parameters.

    Attributes
    ----------
    embedding, layer, head : Embedding, Recurrent, Linear
    vocabulary : Vocabulary
    params : list of Parameters
        Of embedding, layer and head, in this order.

    Raises
    ------
    LookupError, TypeError, ValueError
        As `Recurrent`: an unknown cell, dtype or size.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        cell: Any = "lstm",
        hidden_size: int = 256,
        *,
        embedding_size: int = 64,
        dtype: Any = "float32",
        seed: int = 0,
    ) -> None:
        seeds = np.random.SeedSequence(seed).spawn(3)
        self.vocabulary = vocabulary
        self.embedding = Embedding(len(vocabulary), embedding_size, dtype=dtype, seed=seeds[0])
        self.layer = Recurrent(cell, embedding_size, hidden_size, dtype=dtype, seed=seeds[1])
        self.head = Linear(self.layer.output_size, len(vocabulary), dtype=dtype, seed=seeds[2])

    @classmethod
    def from_parts(cls, parts: dict[str, Any], metadata: dict[str, Any]) -> CharModel:
        """A model of the given layers, as `pylstm.load` makes it."""
        says = Entries(parts, "parts").only(("embedding", "layer", "head"))
        embedding, layer, head = (says.get(name) for name in ("embedding", "layer", "head"))
        if [type(each) for each in (embedding, layer, head)] != [Embedding, Recurrent, Linear]:
            raise ValueError(f"parts must be Embedding, Recurrent and Linear, got {embedding!r}, {layer!r}, {head!r}")
        model = cls.__new__(cls)
        model.vocabulary = Vocabulary(Entries(metadata, "metadata").only(("characters",)).text("characters"))
        model.embedding, model.layer, model.head = embedding, layer, head
        count = len(model.vocabulary)
        if (embedding.count, head.out_features) != (count, count):
            raise ValueError(f"metadata.characters: {count} with the unknown one, but {embedding!r} and {head!r}")
        if (embedding.features, layer.output_size) != (layer.input_size, head.in_features):
            raise ValueError(f"parts do not fit each other: {embedding!r}, {layer!r}, {head!r}")
        if not embedding.dtype == layer.dtype == head.dtype:
            raise ValueError(f"parts must have one dtype, got {embedding.dtype}, {layer.dtype}, {head.dtype}")
        return model

    @property
    def parts(self) -> dict[str, Any]:
        """Name -> layer, as `pylstm.save` stores them."""
        return {"embedding": self.embedding, "layer": self.layer, "head": self.head}

    @property
    def metadata(self) -> dict[str, Any]:
        """What a file holds besides the layers."""
        return {"characters": self.vocabulary.characters[1:]}

    def logits(self, indices: Any, initial: dict[str, np.ndarray] | None = None) -> tuple[np.ndarray, dict]:
        """Logits of the next character at every position, and the final states.

        Parameters
        ----------
        indices : array_like of int, shape (T, B)
        initial : dict of str to ndarray, optional
            State -> (B, width), missing ones are zeros.

        Returns
        -------
        logits : ndarray, shape (T, B, len(vocabulary))
        final : dict of str to ndarray
        """
        run = self.layer(self.embedding(indices).y, initial, tape=False)
        return self.head(run.y).y, dict(run.final)

    def bits(self, indices: Any, targets: Any, initial: dict[str, np.ndarray] | None = None) -> tuple[float, dict]:
        """Mean bits per character of `targets` (T, B) after `indices` (T, B), and the final states."""
        logits, final = self.logits(indices, initial)
        return softmax_cross_entropy(logits, targets)[0] / LN2, final

    def gradients(
        self, indices: Any, targets: Any, initial: dict[str, np.ndarray] | None = None, carry: int | None = None
    ) -> Step:
        """Bits per character and gradients of the mean cross-entropy in nats; the chunk before gets no gradient.

        Parameters
        ----------
        indices, targets : array_like of int, shape (T, B) and (n, B)
            Targets of the last n <= T steps; the steps before only carry the gradient.
        initial : dict of str to ndarray, optional
            State -> (B, width).
        carry : int, optional
            Steps after which the states are taken that `Step.final` has; without it all.
        """
        looked_up = self.embedding(indices)
        run = self.layer(looked_up.y, initial)
        before = len(run.y) - len(targets)
        logits = self.head(run.y[before:])
        value, dlogits = softmax_cross_entropy(logits.y, targets)
        dhead = logits.backward(dlogits)
        dlayer = run.backward(np.concatenate([np.zeros_like(run.y[:before]), dhead.x]) if before else dhead.x)
        dembedding = looked_up.backward(dlayer.x)
        final = dict(run.final) if carry is None else states_at(run, carry)
        return Step(value / LN2, ParametersList([dembedding.params, dlayer.params, dhead.params]), final)

    def characters(self, *, prompt: str = "\n", temperature: float = 0.7, seed: int = 0) -> Iterator[str]:
        """Characters drawn from the model, one after another, without end: a stream carries the states.

        Parameters
        ----------
        prompt : str
            At least one character that comes before; not part of the result.
        temperature : float
            Logits are divided by it: lower is safer text; 0 takes the most probable character.
        seed : int
            The same seed draws the same text.

        Raises
        ------
        ValueError
            An empty prompt; a negative temperature.

        Examples
        --------
        >>> from itertools import islice
        >>> model = CharModel(Vocabulary("ab"), "gru", 4, embedding_size=3)
        >>> text = "".join(islice(model.characters(prompt="a", seed=1), 20))
        >>> len(text), text == model.generate(20, prompt="a", seed=1)
        (20, True)
        """
        if not prompt:
            raise ValueError("prompt must have at least one character")
        if not temperature >= 0:
            raise ValueError(f"temperature must be 0 or more, got {temperature}")
        return self._characters(self.vocabulary.encode(prompt), temperature, np.random.default_rng(seed))

    def _characters(self, before: np.ndarray, temperature: float, rng: np.random.Generator) -> Iterator[str]:
        stream = self.layer.stream()
        while True:
            features = stream.feed(self.embedding(before).y)[-1:]
            drawn = _draw(self.head(features).y[0].astype(np.float64), temperature, rng)
            yield self.vocabulary.characters[drawn]
            before = np.array([drawn])

    def generate(self, length: int, *, prompt: str = "\n", temperature: float = 0.7, seed: int = 0) -> str:
        """The first `length` of `characters`, as one string; the other arguments and errors are the same."""
        return "".join(islice(self.characters(prompt=prompt, temperature=temperature, seed=seed), length))


def _draw(logits: np.ndarray, temperature: float, rng: np.random.Generator) -> int:
    logits[0] = -np.inf  # never the unknown character
    if temperature == 0:
        return int(np.argmax(logits))
    p = np.exp((logits - logits.max()) / temperature)
    return int(np.searchsorted(np.cumsum(p) / p.sum(), rng.random(), side="right").clip(0, len(p) - 1))
