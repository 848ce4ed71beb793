"""`CharModel`: a `SequenceModel` of indices that predicts the next character of a text, and draws characters."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple, Self

import numpy as np

from pylstm.checks import Integer, as_array, check_number, check_size, generator, quoted
from pylstm.datasets import Vocabulary
from pylstm.feedforward.embedding import Embedding
from pylstm.feedforward.linear import Linear
from pylstm.layers.named import Recurrent
from pylstm.losses.classification import softmax_cross_entropy
from pylstm.models.passes import Pass
from pylstm.models.sequence_model import SequenceModel
from pylstm.parameter_lists import ParametersList
from pylstm.schema import Entries

LN2 = float(np.log(2))
MADE_WITH: dict[str, Any] = {"read": "every", "loss": "softmax_cross_entropy", "loss_options": {}}
"""Options of the `SequenceModel`."""


class Step(NamedTuple):
    """What `CharModel.chunk` returns.

    `bits` per character, `grads` in the order of ``model.params``, and the states to carry on, `final`.
    """

    bits: float
    grads: ParametersList
    final: dict[str, np.ndarray]


class CharModel(SequenceModel, kind="char_model"):
    """Character model: ``indices -> Embedding -> Recurrent -> Linear -> logits of the next character``.

    Beside what a `SequenceModel` does with rows (N, T), it reads streams, steps first (T, B), with states.

    Parameters
    ----------
    vocabulary : Vocabulary
    cell : str or Cell subclass
        Of the recurrent layer.
    hidden_size, embedding_size : int
    dtype : {"float32", "float64"}
    seed : int
        The same seed draws the same parameters.

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

    Examples
    --------
    >>> from pylstm.datasets import Vocabulary
    >>> from pylstm.text import CharModel
    >>> vocabulary = Vocabulary.of("to be or not to be")
    >>> model = CharModel(vocabulary, "gru", 8, embedding_size=4)
    >>> logits, final = model.logits(vocabulary.encode("to be")[:, None])
    >>> logits.shape == (5, 1, len(vocabulary)), final["h"].shape
    (True, (1, 8))
    """

    task = "text"
    """What `pylstm evaluate` and `pylstm predict` do with it."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        cell: Any = "lstm",
        hidden_size: int = 256,
        *,
        embedding_size: int = 64,
        dtype: Any = "float32",
        seed: Integer = 0,
    ) -> None:
        if not isinstance(vocabulary, Vocabulary):
            cure = f": pass Vocabulary.of({quoted(vocabulary)})" if isinstance(vocabulary, str) else ""
            raise TypeError(f"vocabulary must be a pylstm.datasets.Vocabulary, got {quoted(vocabulary)}{cure}")
        count, self.vocabulary = len(vocabulary), vocabulary
        options = MADE_WITH | {"vocabulary": count, "dtype": dtype, "seed": seed}
        super().__init__(cell, embedding_size, hidden_size, count, **options)

    @classmethod
    def from_parts(cls, parts: dict[str, Any], metadata: dict[str, Any]) -> Self:
        """A model of the given layers, as `pylstm.load` makes it."""
        kinds = (Embedding, Recurrent, Linear)
        if len(parts) != len(kinds) or not all(map(isinstance, parts.values(), kinds)):
            raise ValueError(
                f"parts must be Embedding, Recurrent and Linear, got {', '.join(map(repr, parts.values()))}"
            )
        model = super().from_parts(parts, MADE_WITH)
        model.vocabulary = Vocabulary(Entries(metadata, "metadata").only(("characters",)).text("characters"))
        count = len(model.vocabulary)
        if (model.embedding.count, model.head.out_features) != (count, count):
            raise ValueError(
                f"metadata.characters are {count} with the unknown one, but the layers are {model.embedding!r}, "
                f"{model.head!r}"
            )
        return model

    @property
    def metadata(self) -> dict[str, Any]:
        """Entries of a file besides the layers."""
        return {"characters": self.vocabulary.characters[1:]}

    def logits(
        self, indices: Any, initial: dict[str, np.ndarray] | None = None
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
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
        indices = as_array("indices", indices)
        if indices.ndim != 2:
            raise ValueError(f"indices must have shape (T, B), got {indices.shape}: of one text take indices[:, None]")
        forward = Pass(self, indices, initial=initial, tape=False)
        return forward.out, dict(forward.run.final)

    def bits(
        self, indices: Any, targets: Any, initial: dict[str, np.ndarray] | None = None
    ) -> tuple[float, dict[str, np.ndarray]]:
        """Mean bits per character of `targets` (T, B) after `indices` (T, B), and the final states."""
        logits, final = self.logits(indices, initial)
        return softmax_cross_entropy(logits, targets)[0] / LN2, final

    def chunk(
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
        targets = as_array("targets", targets)
        if targets.ndim != 2:
            raise ValueError(f"targets must have shape (n, B), got {targets.shape}")
        forward = Pass(self, indices, initial=initial, last=len(targets))
        value, dlogits = softmax_cross_entropy(forward.out, targets)
        return Step(value / LN2, forward.backward(dlogits), forward.states(carry))

    def characters(self, *, prompt: str = "\n", temperature: float = 0.7, seed: Integer = 0) -> Iterator[str]:
        """Characters drawn from the model, one after another, without end: a stream carries the states.

        The parameters of the head are those of the first character.

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
            An empty prompt; a temperature that is negative, NaN or infinite.

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
        if not 0 <= check_number("temperature", temperature) < np.inf:
            raise ValueError(f"temperature must be 0 or more and finite, got {temperature}")
        return self._characters(self.vocabulary.encode(prompt), temperature, generator(seed))

    def _characters(self, before: np.ndarray, temperature: float, rng: np.random.Generator) -> Iterator[str]:
        stream, head, table = self.layer.stream(), self.head.packed(), self.embedding.params["weight"]
        features, logits = stream.feed(table[before])[-1], np.empty(len(self.vocabulary), self.head.dtype)
        while True:
            drawn = _draw(head(features, logits).astype(np.float64), temperature, rng)
            yield self.vocabulary.characters[drawn]
            features = stream.step(table[drawn])

    def generate(self, length: int, *, prompt: str = "\n", temperature: float = 0.7, seed: Integer = 0) -> str:
        """The first `length` of `characters`, as one string; the other arguments and errors are the same."""
        length = check_size("length", length, 0)
        return "".join(islice(self.characters(prompt=prompt, temperature=temperature, seed=seed), length))


def _draw(logits: np.ndarray, temperature: float, rng: np.random.Generator) -> int:
    logits[0] = -np.inf  # never the unknown character
    if temperature == 0:
        return int(np.argmax(logits))
    logits -= logits.max()
    logits /= temperature
    below = np.exp(logits).cumsum()
    return min(int(below.searchsorted(rng.random() * below[-1], side="right")), len(below) - 1)
