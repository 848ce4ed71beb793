"""``pylstm export``: a saved net as a C file, or as a C header for microcontrollers."""

from __future__ import annotations

import argparse

FORMS = {"c": "one C11 file without dependencies", "header": "one C header for microcontrollers, in float32"}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``export`` to the command line."""
    from pylstm.commands._shared.examples import with_examples

    parser = subparsers.add_parser(
        "export",
        help="write a saved net as C",
        **with_examples(
            "pylstm export c net.safetensors -o net.c",
            "pylstm export header net.safetensors --name gauge",
        ),
    )
    forms = parser.add_subparsers(dest="form", required=True, metavar="FORM")
    for form, text in FORMS.items():
        add = forms.add_parser(
            form,
            help=text,
            description=f"Write MODEL as {text}.",
            **with_examples(f"pylstm export {form} net.safetensors"),
        ).add_argument
        add("model", metavar="MODEL", help="a file of `pylstm train` or `pylstm.save`")
        suffix = "c" if form == "c" else "h"
        add("-o", "--out", metavar=f"FILE.{suffix}", help=f"where it goes (default: NAME.{suffix})")
        add("--name", default="net", help="prefix of all names in the file (default: net)")
        if form == "c":
            add("--dtype", choices=("float32", "float64"), help="of the arithmetic (default: that of MODEL)")
            add("--weights", metavar="FILE.bin", help="write the weights to a file of their own")


def run(args: argparse.Namespace) -> int:
    """Run the command; the exit status: 0."""
    from pylstm import export
    from pylstm.saving import load

    model = load(args.model)
    if args.form == "c":
        out = args.out or f"{args.name}.c"
        export.c(model, out, dtype=args.dtype, weights=args.weights, name=args.name)
    else:
        out = args.out or f"{args.name}.h"
        export.header(model, out, name=args.name)
    print(*filter(None, [out, getattr(args, "weights", None)]), sep="\n")
    return 0
