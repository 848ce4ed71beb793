"""``pylstm train classify DATA``: train a sequence classifier."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pylstm.datasets import Classification
    from pylstm.models.classify_model import ClassifyModel

SAVE = "pylstm-classify.safetensors"
EXAMPLES = (
    "pylstm train classify digits",
    "pylstm train classify walks.csv --label kind --id who --columns speed,slope",
    "pylstm train classify digits --cell lstm --epochs 30",
    "pylstm train classify beats.csv --label kind --test other-beats.csv --save beats.safetensors",
    "pylstm train classify steps.csv --label kind --id who --time-column t --sort",
)
REMARK = "The classes of new sequences: pylstm predict pylstm-classify.safetensors new.csv"
OF_TRAINED = (
    "--cell", "--size", "--option", "--layers", "--dropout", "--bidirectional", "--read", "--epochs", "--batch-size",
    "--lr", "--validation", "--patience", "--checkpoint", "--resume",
)  # fmt: skip
"""Options that ask for a trained net."""


def add_parser(tasks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``classify`` to ``train``."""
    from pylstm.commands._shared.examples import with_examples
    from pylstm.commands._shared.options import Options

    parser = tasks.add_parser(
        "classify",
        help="sequences that have a class",
        description="Train a net to classify sequences, and test it on others. A CSV file has a row for each step and "
        "--id, or a row for each sequence and no --id. Where no option asks for a trained net, it is chosen as "
        "SequenceClassifier() does, on sequences left out: one whose recurrent weights stay as they are drawn, or a "
        "trained one. The same seed yields the same numbers.",
        **with_examples(*EXAMPLES, remark=REMARK),
    )
    options = Options(parser)
    options.add("data", metavar="DATA", help="digits (8 rows of 8 pixels), japanese-vowels (ragged), or a CSV file")
    options.add("--label", metavar="NAME", help="of a CSV file: column of the class")
    options.add("--id", metavar="NAME", help="of a CSV file: column with the id of the sequence that a row belongs to")
    options.add("--columns", metavar="A,B", help="of a CSV file: columns of numbers; default: all others")
    options.add("--test", metavar="TEST", help="of a CSV file: share held out, or another file; default: 0.2")
    options.table()
    options.net(hidden=64)
    options.add(
        "--method",
        choices=("auto", "random", "trained"),
        default="auto",
        help="what learns: all of a net, or its read-out; auto: what is right more often on sequences left out, and "
        "trained where another option asks for it",
    )
    options.add("--bidirectional", action="store_true", help="read the sequences from both ends")
    options.add(
        "--read",
        choices=("last", "mean", "max", "stats"),
        default="last",
        help="how the outputs of the steps are pooled for the head",
    )
    options.training(epochs=30, batch_size=32, lr=0.01)
    options.output(SAVE)


def run(args: argparse.Namespace) -> int:
    """Run the command; the exit status: 0, 130 after Ctrl-C, 143 after SIGTERM."""
    from pylstm.commands._shared.files import drop_checkpoint, exit_status
    from pylstm.commands._shared.fitting import ended, run_fit
    from pylstm.commands._shared.options import check_output, training_of
    from pylstm.commands._shared.output import print_json
    from pylstm.commands._shared.reading import TABLE
    from pylstm.commands._shared.sequences import NAMES, judge, print_judgement, read_classification
    from pylstm.saving import save

    files = {name: path for name, path in (("DATA", args.data), ("--test", args.test)) if path not in NAMES}
    target, training = check_output(args, **files), training_of(args)
    reading = {name: getattr(args, name) for name in ("label", "id", *TABLE)}
    reading["columns"] = [name.strip() for name in args.columns.split(",")] if args.columns else None
    data = read_classification(args.data, reading, args.test, args.seed)
    history, number = None, 0
    if _asks_for_trained(args):
        model = _model(args, data)
        _introduce(args, data)
        history, number, fitted = run_fit(lambda **more: model.fit(data.x, data.y, **training, **more), args, **target)
        says = _describe(args, model)
    else:
        model, fitted, says = _chosen(args, data)
    save(args.save, model, about=_about(args, data, reading))
    trained, test = judge(model, data.x, data.y)["accuracy"], judge(model, data.x_test, data.y_test)
    if args.json:
        found = {"task": "classify", "data": args.data, "model": says} | fitted
        print_json(found | {"train_accuracy": trained, "test": test, "saved": args.save})
    else:
        if history is None:
            print(
                f"method  {says['method']}, the right class for {says['scores'][says['method']]:.2%} of those left out"
            )
        done = ended(fitted) if fitted["epochs"] else f"done    {fitted['seconds']:.1f} s"
        print(f"{done}, accuracy {trained:.2%} on what was trained on")
        print_judgement(test, "test")
        print(f"saved   {args.save}")
    if args.plot:
        _plot(args.plot, history, test)
    drop_checkpoint(args, target.get("checkpoint"), number)
    return exit_status(number)


def _about(args: argparse.Namespace, data: Classification, reading: dict[str, Any]) -> dict[str, Any]:
    """The file's record of the training data, for `pylstm evaluate` and `pylstm predict`."""
    from pylstm.commands._shared.sequences import NAMES, digest_of

    origin = args.data if args.data in NAMES else os.path.abspath(args.data)
    test = os.path.abspath(args.test) if args.test and os.path.exists(args.test) else args.test
    split = {"test": test, "seed": args.seed}
    return {"task": "classify", "data": origin, "digest": digest_of(data), "reading": reading} | split


