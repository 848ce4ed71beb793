"""`declarations`: the part of the C file that other files may include."""

from __future__ import annotations

from pylstm.export.layers import c_name
from pylstm.export.parts import Parts


def declarations(parts: Parts) -> str:
    """Sizes, error codes, the struct of the net, and its functions."""
    name, static = parts.name.upper(), "static " if parts.header else ""
    lines = [f"#ifndef {name}_H", f"#define {name}_H", "#include <stddef.h>", "#include <stdint.h>"]
    lines += ["#ifdef __cplusplus", 'extern "C" {', "#endif", ""]
    lines += [f"#define {name}_INPUTS {parts.inputs}", f"#define {name}_OUTPUTS {parts.net.outputs}"]
    for layer, aux, at in parts.aux:
        lines.append(f"#define {name}_AUX_{aux.upper()}{layer.number} {at} /* where `{aux}` starts in an input */")
    lines += [f"#define {name}_BYTES {_nbytes(parts)}"]
    if parts.beside:
        lines.append(f"#define {name}_WEIGHTS_BYTES {len(parts.weights)}")
    lines += ["", _errors(parts), "", *_struct(parts), ""]
    init = "@t *net, const void *weights, size_t bytes" if parts.beside else "@t *net"
    x, y = f"const {parts.input_type} *x", f"{parts.output_type} *y"
    lines += [
        *_documented(_init_words(parts), f"{static}int @init({init});"),
        *_documented("Back to the first states.", f"{static}void @reset(@t *net);"),
        *_documented(_step_words(parts), f"{static}int @step(@t *net, {x}, {y});"),
        *_documented(_run_words(parts), f"{static}int @run(@t *net, {x}, size_t steps, {y});"),
        "#ifdef __cplusplus",
        "}",
        "#endif",
        f"#endif /* {name}_H */",
    ]
    return "\n".join(lines) + "\n"


def _documented(words: str, declaration: str) -> list[str]:
    return [f"/* {words} */", declaration, ""]


def _init_words(parts: Parts) -> str:
    weights = (
        "`weights` are the bytes of the file of weights, aligned to 8; they must stay. @BAD_WEIGHTS: those of\n"
        "   another net, or cut off. "
        if parts.beside
        else ""
    )
    return f"Before all else. {weights}@NO_FMA: this processor lacks what the file was compiled for."


def _step_words(parts: Parts) -> str:
    words = "One step: x has @INPUTS numbers, y gets @OUTPUTS."
    if parts.net.table is not None:
        words += " @OUT_OF_RANGE: no such index; nothing has\n   happened then."
    if parts.net.series is not None and parts.net.series.lost:
        words += f" There is no forecast, y is NaN,\n   before step {parts.net.series.lost + 1}."
    return words


def _run_words(parts: Parts) -> str:
    if parts.net.read == "every":
        return "So many steps, one behind the other in x and in y."
    return (
        "So many steps, one behind the other in x; y gets the @OUTPUTS numbers after the last, and none for no steps."
    )


def _errors(parts: Parts) -> str:
    names = ["OK", "NO_FMA"]
    names += ["OUT_OF_RANGE"] if parts.net.table is not None else []
    names += ["BAD_WEIGHTS"] if parts.beside else []
    return "enum { " + ", ".join(f"@{name} = {k}" if not k else f"@{name}" for k, name in enumerate(names)) + " };"


def _struct(parts: Parts) -> list[str]:
    lines = ["/* The states may be read and set between steps. */", "typedef struct {"]
    for layer in parts.layers:
        lines.append("    struct {")
        for name, (room, width) in layer.states().items():
            rest = f" /* the first {width} */" if width < room else ""
            lines.append(f"        {parts.real} {c_name(name)}[{room}];{rest}")
        lines.append(f"    }} layer{layer.number};")
    if parts.net.series is not None:
        series = parts.net.series
        past = "".join(f" double past{k}[{lag * series.width}];" for k, lag in enumerate(series.lags))
        lines.append(
            f"    struct {{ uint64_t seen;{past} }} series; /* steps, and the values before each difference */"
        )
    if parts.counts:
        lines.append(
            f"    {parts.real} read[{parts.padded(parts.features)}]; /* sum or maximum of the outputs so far */"
        )
        lines.append("    uint64_t steps;")
    if parts.fields():
        lines.append("    struct {")
        lines += [f"        {parts.real} {name}[{room}];" for name, room in parts.fields()]
        lines.append("    } scratch; /* means nothing between steps */")
    if parts.beside:
        lines.append(f"    union {{ const {parts.real} *at; uint64_t room; }} weights;")
    return [*lines, "} @t;"]


def _nbytes(parts: Parts) -> int:
    """The size of the struct: its 8-byte members stand on multiples of 8."""
    size = parts.dtype.itemsize
    at = sum(room for layer in parts.layers for room, _ in layer.states().values()) * size
    if parts.net.series is not None:
        at = _aligned(at) + 8 * (1 + parts.net.series.lost * parts.net.series.width)
    if parts.counts:
        at = _aligned(at + parts.padded(parts.features) * size) + 8
    at += sum(room for _, room in parts.fields()) * size
    if parts.beside:
        at = _aligned(at) + 8
    return _aligned(at) if parts.beside or parts.counts or parts.net.series is not None else at


def _aligned(at: int) -> int:
    return -(-at // 8) * 8
