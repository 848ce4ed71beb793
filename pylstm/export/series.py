"""`prepared`, `undone`: logarithms and differences of a series before its net, and back in the forecast, in double."""

from __future__ import annotations

from pylstm.export.net import Series
from pylstm.export.parts import Parts


def prepared(series: Series, parts: Parts) -> list[str]:
    """The way from x to the input of the first layer; the net waits until there is a value for every difference."""
    K, value = series.width, "log(x[k])" if series.log else "x[k]"
    lines = [f"    double level[{K}];", f"    for (int k = 0; k < {K}; k++)", f"        level[k] = {value};"]
    for number, lag in enumerate(series.lags):
        lines += [
            f"    for (int k = 0; k < {K}; k++) {{ /* z_t = y_t - y_{{t-{lag}}} */",
            "        const double now = level[k];",
            f"        double *const past = net->series.past{number} + k;",
            "        level[k] = now - past[0];",
            f"        for (int j = 0; j < {(lag - 1) * K}; j += {K})" if lag > 1 else "",
            f"            past[j] = past[j + {K}];" if lag > 1 else "",
            f"        past[{(lag - 1) * K}] = now;",
            "    }",
        ]
    if series.lost:
        lines += [f"    if (net->series.seen++ < {series.lost})", "        return;"]
    lines += [f"    for (int k = 0; k < {parts.layers[0].layer.input_size}; k++)"]
    known = parts.layers[0].layer.input_size > K
    value = f"(k < {K} ? level[k] : x[k])" if known else "level[k]"
    lines += [f"        net->scratch.x[k] = ({parts.real})(({value} - @x_mean[k]) / @x_scale[k]);"]
    return [line for line in lines if line]


def undone(series: Series, parts: Parts) -> list[str]:
    """The way from the forecast of the prepared series, in y, to that of the series."""
    count, K, lines = parts.net.outputs, series.width, list[str]()
    for number, lag in reversed(list(enumerate(series.lags))):
        before = f"net->series.past{number}[k]"
        if lag * K < count:
            before = f"k < {lag * K} ? {before} : y[k - {lag * K}]"
        lines += [f"    for (int k = 0; k < {count}; k++)", f"        y[k] += {before};"]
    if series.log:
        lines += [f"    for (int k = 0; k < {count}; k++)", "        y[k] = exp(y[k]);"]
    if series.least is not None:
        lines += [
            f"    for (int k = 0; k < {count}; k++)",
            f"        y[k] = y[k] < @y_least[k % {K}] ? @y_least[k % {K}] : y[k];",
        ]
    if series.lost:
        nan = "0x7fc00000u" if parts.real == "float" else "0x7ff8000000000000u"
        lines += [
            f"    if (net->series.seen <= {series.lost})",
            f"        for (int k = 0; k < {count}; k++)",
            f"            y[k] = @from_bits({nan});",
        ]
    return lines
