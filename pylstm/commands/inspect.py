"""``pylstm inspect MODEL [DATA]``: what goes on inside a saved model, as one HTML page."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``inspect`` to the command line."""
    from pylstm.commands._inspect.looks import ROWS, STEPS
    from pylstm.commands._shared.examples import with_examples
    from pylstm.commands._shared.trained import add_reading

    parser = subparsers.add_parser(
        "inspect",
        help="look inside a saved model: pictures, and warnings in words",
        description="Write a page, one HTML file that needs no network: the parameters of MODEL, the gates, states and "
        f"gradients of its layers on the first {ROWS} sequences of DATA, of at most {STEPS} steps each, and what "
        "stands out, in words. Without DATA, on the data of the training. Options that are not given are as in "
        "training.",
        **with_examples(
            "pylstm inspect pylstm-forecast.safetensors",
            "pylstm inspect pylstm-classify.safetensors new.csv --output new.html",
            "pylstm inspect layer.safetensors sequences.npz",
            remark="Files of NumPy hold an array (T, I) or (N, T, I); of several the one called x, and lengths. What a "
            "cell takes beside x at every step, such as dt, is an array or a column of that name.",
        ),
    )
    parser.add_argument(
        "model", metavar="MODEL", help="a file of `pylstm train`, or of pylstm.save: a model or a layer"
    )
    parser.add_argument("data", nargs="?", metavar="DATA", help="a CSV, text, .npy or .npz file, or a data set")
    add_reading(parser)
    parser.add_argument("--output", metavar="FILE", help="the page (MODEL with .html in place of its suffix)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output: what stands out")


def run(args: argparse.Namespace) -> int:
    """Run the command; the exit status: 0."""
    import os

    from pylstm.commands._inspect.page import page_of
    from pylstm.commands._inspect.pictures import pictures_of
    from pylstm.commands._shared.files import check_distinct, check_target, say
    from pylstm.commands._shared.output import print_json
    from pylstm.layers.runs.shown import run_table

    target = args.output or f"{os.path.splitext(args.model)[0]}.html"
    check_target("--output", target)
    check_distinct(**{"MODEL": args.model, "DATA": args.data, "--output": target})
    _check_matplotlib()
    model, looks, lead, results = _looked(args)
    parts = [(each.name, each.findings, run_table(each.run), pictures_of(each)) for each in looks]
    summary = _summary(model)
    with open(target, "w", encoding="utf-8") as file:
        file.write(page_of(f"Inside {os.path.basename(args.model)}", lead, summary, results, parts))
    findings = [(each.name, found) for each in looks for found in each.findings]
    say(args, *(f"{found.kind}: {found.text}" for _, found in findings), f"page {target}")
    if args.json:
        said = [{"layer": name, "kind": found.kind, "text": found.text} for name, found in findings]
        print_json({"model": args.model, "page": target, "layers": [each.name for each in looks], "findings": said})
    return 0


def _check_matplotlib() -> None:
    import importlib.util

    if importlib.util.find_spec("matplotlib") is None:
        raise ModuleNotFoundError("inspect needs matplotlib: pip install 'pylstm[plot]'", name="matplotlib")


def _looked(args: argparse.Namespace) -> tuple[Any, list[Any], str, list[tuple[str, str]]]:
    """The model, a look at each of its recurrent layers, what the page begins with, and pictures of results."""
    from pylstm.commands._inspect.data import data_for
    from pylstm.commands._inspect.looks import looks_at, recurrent_of
    from pylstm.commands._inspect.pictures import results_of
    from pylstm.saving import load, read_about

    model, about = load(args.model), read_about(args.model)
    model = getattr(model, "task_model", model)
    if recurrent_of(model) is None:
        return model, [], "No recurrent layer is in this file: nothing recurs that could be looked into.", []
    data = data_for(args, model, about)
    looks, rows = looks_at(model, data.sequences, data.aux)
    steps, all_steps = (sum(map(len, each)) for each in (rows, data.sequences))
    lead = f"On {data.source}: {len(rows)} of {len(data.sequences)} sequences, {steps:,} of {all_steps:,} steps."
    return model, looks, lead + _made_of(model), results_of(model, data, about)


def _made_of(model: Any) -> str:
    """What a forecast is made of, where that is not the net alone: findings are of the net."""
    said = list(dict.fromkeys(model.describe())) if hasattr(model, "preparation") else ["net"]
    if all(each in ("net", "1.00 net") for each in said):
        return ""
    part = "" if any("net" in each.replace(",", "").split() for each in said) else ", which has no part in it"
    shown = "; ".join([*said[:3], *(["..."] if said[3:] else [])])
    return f" The back-test chose as the forecast: {shown}. What stands out is said of the net{part}."


def _summary(model: Any) -> str:
    """The parameters as HTML."""
    from pylstm.markup import table

    if isinstance(model, dict):
        return "\n".join(_summary(each) for each in model.values())
    shown: Any = getattr(model, "model_", model)  # of an estimator its net
    return str(shown._repr_html_() if hasattr(shown, "summary") else table(repr(model), [], []))
