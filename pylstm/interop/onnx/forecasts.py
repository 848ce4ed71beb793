"""`Forecast`: a `ForecastModel` as a graph: the series prepared, read by its net, and the forecast undone."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from pylstm.interop.onnx.graph import Graph
from pylstm.interop.onnx.layers import Layers
from pylstm.interop.onnx.reading import add_head

STEPS, DOUBLE = 1, TensorProto.DOUBLE
"""The axis of steps; the dtype of series."""
SMALLEST = float(np.exp(-700))
"""What no forecast falls below whose errors are judged in logarithms."""


def forecast_of(model: Any, asked: dict[str, bool]) -> Any:
    """The `ForecastModel` that `model` is or holds, None if none; `TypeError` where its forecast is not the net's."""
    estimator = hasattr(model, "get_params")
    if estimator and hasattr(model, "predict_quantiles") and not hasattr(model, "model_"):
        raise ValueError(f"the {type(model).__name__} is not fitted: call fit first")
    found = getattr(model, "model_", model) if estimator else model
    if not hasattr(found, "preparation"):
        return None
    found._need_net()
    net = "model.model_.net" if estimator else "model.net"
    if given := [name for name, flag in asked.items() if flag]:
        raise ValueError(f"{', '.join(given)}: a forecast reads all steps of its history in every call: leave it out")
    if found.head.spread:
        raise TypeError(
            f"loss={found.head.name!r}: the forecast is the median of paths that are drawn, which the file cannot "
            f"have: export {net}, which says the distribution of the standardised series"
        )
    columns = [] if found.blend is None else found.blend.columns
    if others := [each for each, column in zip(found.describe(), columns) if column.share * column.net != 1]:
        raise TypeError(
            f"the forecast is {others[0]}, and the file holds a net alone: fit with combine=False, or export {net}, "
            "whose input is the prepared and standardised series"
        )
    return found


