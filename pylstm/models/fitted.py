"""`FittedModel`: base of models whose net is made and trained by `fit`."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from pylstm.checks import check_size
from pylstm.described import Model
from pylstm.feedforward.mlp import Activation
from pylstm.layers.arguments import LayerOptions, check_extra, find_cell
from pylstm.layers.recurrent import RecurrentLayer
from pylstm.models.sequence_model import SequenceModel
from pylstm.optim.optimisers import Adam
from pylstm.optim.schedules import cosine
from pylstm.summaries import Shape
from pylstm.training.fitting import fit
from pylstm.training.history import History
from pylstm.training.trainer import Trainer


class NetOptions(LayerOptions, total=False):
    """What a model hands on to its `SequenceModel`, for type checkers."""

    activation: Activation
    loss_options: dict[str, Any] | None
    residual: bool | Iterable[bool]


OWN = ("input_size", "output_size", "vocabulary", "read", "batch_first")
"""Arguments of a `SequenceModel` or its layers that `fit` sets."""


def check_net(model: type[FittedModel], cell: Any, options: Iterable[str], own: tuple[str, ...]) -> None:
    """Refuse options that `fit` could not make a net with; `own` are those of a `SequenceModel` that it sets itself.

    Raises
    ------
    TypeError
        An unknown option, or one of `fit`.
    LookupError
        No cell of that name.
    """
    found, name = find_cell(cell), model.__name__
    fits: Any = (model.fit, Trainer.__init__, fit)  # type: ignore[attr-defined]
    taken = [each for function in fits for each in inspect.signature(function).parameters.values()]
    later = {each.name for each in taken if each.kind is inspect.Parameter.KEYWORD_ONLY}
    for each in options:
        if each in later - found.contract.sizes.keys() - found.options.keys():
            raise TypeError(f"{name} has no option {each!r}, but its method fit has: pass {each}= to fit")
    makers = (SequenceModel.__init__, RecurrentLayer.__init__)
    check_extra(name, found, options, model.__init__, *makers, without=own)


def fit_net(
    net: SequenceModel, data: Any, *, epochs: int, batch_size: int, lr: float, count: int | None = None, **options: Any
) -> History:
    """`pylstm.fit`, by default with `Adam`, whose rate falls from `lr` to 0 as half a cosine wave.

    `count` is the number of batches of an epoch, where `data` are batches.
    """
    steps = epochs * (-(-len(data[0]) // check_size("batch_size", batch_size)) if count is None else count)
    usual: dict[str, Any] = {"optimiser": Adam(net.params, lr=lr), "schedule": cosine(lr, max(1, steps))}
    return fit(net, data, epochs=epochs, batch_size=batch_size, **(usual | options))


def frozen_in(net: SequenceModel, names: Any) -> SequenceModel:
    """The net, whose parameters of these names are frozen.

    Raises
    ------
    ValueError
        A name that no parameter has.
    """
    if names is None or (not isinstance(names, str) and not len(names)):
        return net
    try:
        net.params.freeze(*([names] if isinstance(names, str) else names))
    except (KeyError, TypeError) as error:
        raise ValueError(f"frozen must hold names of parameters of the net: {error.args[0]}") from None
    return net


class NotFitted(ValueError, RuntimeError, AttributeError):
    """A model is asked for what only a fit makes; `hasattr` answers False."""


class FittedModel(Model, hints="fitted model"):
    """A model around `net`, which is None before `fit`."""

    net: Any = None

    def _fit_net(self, net: SequenceModel, data: Any, **options: Any) -> History:
        """Train `net` and take it."""
        self.net = net
        return fit_net(net, data, **options)

    def _need_net(self) -> SequenceModel:
        if self.net is None:
            raise NotFitted("this model has not been fitted: call fit first")
        net: SequenceModel = self.net
        return net

    def _need_fit(self) -> None:
        if self.net is None:
            raise NotFitted("this model has not been fitted: call fit before saving it")

    def _takes(self) -> Shape:
        return self._need_net()._takes()

    def _outline(self, takes: Shape | None) -> Iterator[tuple[str, Any, Shape | None]]:
        return self._need_net()._outline(takes)

    @property
    def parts(self) -> dict[str, Any]:
        """Name -> layer, as `pylstm.save` stores them."""
        self._need_fit()
        return self._need_net().parts
