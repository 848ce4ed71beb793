"""Nets that learn online as models of River: `OnlineRegressor` and `OnlineClassifier`. They need the extra ``river``.

River calls ``predict_one(x)`` and then ``learn_one(x, y)``: the state of the net moves on in the second alone.
"""

from typing import TYPE_CHECKING

from pylstm.hints import absent

if TYPE_CHECKING:
    from pylstm.interop.river_models import OnlineClassifier as OnlineClassifier
    from pylstm.interop.river_models import OnlineRegressor as OnlineRegressor

__all__ = ["OnlineClassifier", "OnlineRegressor"]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__, {name: "pylstm.interop.river_models" for name in __all__})