def _asks_for_trained(args: argparse.Namespace) -> bool:
    """Whether all of a net is trained, because an option says so, or what chooses is not installed.

    Raises
    ------
    ValueError
        Another method than an option of a trained net asks for.
    """
    import importlib.util

    from pylstm.commands._shared.files import say

    given = [name for name in OF_TRAINED if name in getattr(args, "given", ())]
    given += [f"--{name}" for name in ("size", "option", "bidirectional") if getattr(args, name)]
    if args.method == "random" and given:
        raise ValueError(
            f"--method random: {' and '.join(given)} {'is' if len(given) == 1 else 'are'} of a trained net"
        )
    if args.method == "trained" or given:
        return True
    if importlib.util.find_spec("sklearn") is None:
        if args.method == "random":
            raise ModuleNotFoundError(
                "--method random needs scikit-learn: pip install 'pylstm[sklearn]'", name="sklearn"
            )
        say(args, "note    a net is chosen by the data where scikit-learn is installed: pip install 'pylstm[sklearn]'")
        return True
    return False


def _chosen(args: argparse.Namespace, data: Classification) -> tuple[ClassifyModel, dict[str, Any], dict[str, Any]]:
    """The net that `SequenceClassifier` chooses; what `run_fit` says of a fit, and the settings."""
    import time

    import numpy as np

    from pylstm.commands._shared.files import say
    from pylstm.estimators import SequenceClassifier
    from pylstm.models.classify_model import ClassifyModel

    say(args, _introduced(data), f"model   chosen by the data, {args.dtype}, seed {args.seed}")
    start = time.perf_counter()
    options: dict[str, Any] = {"method": args.method, "dtype": args.dtype, "random_state": args.seed}
    options |= {"hidden_size": args.hidden} if "--hidden" in getattr(args, "given", ()) else {}
    found = SequenceClassifier(**options).fit(list(data.x), np.asarray(data.y))
    seconds = time.perf_counter() - start
    scale = np.stack([found.x_mean_, found.x_scale_])
    names = [data.classes[number] for number in found.classes_]
    model = ClassifyModel.around(found.model_, names, scale, found.view_)
    curve = [float(each) for each in found.loss_curve_]
    fitted = {"epochs": found.n_iter_, "seconds": seconds, "interrupted": False, "loss": curve[-1] if curve else None}
    says = {"method": found.method_, "scores": found.scores_, "view": found.view_, "hidden": found.hidden_size}
    says |= {"dtype": args.dtype, "seed": args.seed, "parameters": sum(each.size for each in model.net.params)}
    return model, fitted | {"losses": curve, "validation_losses": [], "stopped": "epochs"}, says


def _model(args: argparse.Namespace, data: Classification) -> ClassifyModel:
    from pylstm.commands._shared.options import sizes_of
    from pylstm.models.classify_model import ClassifyModel

    return ClassifyModel(
        data.classes,
        args.cell,
        args.hidden,
        num_layers=args.layers,
        bidirectional=args.bidirectional,
        dropout=args.dropout,
        read=args.read,
        dtype=args.dtype,
        seed=args.seed,
        **sizes_of(args),
    )


def _introduce(args: argparse.Namespace, data: Classification) -> None:
    from pylstm.commands._shared.files import say

    layers = f"{args.layers} layers of " if args.layers > 1 else ""
    both = ", both directions" if args.bidirectional else ""
    say(
        args,
        _introduced(data),
        f"model   {args.cell}, {layers}{args.hidden} units{both}, {args.dtype}, seed {args.seed}; reads {args.read}",
    )


def _introduced(data: Classification) -> str:
    lengths = sorted({len(each) for each in data.x})
    steps = f"{lengths[0]}..{lengths[-1]}" if len(lengths) > 1 else str(lengths[0])
    return (
        f"data    {data.name} of {data.source}: {len(data.x)} sequences to train on, {len(data.x_test)} to test, "
        f"{steps} steps of {data.x[0].shape[1]}, {len(data.classes)} classes"
    )


def _describe(args: argparse.Namespace, model: ClassifyModel) -> dict[str, Any]:
    names = ("cell", "hidden", "layers", "bidirectional", "dropout", "read", "dtype", "seed")
    size = sum(each.size for each in model.net.params)
    return {name: getattr(args, name) for name in names} | {"parameters": size}


def _plot(path: str, history: Any, test: dict[str, Any]) -> None:
    import numpy as np

    from pylstm.plots.fits import draw_confusion, draw_losses, new_figure, write

    figure, panels = new_figure(1 if history is None else 2)
    right = panels[-1]
    if history is not None:
        per_epoch = len(history.steps) // max(1, len(history.loss))
        validation = history.validation_loss
        draw_losses(panels[0], history.steps, per_epoch=per_epoch, validation=validation, unit="cross-entropy")
    draw_confusion(right, np.array(test["confusion"]), test["classes"])
    right.set_title(f"test: {test['accuracy']:.2%} right")
    write(figure, path)
    print(f"plot: {path}", file=sys.stderr)
