"""`as_arrays`: a forecaster and series of any form as `pylstm.forecasting.backtest` cuts them, arrays."""

from __future__ import annotations

import copy
from typing import Any

from pylstm.checks import quoted
from pylstm.estimators.series.asking import continued, numbers, refuse_steps, without_gaps
from pylstm.estimators.series.pairing import check_fit, named
from pylstm.estimators.series.tables import Columns, Table
from pylstm.wording import some_of


def as_arrays(forecaster: Any, frame: Any, values: Any, X: Any, names: Any) -> tuple[Any, Any, Any]:
    """A forecaster of arrays that forecasts as this one, its series, and the known inputs of their steps.

    Raises
    ------
    ValueError
        Inputs beside a table; a table of other series than the fit; as `Table.read` and `check_fit`.
    """
    columns, bare = Columns.of(forecaster), copy.copy(forecaster)
    bare.fill = bare.freq = bare._frame = bare._inputs = None
    if columns is None:
        values, X = continued(forecaster, frame, values, name="values")[0], without_gaps(forecaster, X)
        check_fit(values, X)
        return bare, numbers(values), numbers(named(names, X))
    if X is not None:
        raise ValueError(f"exogenous: with id= or time= inputs are columns of the table, got {quoted(X)}")
    fitted = frame if isinstance(frame, Table) else None
    table = Table.read(values, columns if fitted is None else fitted.columns, fitted)
    if fitted is not None and fitted.ids and table.ids and table.ids != fitted.ids:
        known, got = (some_of(map(repr, each)) for each in (fitted.ids, table.ids))
        raise ValueError(
            f"values must have the ids of the fit, {known}; got {got}: the model has a scale and a method for each; "
            "for other series pass a Forecaster that is not fitted, with refit=True"
        )
    if fitted is not None:
        refuse_steps(fitted, table)
    bare.id = bare.time = bare.target = None
    bare.known = bare.static = ()
    return bare, table.arrays(forecaster.joint), table.inputs(forecaster.joint)
