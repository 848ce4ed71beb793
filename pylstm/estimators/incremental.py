"""`Incremental`: `partial_fit` of a classifier, one pass over what it is given at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.utils import column_or_1d

from pylstm.estimators.base import OPTIMISERS, SequenceEstimator
from pylstm.estimators.sequences.inputs import Labels, Rows, seed_of
from pylstm.hints import explained
from pylstm.models.fitted import fit_net
from pylstm.training.refit import all_or_nothing


class Incremental(SequenceEstimator):
    """What `SequenceClassifier` adds to a fit at once."""

    if TYPE_CHECKING:  # of the classifier
        class_weight: Any
        calibrate: bool
        method: Literal["auto", "random", "trained"]
        scores_: dict[str, float]
        settings_: dict[str, Any]
        classes_: np.ndarray
        _optimiser_state: dict[str, Any] | None

    @explained("estimator fit")
    @all_or_nothing
    def partial_fit(
        self,
        X: Rows,
        y: Labels | None = None,
        classes: Labels | None = None,
        sample_weight: Labels | None = None,
    ) -> Self:
        """One pass over some sequences, from where the last fit ended, at a constant `learning_rate`.

        The first call makes a net that is trained and standardises by what it is given. The optimiser goes on where it
        was; `pylstm.save` does not write its state, so that it begins anew after `pylstm.load` (a pickle has it).

        After a `fit` that took a random net, all weights of that net are trained: the accuracy may fall at first.
        ``method_`` is then "trained", and ``scores_``, the penalty and ``temperature_``, which no longer hold, are
        dropped.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`
        classes : array_like, shape (K,)
            All labels that there will be; needed in the first call.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As `fit`; ``method="random"``; ``calibrate=True``, which holds out sequences. No `classes` in the first
            call, others later, a label that is not among them. ``class_weight="balanced"``, since the numbers of the
            classes are not known.

        Examples
        --------
        >>> from pylstm import SequenceClassifier
        >>> x = np.random.default_rng(0).normal(size=(200, 5, 1))
        >>> y = (x.sum(axis=(1, 2)) > 0).astype(int)
        >>> net = SequenceClassifier("gru", hidden_size=8, random_state=0)
        >>> for start in range(0, 200, 50):
        ...     part = slice(start, start + 50)
        ...     net = net.partial_fit(x[part], y[part], classes=[0, 1])
        >>> net.n_iter_, net.classes_
        (4, array([0, 1]))
        """
        self._check_parameters()
        self._check_incremental()
        first = not hasattr(self, "model_")
        self._take_classes(classes, first)
        x, targets, weights = self._counting(X, y, sample_weight, reset=first, known=True)
        if first:
            self._begin_choice("trained")
            self._set_scalers(self._prepared(x), targets, weights)
            self.model_, self.n_iter_, self.loss_curve_ = self._make_model(seed_of(self.random_state)), 0, []
            self.validation_scores_, self._net_of = None, self._identity()
        else:
            self.model_ = self._copied()
            self.method_, self.scores_, self.temperature_ = "trained", {}, 1.0
            self.settings_ = self.settings_ | {"penalty": None}
            self._net_of = self._identity()
        optimiser = OPTIMISERS[self.optimiser](self.model_.params, lr=self.learning_rate)
        if getattr(self, "_optimiser_state", None) is not None:
            optimiser.load_state_dict(self._optimiser_state)
        settings = self._training() | {"epochs": 1, "schedule": None, "optimiser": optimiser}
        seed = (seed_of(self.random_state) + self.n_iter_) % 2**31
        data = self._data(self._inputs(x), self._scaled(targets), weights)
        history = fit_net(self.model_, data, seed=seed, **settings)
        self._optimiser_state = optimiser.state_dict()
        self.n_iter_, self.loss_curve_ = self.n_iter_ + 1, [*self.loss_curve_, *history.loss]
        return self

    def _check_incremental(self) -> None:
        """Refuse parameters that need all sequences at once."""
        if self.method == "random":
            raise ValueError("method='random' fits all sequences at once: for partial_fit take method='trained'")
        if self.calibrate:
            raise ValueError(
                "calibrate=True holds out sequences, but partial_fit trains on all it is given: take calibrate=False"
            )
        if isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight='balanced' needs all labels at once: pass partial_fit a dict, such as "
                "dict(zip(classes, compute_class_weight('balanced', classes=classes, y=y)))"
            )

    def _take_classes(self, classes: Any, first: bool) -> None:
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if classes is None:
            return
        found = np.unique(column_or_1d(classes))
        if first:
            self.classes_ = found
        elif not np.array_equal(found, self.classes_):
            raise ValueError(f"classes must be those of the first call, {self.classes_.tolist()}, got {found.tolist()}")
