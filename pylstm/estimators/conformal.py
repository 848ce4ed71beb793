"""`Conformal`: how far intervals of a regressor reach, from sequences that were held out.

Split conformal prediction (Vovk, Gammerman & Shafer 2005, Algorithmic learning in a random world): of n scores of
sequences that were not trained on, the ``level (n + 1)`` th smallest holds that of a new one with the probability
`level`, whatever the net says. The scores are normal scores in the net's own distribution (`Head.score`), so that an
interval is wide where the net says so.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pylstm.models.shares import normal_quantile
from pylstm.schema import Entries

KEPT = 2000
"""Most scores that are kept."""


@dataclass(frozen=True)
class Conformal:
    """Scores of one target.

    Attributes
    ----------
    levels : ndarray, shape (R,)
        Levels, rising, of the intervals that reach as far as `scores`.
    scores : ndarray, shape (R,)
        In rising order; none: the distribution is the net's own.
    """

    levels: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, weights: np.ndarray | None = None) -> Conformal:
        """Intervals from the scores of sequences held out, and their weights.

        Examples
        --------
        >>> Conformal.of(np.array([3.0, 1.0, 2.0])).reach(np.array([-0.75, 0.5]))
        array([-3.,  2.])
        """
        order = np.argsort(scores, kind="stable")
        weights = np.ones(len(scores)) if weights is None else np.asarray(weights, "float64")
        total = weights.sum() + (weights.mean() if len(weights) else 1.0)  # one more: the new one
        levels, scores = np.cumsum(weights[order]) / total, scores[order]
        keep = np.unique(np.linspace(0, len(scores) - 1, min(len(scores), KEPT)).astype(int))
        return cls(levels[keep], scores[keep])

    def reach(self, levels: np.ndarray) -> np.ndarray:
        """Normal scores that intervals of these levels reach to, with their signs; a line between those measured.

        Beyond the largest they rise as those of a normal distribution.
        """
        wanted, edge = np.abs(levels), self.levels[-1]
        near = np.interp(wanted, np.r_[0.0, self.levels], np.r_[0.0, self.scores])
        if (wanted > edge).any():
            z = normal_quantile((1 + np.maximum(wanted, edge)) / 2) / normal_quantile((1 + edge) / 2)
            near = np.where(wanted > edge, self.scores[-1] * z, near)
        return np.asarray(np.sign(levels) * near)

    @property
    def metadata(self) -> dict[str, Any]:
        """Entries of a file."""
        return {"levels": self.levels.tolist(), "scores": self.scores.tolist()}


def read_conformal(says: Entries, name: str, count: int) -> list[Conformal]:
    """The inverse of `Conformal.metadata`, of `count` targets."""
    found = []
    for each in says.list(name, dict):
        entries = Entries(each, f"{says.where}.{name}").only(("levels", "scores"))
        levels, scores = entries.array("levels", (None,)), entries.array("scores", (None,))
        rising = len(levels) == len(scores) and all((np.diff(part) >= 0).all() for part in (levels, scores))
        if not rising or (len(levels) and not 0 < levels[0] <= levels[-1] < 1) or (scores < 0).any():
            entries.refuse("must be rising levels in 0..1, one for each score", len(levels), "levels")
        found.append(Conformal(levels, scores))
    if len(found) != count:
        says.refuse(f"must have one entry for each of {count} targets", len(found), name)
    return found


def warn_of_few(found: Sequence[Conformal], level: float) -> None:
    """Warn where too few sequences were held out for a level, and say how many are needed."""
    edge = min(each.levels[-1] if each.levels.size else 1.0 for each in found)
    if level <= edge + 1e-12:
        return
    needed = math.ceil(level / (1 - level) - 1e-9)
    warnings.warn(
        f"an interval of level {level:g} needs {needed} sequences held out, there are {round(edge / (1 - edge))}: its "
        "ends are extrapolated; pass more sequences, or a lower level",
        UserWarning,
        stacklevel=4,
    )
