"""Results as a PNG: one panel a work, milliseconds on a logarithmic scale."""

from __future__ import annotations

from typing import Any

from .machine import sentence

COLOURS = {
    "pylstm": "#d62728", "torch": "#ff9e4a", "onnxruntime": "#4878cf", "openvino": "#2fb5c9", "jax": "#6acc65",
    "keras": "#c44e9b", "RTNeural": "#956cb4", "RTNeural here": "#5b2a86", "peak": "#8c8c8c", "float64": "#8c1f1f",
    "float32": "#d62728", "lstm": "#d62728", "peephole": "#4878cf", "cifg": "#6acc65",
}  # fmt: skip
MARKERS = {"pylstm": "o", "float32": "o", "lstm": "o", "peak": "_"}
COLUMNS = 3


def draw(results: list[dict[str, Any]], machine: dict[str, Any], path: str) -> None:
    """Write the plot to `path`; works that were not run have no panel."""
    from textwrap import fill

    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    results = [result for result in results if result["rows"]]
    if not results:
        return
    columns = min(COLUMNS, len(results))
    lines = -(-len(results) // columns)
    figure = Figure(figsize=(3.3 * columns, 2.6 * lines + 0.7), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).flat
    for panel, result in zip(panels, results):
        _panel(panel, result)
    for panel in list(panels):
        panel.set_axis_off()
    what = f"milliseconds, less is better; in titles the geometric mean of the ratio; {sentence(machine)}"
    figure.suptitle(fill(what, 38 * columns), fontsize=9)
    figure.savefig(path, dpi=150)


def _panel(panel: Any, result: dict[str, Any]) -> None:
    rows = result["rows"]
    for name in dict.fromkeys(name for row in rows for name in row["contestants"]):
        points = [(k, row["contestants"][name]["median"]) for k, row in enumerate(rows) if name in row["contestants"]]
        places, seconds = zip(*points)
        ours = name in MARKERS
        panel.plot(
            places,
            [1e3 * each for each in seconds],
            marker=MARKERS.get(name, "s"),
            markersize=6 if ours else 5,
            linewidth=1.6 if ours else 0.8,
            color=COLOURS.get(name),
            label=name,
            zorder=3 if ours else 2,
        )
    streams = rows[0]["size"].startswith("H=")
    _axes(panel, [row["size"].replace(",", " ") for row in rows], "" if streams else result.get("sizes", "B T H"))
    panel.set_title(f"{result['title']}\n{_reached(result)}", fontsize=9)
    panel.legend(fontsize=8, frameon=False, loc="upper left", ncols=2, columnspacing=1)


def _axes(panel: Any, sizes: list[str], what: str) -> None:
    """Milliseconds up, in plain numbers; along sizes, or `what` they are."""
    from matplotlib.ticker import LogLocator, NullLocator

    panel.set_yscale("log")
    low, high = panel.get_ylim()
    panel.set_ylim(low, high * (high / low) ** 0.45)  # room for the legend
    panel.yaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 500 else (1.0, 2.0, 5.0)))
    panel.yaxis.set_major_formatter("{x:g}")
    if high / low < 3:
        panel.set_yticks([float(f"{low * (high / low) ** share:.2g}") for share in (0.1, 0.5, 0.9)])
    panel.yaxis.set_minor_locator(NullLocator())
    panel.grid(True, axis="y", linewidth=0.4)
    panel.set_xticks(range(len(sizes)), sizes, rotation=50, ha="right", rotation_mode="anchor")
    panel.tick_params(labelsize=8)
    if what:
        panel.set_xlabel(what, fontsize=8, labelpad=1)


def _reached(result: dict[str, Any]) -> str:
    several = len(result["targets"]) > 1
    return "; ".join(
        f"{target['label'].removesuffix(' / pylstm') if several else target['label']} {target['mean']:.3g}"
        for target in result["targets"]
        if target["mean"] is not None
    )
