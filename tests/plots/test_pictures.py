"""Pictures: what is on them are the numbers that were given, with titles, units and colours that can be told apart."""

import sys

import numpy as np
import pytest

import pylstm
from pylstm.diagnostics import gradient_by_lag, jacobians, lyapunov_spectrum, saturation
from pylstm.plots.panels import COLOURS
from pylstm.training import History

matplotlib = pytest.importorskip("matplotlib")
plots = pytest.importorskip("pylstm.plots")


def new_axes(count=1):
    from matplotlib.figure import Figure

    axes = Figure(layout="constrained").subplots(count, 1, squeeze=False)[:, 0]
    return axes if count > 1 else axes[0]


def net(cell="lstm", I=2, T=9, B=3, **options):
    rng = np.random.default_rng(3)
    layer = pylstm.Recurrent(cell, I, 4, dtype="float64", seed=1, **options)
    shape = (B, T, I) if options.get("batch_first") else (T, B, I)
    return layer, rng.normal(size=shape), rng


def overlaps(figure):
    """Pairs of texts of a figure that lie over each other; labels of ticks beyond the limits are not drawn."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    FigureCanvasAgg(figure).draw()
    drawn, beyond = figure.canvas.get_renderer(), set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        beyond |= {tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high}
        beyond |= {tick.label2 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high}
    texts = [each for each in figure.findobj(Text) if each.get_visible() and each.get_text().strip()]
    boxes = [(each.get_text(), each.get_window_extent(drawn)) for each in texts if each not in beyond]
    found = []
    for k, (text, box) in enumerate(boxes):
        found += [(text, other) for other, more in boxes[:k] if box.shrunk(0.9, 0.9).overlaps(more.shrunk(0.9, 0.9))]
    return found


def test_texts_that_overlap_are_seen():
    ax = new_axes()
    assert not overlaps(ax.figure)
    ax.text(0.5, 0.5, "one")
    ax.text(0.5, 0.5, "two")
    assert overlaps(ax.figure) == [("two", "one")]


def test_a_run_is_drawn_as_it_is():
    layer, x, _ = net("gru")
    run = layer(x)
    top, *maps = plots.plot_run(run, row=1)
    names = ["gate r", "gate z", "gate m", "gate n", "state h"]
    assert [axes.get_title() for axes in maps] == names and top.get_title() == "input"
    assert [line.get_ydata().tolist() for line in top.lines] == x[:, 1].T.tolist()
    arrays = [*run.gates.values(), run.states["h"][1:]]
    for axes, array in zip(maps, arrays):
        assert (axes.images[0].get_array() == array[:, 1].T).all() and axes.get_ylabel() == "unit"
    assert maps[-1].get_xlabel() == "step"
    limits = [axes.images[0].get_clim() for axes in maps]
    assert limits[0] == limits[1] == (0, 1) and limits[3] == (-1, 1)  # of a sigmoid, of a tanh
    assert limits[2][0] == -limits[2][1] == -np.abs(run.gates["m"][:, 1]).max()  # what has no ends: 0 in the middle
    assert not overlaps(top.figure)


@pytest.mark.parametrize("options", [{}, {"batch_first": True}])
def test_a_row_that_ends_early(options):
    layer, x, _ = net(**options)
    run = layer(x, lengths=np.array([4, 0, 9]))
    _top, gate, state = plots.plot_run(run, names=["f", "c"])
    assert gate.images[0].get_array().shape == state.images[0].get_array().shape == (4, 4)
    own = layer(np.ascontiguousarray(x[:1, :4] if options else x[:4, :1]))
    assert np.array_equal(gate.images[0].get_array(), own.gates["f"].reshape(4, 4).T)
    assert np.array_equal(state.images[0].get_array(), own.states["c"].reshape(5, 4)[1:].T)
    with pytest.raises(ValueError, match=r"^row 1 has no steps$"):
        plots.plot_run(run, row=1)
    with pytest.raises(ValueError, match=r"^row must be below 3, the rows of the run, got 3$"):
        plots.plot_run(run, row=3)


def test_many_inputs_are_a_heat_map_and_one_sequence_needs_no_row():
    layer, x, _ = net(I=5)
    top, *_ = plots.plot_run(layer(x[:, 0]), names=[])
    assert (top.images[0].get_array() == x[:, 0].T).all() and top.get_ylabel() == "input"


def test_the_names_of_three_inputs_fit_beside_the_title():
    """As narrow as `pylstm inspect` draws it."""
    from matplotlib.figure import Figure

    layer, x, _ = net(I=3)
    figure = Figure((5.6, 2.8), layout="constrained")
    top, _ = plots.plot_run(layer(x), names=["f"], ax=figure.subplots(2, 1, sharex=True))
    assert [text.get_text() for text in top.get_legend().get_texts()] == ["0", "1", "2"]
    assert not overlaps(figure)


def test_what_cannot_be_drawn_is_refused():
    layer, x, _ = net()
    run = layer(x)
    with pytest.raises(ValueError, match="ax must be 3 axes, one for each picture, got 2"):
        plots.plot_run(run, names=["f", "c"], ax=new_axes(2))
    with pytest.raises(TypeError, match=r"ax must be axes of a figure, figure\.subplots\(\), got 'x'"):
        plots.plot_lags(gradient_by_lag(run, run.y), ax="x")
    with pytest.raises(ValueError, match="names"):
        plots.plot_run(run, names=["forget"])
    with pytest.raises(TypeError, match=r"such as run\.layers\[0\] \(its dy: "):
        plots.plot_run(pylstm.LSTM(2, 4, num_layers=2, dtype="float64")(x))
    with pytest.raises(RuntimeError, match="tape=False"):
        plots.plot_run(layer(x, tape=False))
    with pytest.raises(AttributeError, match="steps=True"):
        plots.plot_deltas(run, run.backward(run.y))
    for function in (plots.plot_lags, plots.plot_saturation):
        with pytest.raises(TypeError, match=r"takes what \w+\(run(, dy)?\) returns"):
            function(run)
    with pytest.raises(TypeError, match=r"histories must be a History.* for 'a'"):
        plots.plot_losses({"a": [1.0]})
    with pytest.raises(ValueError, match=r"a level of intervals must be between 0 and 1, got 90"):
        plots.plot_fan(np.arange(9.0), [1.0], {90: ([0.0], [2.0])})
    with pytest.raises(ValueError, match=r"intervals\[0\.9\] must be two arrays of shape \(1,\)"):
        plots.plot_fan(np.arange(9.0), [1.0], {0.9: ([0.0, 1.0], [2.0, 3.0])})
    with pytest.raises(ValueError, match=r"matrix must be counts of shape \(2, 2\)"):
        plots.plot_confusion([[1, 2]], ["a", "b"])
    with pytest.raises(ValueError, match=r"jacobian must have shape \(\.\.\., N, N\), got \(9, 3, 8, 7\)"):
        plots.plot_eigenvalues(jacobians(run)[..., 1:])


def test_deltas_by_step():
    layer, x, rng = net(batch_first=True)
    run = layer(x)
    grads = run.backward(rng.normal(size=run.y.shape), steps=True)
    ax = new_axes()
    assert plots.plot_deltas(run, grads, ax=ax) is ax and ax.get_yscale() == "log"
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    assert list(lines) == ["gate i", "gate f", "gate g", "gate o", "state h", "state c"]
    assert np.allclose(lines["gate f"][1:], np.sqrt((grads.gates["f"] ** 2).mean(axis=(0, 2)))[1:], atol=1e-15)
    assert np.isnan(lines["gate f"][0])  # c_0 = 0: the forget gate of the first step does nothing, and a log has no 0
    sizes = np.sqrt((grads.states["c"][:, 1:] ** 2).mean(axis=(0, 2)))
    assert np.allclose(lines["state c"][:-1], sizes[:-1], atol=1e-15) and sizes[-1] == 0  # no step after the last
    one = plots.plot_deltas(run, grads, row=2)
    assert np.allclose(one.lines[3].get_ydata(), np.sqrt((grads.gates["o"][2] ** 2).mean(axis=1)), atol=1e-15)
    assert not overlaps(one.figure)


def test_saturation_of_a_cell_without_ranges():
    run = pylstm.Recurrent("lru", 2, 4, seed=0)(np.ones((5, 1, 2), "float32"))
    ax = plots.plot_saturation(saturation(run))  # warnings are errors here
    assert not any(len(bars) for bars in ax.containers) and "no gate" in ax.get_title()


def test_lags_spectra_and_saturation():
    layer, x, rng = net()
    layer.initialise("gate_bias", "f", 4.0)
    run = layer(x)
    found = gradient_by_lag(run, rng.normal(size=run.y.shape))
    ax = plots.plot_lags(found)
    for line, sizes in zip(ax.lines, (found.norms, found.sent, found.direct)):
        assert (line.get_ydata() == sizes).all() and (line.get_xdata() == found.lags).all()
    assert len({line.get_color() for line in ax.lines}) == 3 and {line.get_color() for line in ax.lines} < {*COLOURS}

    gates = saturation(run)
    bars = plots.plot_saturation(gates)
    low, high = ([bar.get_width() for bar in each] for each in bars.containers)
    assert np.allclose(low, [100 * each.low.mean() for each in gates.values()], atol=1e-9) and max(low) < 50
    assert np.allclose(high, [100 * each.high.mean() for each in gates.values()], atol=1e-9) and high[1] > 50
    ends = [bar.get_x() + bar.get_width() for bar in bars.containers[1]]
    assert np.allclose(ends, 100, atol=1e-12)

    exponents = lyapunov_spectrum(run)
    lines = plots.plot_exponents(exponents).lines
    shown = np.array([line.get_ydata() for line in lines[:3]])
    assert np.array_equal(shown, np.where(np.isfinite(exponents), exponents, np.nan), equal_nan=True)
    assert np.isnan(plots.plot_exponents([-1.0, -np.inf]).lines[0].get_ydata()[1])

    J = jacobians(run)[-1]
    circle, dots = plots.plot_eigenvalues(J).lines
    assert np.allclose(np.hypot(*circle.get_data()), 1, atol=1e-12)
    assert np.allclose(dots.get_xdata() + 1j * dots.get_ydata(), np.linalg.eigvals(J).ravel(), atol=1e-15)
    for axes in (ax, bars, dots.axes, lines[0].axes):
        assert axes.get_title() and axes.get_xlabel() and not overlaps(axes.figure)


def test_losses_of_several_fits():
    one = History(loss=[3.0, 2.0], validation_loss=[3.5, 2.5], best_epoch=1)
    ax = plots.plot_losses({"a": one, "b": History(loss=[3.0, 2.5, 2.2])}, unit="nats")
    train, judged, best, other = ax.lines
    drawn = [line.get_ydata().tolist() for line in (train, judged, other)]
    assert drawn == [one.loss, one.validation_loss, [3.0, 2.5, 2.2]]
    assert best.get_xydata().tolist() == [[2.0, 2.5]]
    assert train.get_color() == judged.get_color() != other.get_color() and judged.get_linestyle() == "--"
    assert ax.get_ylabel() == "nats" and ax.get_yscale() == "log" and not overlaps(ax.figure)
    assert [each.get_label() for each in plots.plot_losses(one).lines] == ["training", "validation", "_best"]
    assert plots.plot_losses(History(loss=[0.5, -0.5])).get_yscale() == "linear"  # a likelihood


def test_fan_and_confusion():
    values, forecast = np.arange(40.0), np.array([40.0, 42.0])
    fan = {0.5: (forecast - 1, forecast + 1), 0.9: (forecast - 3, forecast + 4)}
    ax = plots.plot_fan(values, forecast, fan)
    measured, line = ax.lines
    assert measured.get_ydata().tolist() == values[22:].tolist() and line.get_xydata().tolist() == [[40, 40], [41, 42]]
    corners = [{tuple(corner) for corner in each.get_paths()[0].vertices.tolist()} for each in ax.collections]
    assert corners[0] == {(40, 37), (41, 39), (40, 44), (41, 46)} and corners[1] == {
        (40, 39),
        (41, 41),
        (40, 41),
        (41, 43),
    }
    assert not overlaps(ax.figure)

    counts = np.array([[5, 0, 1], [2, 7, 0], [0, 0, 9]])
    ax = plots.plot_confusion(counts, ["cat", "dog", "bird"])
    assert ax.images[0].get_clim() == (0, counts.max())  # so that white numbers stand on dark blue only
    assert (ax.images[0].get_array() == counts).all() and ax.get_title() == "confusion: 21 of 24 right"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["cat", "dog", "bird"]
    assert not overlaps(ax.figure)


def test_a_figure_is_shown_where_pyplot_is_in_use(monkeypatch):
    layer, x, _ = net()
    found = saturation(layer(x))
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    hidden = plots.plot_saturation(found).figure
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    shown = plots.plot_saturation(found).figure
    try:
        assert plt.get_fignums() == [shown.number] and not hasattr(hidden, "number")
    finally:
        plt.close(shown)


def test_a_value_that_stands_alone_is_a_dot():
    run = pylstm.LSTM(2, 3, seed=0)(np.ones((1, 1, 2), "float32"))
    grads = run.backward(np.ones_like(run.y), steps=True)
    gap = History(loss=[1.0, np.nan, 0.5])
    alone = [
        plots.plot_run(run)[0],
        plots.plot_deltas(run, grads),
        plots.plot_losses(gap),
        plots.plot_fan([1.0], [2.0]),
    ]
    for ax in alone:
        lines = [line for line in ax.lines if np.isfinite(line.get_ydata()).any()]  # a gradient of 0 has no logarithm
        assert lines and all(line.get_marker() == "." for line in lines), ax.get_title()
    assert plots.plot_losses(History(loss=[1.0, 0.5])).lines[0].get_marker() in ("", "None")
    assert all(float(tick).is_integer() for tick in plots.plot_exponents([[-0.3]]).get_xticks())


def test_many_fits_have_their_legend_beside_the_axes():
    several = {
        f"a fit with a long name, number {k}": History(loss=[2.0, 1.0], validation_loss=[3.0, 2.0]) for k in range(9)
    }
    ax = plots.plot_losses(several)
    ax.figure.draw_without_rendering()
    legend, axes = ax.get_legend().get_window_extent(), ax.get_window_extent()
    assert legend.x0 >= axes.x1 and legend.y0 >= 0 and legend.x1 <= ax.figure.bbox.x1 and legend.y1 <= ax.figure.bbox.y1
