"""``pylstm generate MODEL``: text from a model, character by character."""

from __future__ import annotations

import argparse
import sys

from pylstm.commands._shared.options import seed


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``generate`` to the command line."""
    from pylstm.commands._shared.examples import with_examples

    parser = subparsers.add_parser(
        "generate",
        help="write text with a model of `pylstm train text`",
        description="Print text of a model that `pylstm train text` saved, each character as soon as it is "
        "drawn. The same seed draws the same text.",
        **with_examples(
            "pylstm generate pylstm-text.safetensors",
            'pylstm generate book.safetensors --prompt "It was" --characters 2000 --temperature 0.6 --seed 1',
        ),
    )
    parser.add_argument("model", metavar="MODEL", help="a file of `pylstm train text`")
    parser.add_argument("--prompt", default="\n", metavar="TEXT", help="text to continue (a line end)")
    parser.add_argument("--characters", type=int, default=400, metavar="N", help="characters to write (%(default)s)")
    parser.add_argument(
        "--temperature",
        type=float,
        default=0.7,
        metavar="F",
        help="a lower one takes likelier characters, 0 the likeliest (%(default)s)",
    )
    parser.add_argument("--seed", type=seed, default=0, metavar="S", help="seed of the draws (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object at the end")


def run(args: argparse.Namespace) -> int:
    """Run the command; the exit status: 0."""
    from itertools import islice

    from pylstm.commands._shared.output import print_json
    from pylstm.commands._shared.trained import load_trained

    if args.characters < 1:
        raise ValueError(f"--characters must be at least 1, got {args.characters}")
    task, model, _ = load_trained(args.model)
    if task != "text":
        raise ValueError(
            f"{args.model}: holds a model of the task {task}, not a text model (pylstm train text makes one)"
        )
    unknown = sorted({each for each in args.prompt if not model.vocabulary.encode(each)[0]})
    if unknown:
        print(f"note: the model does not know {', '.join(map(repr, unknown))} of the prompt", file=sys.stderr)
    drawn = model.characters(prompt=args.prompt, temperature=args.temperature, seed=args.seed)
    if args.json:
        settings = {name: getattr(args, name) for name in ("prompt", "temperature", "seed")}
        print_json(settings | {"text": "".join(islice(drawn, args.characters))})
        return 0
    for character in islice(drawn, args.characters):
        print(character, end="", flush=True)
    print()
    return 0
