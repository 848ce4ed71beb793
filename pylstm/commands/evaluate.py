"""``pylstm evaluate MODEL [DATA]``: test a saved model on data that it was not trained on."""

from __future__ import annotations

import argparse
import math
from typing import Any


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``evaluate`` to the command line."""
    from pylstm.commands._shared.examples import with_examples
    from pylstm.commands._shared.trained import add_reading

    parser = subparsers.add_parser(
        "evaluate",
        help="test a saved model on held-out or other data",
        description="Text: bits per character. Classes: accuracy and confusions. Series: errors of forecasts beside "
        "those of the naive and the seasonal baseline. Without DATA, on the held-out part of the training data. "
        "Options that are not given are as in training.",
        **with_examples(
            "pylstm evaluate pylstm-forecast.safetensors",
            "pylstm evaluate pylstm-forecast.safetensors newer.csv --hold-out 24 --horizon 6",
            "pylstm evaluate pylstm-classify.safetensors test.csv --json",
            "pylstm evaluate pylstm-text.safetensors book.txt",
        ),
    )
    parser.add_argument("model", metavar="MODEL", help="a file of `pylstm train`")
    parser.add_argument("data", nargs="?", metavar="DATA", help="a file, or the name of a data set: its test part")
    add_reading(parser)
    parser.add_argument("--horizon", type=int, metavar="N", help="steps of a forecast")
    parser.add_argument("--hold-out", type=float, metavar="N", help="steps at the end, or a share")
    parser.add_argument("--season", type=int, metavar="N", help="of the seasonal baseline")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    """Run the command; the exit status: 0."""
    from pylstm.commands._shared.output import print_json
    from pylstm.commands._shared.trained import load_trained, reading_of

    task, model, about = load_trained(args.model)
    reading = reading_of(args, task, about)
    wrong = [name for name in ("horizon", "hold_out", "season") if getattr(args, name) is not None]
    if wrong and task != "forecast":
        raise ValueError(f"--{wrong[0].replace('_', '-')}: not for a model of the task {task}")
    found = {"text": _text, "classify": _classify, "forecast": _forecast}[task](args, model, about, reading)
    if args.json:
        print_json({"task": task, "model": args.model} | found)
    return 0


def _text(args: argparse.Namespace, model: Any, about: dict[str, Any], reading: dict[str, Any]) -> dict[str, Any]:
    from pylstm.commands._shared.trained import data_of, note_other
    from pylstm.datasets import manual_topics, read_text
    from pylstm.datasets.text import digest
    from pylstm.text.bigram import bigram_bits
    from pylstm.text.trainer import SAMPLE, text_bits

    source = data_of(args, about)
    text = manual_topics() if source == "manual-topics" else read_text(source)
    found = digest(text)
    if args.data is None:
        note_other(about, found)
    indices, bigram = model.vocabulary.encode(text, model.vocabulary.smallest), math.nan
    held_out = args.data is None or found == about.get("digest")
    if held_out:
        cut = len(text) - max(2, round(len(text) * about["held_out"]))
        train, indices = indices[:cut], indices[cut:]
        bigram = bigram_bits(train, indices, len(model.vocabulary))
    part = "the part that was held out" if held_out else "all of it"
    bits, unknown = text_bits(model, indices, most=SAMPLE), int((indices == 0).sum())
    if not args.json:
        beside = f", bigram model {bigram:.3f}" if held_out else ""
        print(f"{source}, {part}: {len(indices):,} characters, {unknown:,} of them unknown to the model")
        sample = f" (a sample of {SAMPLE:,} characters)" if len(indices) > SAMPLE else ""
        print(f"bits per character: {bits:.3f}{sample}{beside}")
    return {
        "data": source,
        "held_out": held_out,
        "characters": len(indices),
        "unknown": unknown,
        "bits_per_character": bits,
        "bigram_model": bigram,
    }


def _classify(args: argparse.Namespace, model: Any, about: dict[str, Any], reading: dict[str, Any]) -> dict[str, Any]:
    from pylstm.commands._shared.sequences import (
        NAMES,
        digest_of,
        judge,
        numbers_of,
        print_judgement,
        read_classification,
        read_groups,
    )
    from pylstm.commands._shared.trained import data_of, note_other

    source = data_of(args, about)
    if args.data is None or source in NAMES:
        test, seed = (about.get("test"), about.get("seed", 0)) if args.data is None else (None, 0)
        named = {name: None for name in reading}
        data = read_classification(source, named if source in NAMES else reading, test, seed)
        if args.data is None:
            note_other(about, digest_of(data))
        if data.classes != model.classes:
            raise ValueError(f"{source}: classes must be {', '.join(model.classes)}, got {', '.join(data.classes)}")
        x, y, part = data.x_test, data.y_test, "test"
    else:
        if not reading["label"]:
            raise ValueError(f"{source}: name the column that holds the class: --label NAME")
        groups = read_groups(source, reading)
        x, y, part = groups.x, numbers_of(groups, model.classes, source), "all"
    found = judge(model, x, y)
    if not args.json:
        print_judgement(found, f"{source}, {part}")
    return {"data": source, "part": part} | found


def _forecast(args: argparse.Namespace, model: Any, about: dict[str, Any], reading: dict[str, Any]) -> dict[str, Any]:
    from pylstm.commands._shared.continued import read_other
    from pylstm.commands._shared.judging import check_hold_out, judge, print_report, report
    from pylstm.commands._shared.series import NAMES, digest_of, season_of
    from pylstm.commands._shared.trained import data_of, note_other

    source = data_of(args, about)
    same = args.data is None or args.data == about.get("data")
    read = read_other(source, reading, about)
    if args.data is None:
        note_other(about, digest_of(*read.series))
    for name in ("horizon", "hold_out"):
        if getattr(args, name) is None:
            setattr(args, name, about.get(name))
    season = args.season
    if season is None:
        season = about.get("season", season_of(read)) if same or source not in NAMES else season_of(read)
    horizon, hold_out = check_hold_out(args, read, season)
    settings = {"horizon": horizon, "hold_out": hold_out, "season": season}
    tests = judge(model, read, hold_out=hold_out, horizon=horizon, season=season)
    trained = about.get("hold_out") if same else None
    if trained is not None and hold_out > trained:
        import sys

        print(f"note: {hold_out - trained} of the {hold_out} steps were trained on", file=sys.stderr)
    if not args.json:
        print_report(tests, read, season)
    column = read.columns[0] if len(read.columns) == 1 else list(read.columns)
    return {"data": source, "column": column} | settings | report(tests, read)
