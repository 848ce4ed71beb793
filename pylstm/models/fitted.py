"""`FittedModel`: base of models whose net is made and trained by `fit`."""

from __future__ import annotations

from typing import Any

from pylstm.checks import check_size
from pylstm.described import Model
from pylstm.models.sequence_model import SequenceModel
from pylstm.optim.optimisers import Adam
from pylstm.optim.schedules import cosine
from pylstm.training.fitting import fit
from pylstm.training.history import History


class FittedModel(Model):
    """A model around `net`, which is None before `fit`."""

    net: Any = None

    def _fit_net(
        self, net: SequenceModel, data: Any, epochs: int, batch_size: int, lr: float, **options: Any
    ) -> History:
        """Train `net` and take it; by default with `Adam`, whose rate falls from `lr` to 0 as half a cosine wave."""
        self.net = net
        steps = epochs * -(-len(data[0]) // check_size("batch_size", batch_size))
        usual: dict[str, Any] = {"optimiser": Adam(net.params, lr=lr), "schedule": cosine(lr, max(1, steps))}
        return fit(net, data, epochs=epochs, batch_size=batch_size, **(usual | options))

    def _need_net(self) -> SequenceModel:
        if self.net is None:
            raise RuntimeError("this model has not been fitted: call fit first")
        net: SequenceModel = self.net
        return net

    @property
    def parts(self) -> dict[str, Any]:
        """Name -> layer, as `pylstm.save` stores them."""
        if self.net is None:
            raise ValueError("this model has not been fitted: call fit before saving it")
        return self._need_net().parts
