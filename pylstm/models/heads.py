"""`head_of`: what a `loss=` says of a value: the value alone, its quantiles, or a distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pylstm.checks import quoted
from pylstm.hint_texts import HINTS
from pylstm.losses import likelihoods
from pylstm.losses.regression import LOG_2PI
from pylstm.losses.special import beta_share, gamma_share
from pylstm.models.shares import LARGEST, SURE, count_quantile, normal_quantile, normal_share, student_quantile

HeadName = Literal["mean_squared_error", "huber", "gaussian", "student_t", "poisson", "negative_binomial", "quantile"]
"""Names of heads, for type checkers."""
QUANTILES = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
"""Those of ``loss="quantile"``."""
MOST_COUNTS = 1e12
"""Largest count: the spread of larger ones is lost in rounding, and a density says as much."""
FAR, NUDGE = 5.0, 1e-5
"""Normal score beyond which quantiles of counts follow a line, and what `SURE` is worth at it."""


@dataclass(frozen=True)
class Head:
    """Base: the outputs of a net are the values themselves, and say nothing of how sure they are.

    Outputs are (..., parts K): of each of the `parts` the K values, one part after another.

    Attributes
    ----------
    name : str
        As ``loss=`` has it.
    loss : str
        Of `pylstm.models.targets.LOSSES`.
    parts : int
        Outputs for each value.
    """

    name: str
    loss: str
    parts: int = 1
    spread = False
    """Whether it has quantiles and samples."""
    counts = False
    """Whether values are whole numbers from 0; their means are then in units of an exposure."""

    @property
    def options(self) -> dict[str, Any]:
        """Loss options."""
        return {}

    def split(self, out: Any) -> list[np.ndarray]:
        """The parts (..., K) in float64."""
        return np.split(np.asarray(out, "float64"), self.parts, axis=-1)

    def median(self, out: Any, exposure: Any = 1.0) -> np.ndarray:
        """The forecast (..., K)."""
        return self.quantile(out, 0.5, exposure) if self.spread else self.split(out)[0]

    def mean(self, out: Any, exposure: Any = 1.0) -> np.ndarray:
        """Expectations (..., K)."""
        return self.split(out)[0]

    def quantile(self, out: Any, share: Any, exposure: Any = 1.0) -> np.ndarray:
        """Quantiles (..., K) for shares that broadcast to this shape."""
        raise self.refusal("quantiles")

    def at(self, out: Any, z: Any, exposure: Any = 1.0) -> np.ndarray:
        """Quantiles (..., K) for normal scores z, however far; that of 0 is the median."""
        raise self.refusal("quantiles")

    def score(self, out: Any, target: np.ndarray, exposure: Any = 1.0) -> np.ndarray:
        """Least r (..., K) for which a target lies from the quantile of -r to that of r, in normal scores.

        Examples
        --------
        >>> head_of("gaussian").score(np.array([10.0, np.log(4.0)]), np.array([7.0])).round(6)
        array([1.5])
        """
        middle = self.at(out, 0.0, exposure)
        side = np.where(target < middle, -1.0, 1.0)
        low, high = np.zeros(middle.shape), np.ones(middle.shape)

        def short(r: np.ndarray) -> np.ndarray:
            return np.asarray(side * (target - self.at(out, side * r, exposure)) > 0)

        while (out_of := short(high)).any() and high.max() < 1e12:
            low, high = np.where(out_of, high, low), np.where(out_of, 2 * high, high)
        for _ in range(50):
            between = (low + high) / 2
            out_of = short(between)
            low, high = np.where(out_of, between, low), np.where(out_of, high, between)
        return np.where(target == middle, 0.0, high)

    def sample(self, out: Any, rng: np.random.Generator, exposure: Any = 1.0) -> np.ndarray:
        """A draw (..., K) from each distribution."""
        raise self.refusal("samples")

    def log_probability(self, out: Any, target: np.ndarray, exposure: Any = 1.0) -> np.ndarray:
        """Logarithms (..., K) of the density, or of counts the probability, of targets (..., K)."""
        raise self.refusal("log_likelihood")

    def refusal(self, what: str) -> ValueError:
        """The error of what this head does not say."""
        return ValueError(
            f"loss={self.name!r} has no {what}: fit with loss='gaussian', 'student_t', 'quantile', or of counts "
            "'poisson' or 'negative_binomial'"
        )


class Gaussian(Head):
    """Means, and logarithms of variances."""

    spread = True

    def quantile(self, out: Any, share: Any, exposure: Any = 1.0) -> np.ndarray:
        return self.at(out, normal_quantile(share))

    def at(self, out: Any, z: Any, exposure: Any = 1.0) -> np.ndarray:
        mu, s = self.split(out)
        return np.asarray(mu + np.exp(s / 2) * z)

    def sample(self, out: Any, rng: np.random.Generator, exposure: Any = 1.0) -> np.ndarray:
        mu, s = self.split(out)
        return np.asarray(mu + np.exp(s / 2) * rng.normal(size=mu.shape))

    def log_probability(self, out: Any, target: np.ndarray, exposure: Any = 1.0) -> np.ndarray:
        mu, s = self.split(out)
        return np.asarray(-(LOG_2PI + s + np.square(target - mu) * np.exp(-s)) / 2)


class StudentT(Head):
    """Locations, logarithms of squared scales, degrees of freedom."""

    spread = True

    def quantile(self, out: Any, share: Any, exposure: Any = 1.0) -> np.ndarray:
        mu, s, r = self.split(out)
        return np.asarray(mu + np.exp(s / 2) * student_quantile(share, likelihoods.freedom_of(r)))

    def at(self, out: Any, z: Any, exposure: Any = 1.0) -> np.ndarray:
        mu, s, r = self.split(out)
        t = student_quantile(normal_share(-np.abs(z)), likelihoods.freedom_of(r))
        return np.asarray(mu - np.sign(z) * np.exp(s / 2) * t)

    def score(self, out: Any, target: np.ndarray, exposure: Any = 1.0) -> np.ndarray:
        mu, s, r = self.split(out)
        freedom, square = likelihoods.freedom_of(r), np.square(target - mu) * np.exp(-s)
        tail = beta_share(freedom / 2, 0.5, freedom / (freedom + square)) / 2
        return np.asarray(-normal_quantile(np.clip(tail, 1e-300, 0.5)) * (1 + 1e-9))

    def sample(self, out: Any, rng: np.random.Generator, exposure: Any = 1.0) -> np.ndarray:
        mu, s, r = self.split(out)
        return np.asarray(mu + np.exp(s / 2) * rng.standard_t(likelihoods.freedom_of(r)))

    def log_probability(self, out: Any, target: np.ndarray, exposure: Any = 1.0) -> np.ndarray:
        mu, s, r = self.split(out)
        return -likelihoods.student_t(mu, s, r, target)[0]


class Counts(Head):
    """Base: the first part is logarithms of means."""

    spread = counts = True

    def below(self, out: Any, k: np.ndarray, exposure: Any) -> np.ndarray:
        """Probabilities (..., K) of k or fewer, 0 or more."""
        raise NotImplementedError

    def quantile(self, out: Any, share: Any, exposure: Any = 1.0) -> np.ndarray:
        return count_quantile(lambda k: self.below(out, k, exposure), self.mean(out, exposure), share)

    def at(self, out: Any, z: Any, exposure: Any = 1.0) -> np.ndarray:
        z = np.asarray(z, "float64")
        found = self.quantile(out, normal_share(np.clip(z, -FAR, FAR)), exposure)
        if not (np.abs(z) > FAR).any():
            return found
        middle = self.quantile(out, 0.5, exposure)
        line = middle + np.sign(z) * np.maximum(np.abs(found - middle), 1) * np.abs(z) / FAR
        beyond = np.where(z > 0, np.ceil(line - SURE * np.abs(line)), np.maximum(np.floor(line), 0))
        return np.where(np.abs(z) > FAR, beyond, found)

    def score(self, out: Any, target: np.ndarray, exposure: Any = 1.0) -> np.ndarray:
        middle = self.quantile(out, 0.5, exposure)
        over = target > middle
        share = self.below(out, np.maximum(target - over, 0), exposure)
        near = np.abs(normal_quantile(np.clip(share, 1e-15, 1 - 1e-15))) + NUDGE
        edge = self.at(out, np.where(over, FAR, -FAR), exposure)
        far = FAR * np.abs(target - middle) / np.maximum(np.abs(edge - middle), 1)
        found = np.where(np.abs(target - middle) > np.abs(edge - middle), np.maximum(far, FAR + NUDGE), near)
        return np.where(target == middle, 0.0, found)

    def mean(self, out: Any, exposure: Any = 1.0) -> np.ndarray:
        return np.asarray(np.exp(np.minimum(self.split(out)[0] + np.log(exposure), LARGEST)))


class Poisson(Counts):
    """Logarithms of means."""

    def below(self, out: Any, k: np.ndarray, exposure: Any) -> np.ndarray:
        return np.asarray(1 - gamma_share(k + 1, self.mean(out, exposure)))

    def sample(self, out: Any, rng: np.random.Generator, exposure: Any = 1.0) -> np.ndarray:
        return rng.poisson(self.mean(out, exposure)).astype("float64")

    def log_probability(self, out: Any, target: np.ndarray, exposure: Any = 1.0) -> np.ndarray:
        return -likelihoods.poisson(self.split(out)[0] + np.log(exposure), target)[0]


class NegativeBinomial(Counts):
    """Logarithms of means, and dispersions."""

    def below(self, out: Any, k: np.ndarray, exposure: Any) -> np.ndarray:
        m, n = self.mean(out, exposure), 1 / likelihoods.dispersion_of(self.split(out)[1])
        return beta_share(n, k + 1, n / (n + m))

    def sample(self, out: Any, rng: np.random.Generator, exposure: Any = 1.0) -> np.ndarray:
        m, alpha = self.mean(out, exposure), likelihoods.dispersion_of(self.split(out)[1])
        rate = rng.gamma(1 / alpha, alpha * m)
        return np.asarray(rng.poisson(np.minimum(rate, np.exp(LARGEST))), "float64")

    def log_probability(self, out: Any, target: np.ndarray, exposure: Any = 1.0) -> np.ndarray:
        eta, r = self.split(out)
        return -likelihoods.negative_binomial(eta + np.log(exposure), r, target)[0]


@dataclass(frozen=True)
class Quantiles(Head):
    """Given quantiles, each learned by its own pinball loss, and sorted: they do not cross.

    Sorting never raises the sum of the losses (Chernozhukov, Fernandez-Val & Galichon 2010, Quantile and probability
    curves without crossing). Between the quantiles, and beyond the outermost, values are straight lines of the normal
    score of the share.
    """

    levels: tuple[float, ...] = QUANTILES
    spread = True

    @property
    def options(self) -> dict[str, Any]:
        return {"quantiles": list(self.levels)}

    def mean(self, out: Any, exposure: Any = 1.0) -> np.ndarray:
        """Integral over the shares, by 200 of them in the middles of equal parts."""
        shares = (np.arange(200) + 0.5) / 200
        return np.asarray(np.mean([self.quantile(out, share) for share in shares], axis=0))

    def quantile(self, out: Any, share: Any, exposure: Any = 1.0) -> np.ndarray:
        return self.at(out, normal_quantile(share))

    def at(self, out: Any, z: Any, exposure: Any = 1.0) -> np.ndarray:
        known = np.sort(np.stack(self.split(out)), axis=0)
        knots = normal_quantile(self.levels)
        z = np.broadcast_to(z, known.shape[1:])
        k = np.clip(np.searchsorted(knots, z, side="right") - 1, 0, len(knots) - 2)
        low, high = (np.take_along_axis(known, at[None], axis=0)[0] for at in (k, k + 1))
        weight = (z - knots[k]) / (knots[k + 1] - knots[k])
        return np.asarray(np.where(weight == 1, high, low + weight * (high - low)))

    def sample(self, out: Any, rng: np.random.Generator, exposure: Any = 1.0) -> np.ndarray:
        return self.quantile(out, rng.uniform(1e-9, 1 - 1e-9, size=self.split(out)[0].shape))

    def log_probability(self, out: Any, target: np.ndarray, exposure: Any = 1.0) -> np.ndarray:
        raise ValueError(f"loss={self.name!r} has no log_likelihood: it learns quantiles, not a density")


HEADS: dict[str, Head] = {
    "mean_squared_error": Head("mean_squared_error", "mean_squared_error"),
    "huber": Head("huber", "huber"),
    "gaussian": Gaussian("gaussian", "gaussian_likelihood", 2),
    "student_t": StudentT("student_t", "student_t_likelihood", 3),
    "poisson": Poisson("poisson", "poisson_likelihood"),
    "negative_binomial": NegativeBinomial("negative_binomial", "negative_binomial_likelihood", 2),
    "quantile": Quantiles("quantile", "quantile_loss", len(QUANTILES)),
}
"""Name -> head."""


def head_of(loss: Any) -> Head:
    """The head of a name of `HEADS`, or of the function that it minimises, or of a list of quantiles.

    Raises
    ------
    ValueError
        Another name; fewer than two quantiles, or none on one side of 0.5; such that do not rise.

    Examples
    --------
    >>> head_of("gaussian").parts, head_of("gaussian_likelihood").parts, head_of([0.1, 0.5, 0.9]).parts
    (2, 2, 3)
    """
    if isinstance(loss, str):
        short = loss.removesuffix("_likelihood").removesuffix("_loss")
        if short in HEADS:
            return HEADS[short]
    if isinstance(loss, str) or not isinstance(loss, Sequence | np.ndarray):
        meant = HINTS["loss name"].get(loss, "") if isinstance(loss, str) else ""
        cure = f": take {meant}" if meant in HEADS else ""
        raise ValueError(f"loss must be one of {', '.join(HEADS)}, or a list of quantiles, got {quoted(loss)}{cure}")
    levels = _levels(loss)
    if levels is None:
        raise ValueError(
            "loss as a list must be two or more quantiles between 0 and 1 that rise, 0.5 among or between them, such "
            f"as [0.1, 0.5, 0.9], got {quoted(loss)}"
        )
    return Quantiles("quantile", "quantile_loss", len(levels), levels)


def _levels(loss: Any) -> tuple[float, ...] | None:
    """Quantiles; None where they are none."""
    numbers = (int, float, np.integer, np.floating)
    if len(loss) < 2 or not all(isinstance(each, numbers) and not isinstance(each, bool) for each in loss):
        return None
    levels = tuple(float(each) for each in loss)
    rising = all(a < b for a, b in zip((0.0, *levels), (*levels, 1.0)))
    return levels if rising and levels[0] <= 0.5 <= levels[-1] else None


def check_all_counts(head: Head, series: Sequence[np.ndarray]) -> None:
    """`check_counts` of the series (T_i, K) of a fit."""
    for k, each in enumerate(series):
        check_counts(head, f"series {k}" if len(series) > 1 else "y", each)


def check_counts(head: Head, name: str, values: np.ndarray) -> None:
    """Refuse what the head of a distribution of counts cannot have made.

    Raises
    ------
    ValueError
        A negative value, or one that is not whole.
    """
    if not head.counts:
        return
    if values.size and values.max() > MOST_COUNTS:
        raise ValueError(
            f"loss={head.name!r} needs counts of at most {MOST_COUNTS:g}, but {name} has {values.max():g}: take "
            "loss='gaussian', 'student_t' or 'quantile'"
        )
    wrong = ~((values >= 0) & (values == np.floor(values)))
    if wrong.any():
        at = np.argwhere(wrong)[0].tolist()
        raise ValueError(
            f"loss={head.name!r} needs counts, whole numbers from 0, but {name} has {values[wrong][0]:g} at index "
            f"{at[0] if len(at) == 1 else tuple(at)}: take loss='gaussian', 'student_t' or 'quantile'"
        )
