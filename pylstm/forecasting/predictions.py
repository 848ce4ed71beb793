"""`Predictions`: forecasts, intervals, quantiles and sample paths of a fitted `ForecastModel`."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from pylstm.checks import Integer, check_share, check_size, generator
from pylstm.forecasting.combining import continue_series, forecast_blend, warn_of_level, warn_of_short
from pylstm.forecasting.series import as_extras, as_series
from pylstm.hints import explained
from pylstm.models.heads import check_counts

PATHS, DRAWN = 200, 1000
"""Default continuations: with residuals, and drawn from the distributions that a net says."""


class Predictions:
    """What a fitted model says of the steps to come; `ForecastModel` inherits it."""

    blend: Any
    recalibration: Any
    head: Any
    form: str
    joint: bool
    K: int
    M: int
    residuals: np.ndarray
    scales: list[np.ndarray]
    tails: list[np.ndarray]
    extra_tails: list[np.ndarray]
    _need_net: Any

    @explained()
    def predict(self, n: int, *, history: Any = None, exogenous: Any = None, rescale: bool = False) -> Any:
        """The n steps after the end of the series.

        Parameters
        ----------
        n : int
        history : as `y` of `fit`, optional
            Other series to continue: the series of the fit with later values at its end, or with `rescale` any series.
        exogenous : array_like, shape (n, M), or list of such
            Of the steps to come; with `history`, (T + n, M): of its steps, too.
        rescale : bool
            Standardise each `history` by its own mean and deviation rather than by those of the series of the fit.

        Returns
        -------
        ndarray, shape (n,) or (n, S), or list of such
            As the series came.

        Raises
        ------
        RuntimeError
            There was no `fit`.
        ValueError
            Series or exogenous values that do not fit those of the fit, or are too short.
        """
        points, form = self._points(n, history, exogenous, rescale)
        return self._as_given(points, form)

    @explained()
    def predict_mean(
        self,
        n: int,
        *,
        history: Any = None,
        exogenous: Any = None,
        rescale: bool = False,
        paths: int | None = None,
        seed: Integer = 0,
    ) -> Any:
        """Expectations of the n steps after the end of the series: means of simulated continuations.

        Of a skewed distribution, such as that of counts, they are not the forecast, which is the median, and may lie
        outside of a narrow interval.

        Parameters
        ----------
        n, history, exogenous, rescale, paths, seed
            As for `predict_interval`.

        Returns
        -------
        ndarray or list
            As `predict`.

        Raises
        ------
        RuntimeError, ValueError
            As `predict`; a `loss` that says no distribution.
        """
        self._need_net()
        if not self.head.spread:
            raise self.head.refusal("means")
        drawn, form = self._paths(n, history, exogenous, rescale, paths or self._usual_paths, generator(seed))
        return self._as_given([each.mean(axis=0) for each in drawn], form)

    @explained()
    def predict_interval(
        self,
        n: int,
        level: float = 0.9,
        *,
        history: Any = None,
        exogenous: Any = None,
        rescale: bool = False,
        paths: int | None = None,
        seed: Integer = 0,
    ) -> tuple[Any, Any]:
        """Ends (low, high) of intervals that contain the share `level` of what comes, and the forecast.

        With `combine` they are conformal, from the errors of forecasts at every origin of the back-test inside the
        series: absolute errors by their recent size and by their growth with the horizon, pooled, in the finite-sample
        quantile, and no narrower than Student's t where ``origins / h`` of them are too few (see the notes). Otherwise
        they are quantiles of simulated continuations: drawn from the distributions that the net says, with levels as a
        back-test on the validation steps found them, or with the residuals of these steps; where these have a bias, an
        interval reaches to the forecast.

        Parameters
        ----------
        n, history, exogenous, rescale
            As for `predict`.
        level : float
            Between 0 and 1.
        paths : int, optional
            Continuations, each drawn step by step and read by the net as if it had happened; default: 200, of a net
            that says a distribution 1000.
        seed : int

        Returns
        -------
        low, high
            As `predict`. Each step is judged by itself.

        Notes
        -----
        Rolling-origin split conformal prediction, by horizon: Stankeviciute, Alaa & van der Schaar (2021), Conformal
        time-series forecasting; late scores weigh more: Barber, Candes, Ramdas & Tibshirani (2023), Conformal
        prediction beyond exchangeability. EnbPI (Xu & Xie 2021) and adaptive conformal inference (Gibbs & Candes 2021)
        correct themselves by what was measured after every step, which a forecast of n steps at once does not have.

        Warns
        -----
        UserWarning
            With `combine`, where the back-test has too few origins for the level; it says how many are needed.

        Raises
        ------
        RuntimeError, ValueError
            As `predict`; `level` out of range.
        """
        if not isinstance(level, Real):
            raise TypeError(
                f"level must be a number between 0 and 1, got {type(level).__name__}: it comes before inputs"
            )
        if not 0 < level < 1:
            raise ValueError(f"level must be between 0 and 1, got {level}")
        given = {"history": history, "exogenous": exogenous, "rescale": rescale, "paths": paths, "seed": seed}
        low, high = self.predict_quantiles(n, [(1 - level) / 2, (1 + level) / 2], **given)
        return low, high

    @explained()
    def predict_quantiles(
        self,
        n: int,
        quantiles: Sequence[float],
        *,
        history: Any = None,
        exogenous: Any = None,
        rescale: bool = False,
        paths: int | None = None,
        seed: Integer = 0,
    ) -> list[Any]:
        """Quantiles of each step, of all quantiles one after another; that of 0.5 is the forecast.

        Parameters
        ----------
        n, history, exogenous, rescale, paths, seed
            As for `predict_interval`.
        quantiles : sequence of float
            Between 0 and 1.

        Returns
        -------
        list of ndarray or list
            Of each quantile, as `predict`.

        Warns
        -----
        UserWarning
            As `predict_interval`, of the level between the outermost of them and its mirror.

        Raises
        ------
        RuntimeError, ValueError
            As `predict`; a quantile out of range.
        """
        shares = [float(check_share("quantiles", each)) for each in quantiles]
        if not all(0 < each < 1 for each in shares):
            raise ValueError(f"quantiles must be between 0 and 1, got {shares}")
        if self.blend is not None:
            warn_of_level(
                self.blend, max((round(abs(2 * each - 1), 12) for each in shares), default=0.0), check_size("n", n)
            )
            found, form = self._blended(n, history, exogenous, rescale, shares)
            return [self._as_given(each, form) for each in found]
        self._need_net()
        drawn, form = self._paths(n, history, exogenous, rescale, paths or self._usual_paths, generator(seed))
        if self.head.spread:
            return [self._as_given([self._quantile(each, p) for each in drawn], form) for p in shares]
        points, _ = self._paths(n, history, exogenous, rescale, 1, None)
        reach: dict[int, Any] = {-1: np.minimum, 0: lambda _, point: point, 1: np.maximum}
        return [
            self._as_given(
                [reach[np.sign(p - 0.5)](np.quantile(each, p, axis=0), point[0]) for each, point in zip(drawn, points)],
                form,
            )
            for p in shares
        ]

    @explained()
    def sample(
        self,
        n: int,
        paths: int = 100,
        *,
        history: Any = None,
        exogenous: Any = None,
        rescale: bool = False,
        seed: Integer = 0,
    ) -> list[Any]:
        """Continuations, one after another; at each step they have the quantiles of `predict_quantiles`.

        Parameters
        ----------
        n, history, exogenous, rescale
            As for `predict`.
        paths : int
        seed : int

        Returns
        -------
        list of ndarray or list
            Of each path, as `predict`.

        Raises
        ------
        RuntimeError, ValueError
            As `predict`.
        """
        check_size("paths", paths)
        if self.blend is not None:
            found, form = self._blended(n, history, exogenous, rescale, None, paths, generator(seed))
            return [self._as_given(each, form) for each in found]
        self._need_net()
        rows = paths if self.recalibration is None else max(paths, DRAWN)
        drawn, form = self._paths(n, history, exogenous, rescale, rows, generator(seed))
        return [self._as_given([each[row] for each in drawn], form) for row in range(paths)]

    def _points(self, n: int, history: Any, exogenous: Any, rescale: bool) -> tuple[list[np.ndarray], str]:
        """Forecasts (n, K) of each series, and their form."""
        if self.blend is not None:
            found, form = self._blended(n, history, exogenous, rescale, [0.5])
            return found[0], form
        self._need_net()
        if self.head.spread:
            paths, form = self._paths(n, history, exogenous, rescale, DRAWN, generator(0))
            return [self._quantile(each, 0.5) for each in paths], form
        paths, form = self._paths(n, history, exogenous, rescale, 1, None)
        return [each[0] for each in paths], form

    @property
    def _usual_paths(self) -> int:
        return DRAWN if self.head.spread else PATHS

    def _quantile(self, paths: np.ndarray, share: float) -> np.ndarray:
        """Quantiles (n, K) of paths (P, n, K): of counts one of them."""
        return np.asarray(np.quantile(paths, share, axis=0, method="inverted_cdf" if self.head.counts else "linear"))

    def _blended(
        self,
        n: int,
        history: Any,
        exogenous: Any,
        rescale: bool,
        shares: list[float] | None,
        paths: int = 0,
        rng: Any = None,
    ) -> tuple[list[list[np.ndarray]], str]:
        """Quantiles, or with `rng` paths, one after another: of each the (n, K) of all series."""
        *given, form = self._given(n, history, exogenous, rescale)
        blend, points, sizes = forecast_blend(self, n, given, rescale)
        if shares is None:
            drawn = [blend.sample(k, *each, paths, rng) for k, each in enumerate(zip(points, sizes))]
        else:
            wanted = np.array(shares)[:, None]
            drawn = [blend.quantiles(k, *each, wanted) for k, each in enumerate(zip(points, sizes))]
        K = self.K
        return [
            [np.stack([each[row] for each in drawn[k : k + K]], axis=1) for k in range(0, len(drawn), K)]
            for row in range(paths if shares is None else len(shares))
        ], form

    def _as_given(self, forecasts: list[np.ndarray], form: str) -> Any:
        if form == "columns":
            return forecasts[0] if self.joint else np.hstack(forecasts)
        flat = [each if self.joint and self.K > 1 else each[:, 0] for each in forecasts]
        return flat[0] if form == "one" else flat

    def _paths(
        self, n: int, history: Any, exogenous: Any, rescale: bool, rows: int, rng: Any
    ) -> tuple[list[np.ndarray], str]:
        """Continuations (rows, n, K) of each series, and the form of the series."""
        if rng is not None and not self.head.spread and not len(self.residuals):
            raise ValueError(
                "intervals need errors on steps that were not trained on, and all were: fit with validation=0.2 "
                "(a Forecaster: validation_fraction=0.2; `pylstm train forecast`: --validation 0.2)"
            )
        series, extras, scales, form = self._given(n, history, exogenous, rescale)
        found = [continue_series(self, n, *each, rows, rng) for each in zip(series, extras, scales)]
        if rng is not None and self.recalibration is not None:
            found = [self.recalibration.apply(each) for each in found]
        return [np.rint(each) for each in found] if self.head.counts else found, form

    def _given(
        self, n: int, history: Any, exogenous: Any, rescale: bool
    ) -> tuple[list[Any], list[Any], list[Any], str]:
        """The series to continue, exogenous values of their steps and the next n, their scales, and their form."""
        self._need_net()
        check_size("n", n)
        series, form = (self.tails, self.form) if history is None else as_series(history, self.joint)
        for each in series:
            check_counts(self.head, "history", each)
        if series[0].shape[1] != self.K:
            raise ValueError(f"the history must have {self.K} values at a step, got {series[0].shape[1]}")
        if not rescale and len(series) != len(self.scales):
            raise ValueError(
                f"fitted on {len(self.scales)} series, got {len(series)}: pass rescale=True for other series"
            )
        if history is not None and self.blend is not None and not rescale:
            warn_of_short(self.blend, series, [len(each) for each in self.tails])
        own = 0 if history is None else 1
        extras = as_extras("exogenous", exogenous, len(series), self.M, [own * len(each) + n for each in series])
        if not own:
            extras = [np.concatenate(pair) for pair in zip(self.extra_tails, extras)]
        return series, extras, [None] * len(series) if rescale else self.scales, form