class Forecast:
    """The nodes of a forecast of N series of one length, as `pylstm.forecasting` computes it, `n` steps ahead."""

    def __init__(self, graph: Graph, model: Any, layers: Layers, n: int) -> None:
        self.graph, self.model, self.layers, self.n = graph, model, layers, n
        several = len(model.scales) > 1
        self._series = graph.input("series", TensorProto.INT64, ("N",)) if several else ""

    def write(self) -> None:
        """All nodes."""
        graph, model, layers = self.graph, self.model, self.layers
        levels = self._levels(graph.input("x", DOUBLE, (*layers.axes, model.K)))
        mean, deviation = (self._own([each[k] for each in model.scales], f"x_{n}") for k, n in enumerate(NAMES))
        z = self._steps(graph.add("Div", graph.add("Sub", levels[-1], mean), deviation), -model.window, END)
        extra = self._extra() if model.M else ""
        blocks = -(-self.n // model.horizon)
        layers.take(self._read(z, extra))
        y = self._block(z, extra) if blocks == 1 else self._blocks(z, extra, blocks)
        if blocks * model.horizon > self.n:
            y = self._steps(y, 0, self.n)
        y = self._undone(graph.add("Add", graph.add("Mul", y, deviation), mean), levels)
        graph.output("y", self._bounded(y), DOUBLE, ("N", self.n, model.K))

    def _read(self, z: str, extra: str) -> str:
        """What the net reads, (steps, N, K + M): the standardised series, and what is known of the step after each."""
        if extra:
            count = self.graph.add("Shape", z, start=STEPS, end=STEPS + 1)
            known = self.graph.add("Slice", extra, self.graph.integers(0), count, self.graph.integers(STEPS))
            z = self.graph.add("Concat", z, known, axis=2)
        return self.layers.turned(self.graph.add("Cast", z, to=self.graph.type))

    def _block(self, z: str, extra: str) -> str:
        """The next `horizon` steps (N, horizon, K) of the standardised series."""
        graph, model = self.graph, self.model
        y = self.layers.run(model.net.layer, self._read(z, extra))
        last = graph.add("Gather", y, graph.constant(-1, dtype="int64"))
        y = graph.add("Cast", add_head(graph, model.net.head, last), to=DOUBLE)
        return graph.add("Reshape", y, graph.integers(-1, model.horizon, model.K))

    def _blocks(self, z: str, extra: str, count: int) -> str:
        """So many blocks, each read by the net as if it had happened: the series grows in a `Loop`."""
        outer, K = self.graph, self.model.K
        body = self.graph = self.layers.graph = Graph(outer.dtype, outer=outer)
        body.input("forecast.block", TensorProto.INT64, ())
        go_on = body.input("forecast.go_on", TensorProto.BOOL, ())
        before = body.input("forecast.before", DOUBLE, ("N", None, K))
        after = body.add("Concat", before, self._block(before, extra), axis=STEPS)
        body.output("forecast.go_on", go_on, TensorProto.BOOL, ())
        body.output("forecast.after", after, DOUBLE, ("N", None, K))
        self.graph = self.layers.graph = outer
        trips = outer.constant(count, dtype="int64")
        (grown,) = outer.add_many("Loop", [trips, "", z], 1, body=body.proto("forecast"))
        return self._steps(grown, -count * self.model.horizon, END)

    def _own(self, values: Any, name: str) -> str:
        """The values (K,) of the series of each row, (N, 1, K), or (1, 1, K) of a single series."""
        constant = self.graph.constant(np.stack(values)[:, None], name, "float64")
        return self.graph.add("Gather", constant, self._series) if self._series else constant

    def _levels(self, y: str) -> list[str]:
        """The series before and after each difference."""
        levels = [self.graph.add("Log", y) if self.model.preparation.log else y]
        for lag in self.model.preparation.lags:
            before, after = self._steps(levels[-1], 0, -lag), self._steps(levels[-1], lag, END)
            levels.append(self.graph.add("Sub", after, before))
        return levels

    def _undone(self, z: str, levels: list[str]) -> str:
        """Forecasts (N, n, K) of the prepared series, as values that follow the series."""
        graph = self.graph
        for lag, level in reversed(list(zip(self.model.preparation.lags, levels))):
            before, blocks = self._steps(level, -lag, END), []
            for start in range(0, self.n, lag):  # z_t = y_t - y_{t-lag}: a block of `lag` steps at a time
                size = min(lag, self.n - start)
                before = graph.add("Add", self._steps(z, start, start + size), self._steps(before, 0, size))
                blocks.append(before)
            z = graph.add("Concat", *blocks, axis=STEPS) if len(blocks) > 1 else blocks[0]
        return graph.add("Exp", z) if self.model.preparation.log else z

    def _extra(self) -> str:
        """What is known of the step after each, standardised: of those that the net reads."""
        graph, model = self.graph, self.model
        mean, deviation = (graph.constant(each, f"extra_{n}", "float64") for each, n in zip(model.extra_scale, NAMES))
        given = graph.input("exogenous", DOUBLE, ("N", None, model.M))
        extra = graph.add("Div", graph.add("Sub", given, mean), deviation)
        extra = self._steps(extra, model.preparation.lost + 1, END)
        return self._steps(extra, 1 - model.window - self.n, END)

    def _bounded(self, y: str) -> str:
        """No forecast below what the back-test found the series to be above."""
        if self.model.blend is None:
            return y
        columns, K = self.model.blend.columns, self.model.K
        least = [SMALLEST if each.log else -np.inf if each.above is None else each.above for each in columns]
        return self.graph.add("Max", y, self._own([least[k : k + K] for k in range(0, len(least), K)], "y_least"))

    def _steps(self, x: str, start: int, end: int) -> str:
        """Those from `start` to before `end`."""
        return self.graph.add("Slice", x, *(self.graph.integers(each) for each in (start, end, STEPS)))


NAMES = ("mean", "scale")
END = 2**31 - 1
"""The end of an axis."""
