"""`initialisation`, `step`, `run`: the functions of the C file that a caller sees."""

from __future__ import annotations

from pylstm.export.layers import product_calls
from pylstm.export.parts import Parts
from pylstm.export.series import prepared, undone


def initialisation(parts: Parts) -> str:
    """The functions ``net_reset`` and ``net_init``."""
    return _reset(parts) + "\n" + _init(parts)


def _opening(parts: Parts, declaration: str) -> list[str]:
    """The first line of a function that a caller sees; in a header it may go unused."""
    if not parts.header:
        return [f"{declaration} {{"]
    return ["#ifdef __GNUC__", "__attribute__((unused))", "#endif", f"static {declaration} {{"]


def _reset(parts: Parts) -> str:
    lines = _opening(parts, "void @reset(@t *net)")
    for layer in parts.layers:
        for name, (room, _) in layer.states().items():
            first = f"@{layer.name}_initial_{name}[k]" if name in layer.layer.learn_initial else "0"
            lines += [f"    for (int k = 0; k < {room}; k++)", f"        {layer.state(name)}[k] = {first};"]
    if parts.net.series is not None:
        lines.append("    net->series.seen = 0;")
        for number, lag in enumerate(parts.net.series.lags):
            count = lag * parts.net.series.width
            lines += [f"    for (int k = 0; k < {count}; k++)", f"        net->series.past{number}[k] = 0;"]
    if parts.counts:
        lines += [f"    for (int k = 0; k < {parts.padded(parts.features)}; k++)", "        net->read[k] = 0;"]
        lines += ["    net->steps = 0;"]
    return "\n".join([*lines, "}"]) + "\n"


def _init(parts: Parts) -> str:
    init = "@t *net, const void *weights, size_t bytes" if parts.beside else "@t *net"
    lines = [
        *_opening(parts, f"int @init({init})"),
        "#if @X86 && !(defined(__AVX2__) && defined(__FMA__) && !defined(__clang__))",
        '    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))',
        "        return @NO_FMA;",
        "#endif",
    ]
    if parts.beside:
        head = parts.weights[:16]
        lines += [
            f"    static const unsigned char head[16] = {{{', '.join(map(str, head))}}};",
            "    if (bytes != @WEIGHTS_BYTES || (uintptr_t)weights % 8)",
            "        return @BAD_WEIGHTS;",
            "    for (int k = 0; k < 16; k++)",
            "        if (((const unsigned char *)weights)[k] != head[k])",
            "            return @BAD_WEIGHTS;",
            "    net->weights.at = (const @real *)weights;",
        ]
    lines += _cleared(parts)
    lines += ["    @reset(net);", "    return @OK;", "}"]
    return "\n".join(lines) + "\n"


def _cleared(parts: Parts) -> list[str]:
    """Padding of the scratch is read, if to no effect."""
    lines = []
    for name, room in parts.fields():
        lines += [f"    for (int k = 0; k < {room}; k++)", f"        net->scratch.{name}[k] = 0;"]
    return lines


def step(parts: Parts) -> str:
    """The function ``net_step``, and what it has in common with ``net_run``."""
    x, y = f"const {parts.input_type} *x", f"{parts.output_type} *y"
    lines = ["/* All layers, and what is read from the last. */", f"@INLINE void @advance(@t *net, {x}) {{"]
    lines += _advance(parts)
    lines += ["}", "", "/* The output, from the states. */", f"@INLINE void @answer(@t *net, {y}) {{"]
    lines += _answer(parts)
    lines += ["}", "", *_opening(parts, f"int @step(@t *net, {x}, {y})")]
    if parts.net.table is not None:
        lines += [f"    if (x[0] < 0 || x[0] >= {len(parts.net.table)})", "        return @OUT_OF_RANGE;"]
    lines += ["    @advance(net, x);", "    @answer(net, y);", "    return @OK;", "}"]
    return "\n".join(lines) + "\n"


def _advance(parts: Parts) -> list[str]:
    net, (lines, source) = parts.net, _entered(parts)
    for layer, residual in zip(parts.layers, net.residual):
        lines.append(f"    @{layer.name}(net, {source});")
        if residual:
            lines += [
                f"    for (int k = 0; k < {layer.layer.output_size}; k++)",
                f"        net->scratch.sum[k] = {layer.output}[k] + {_element(source)};",
            ]
        source = "net->scratch.sum" if residual else layer.output
    if net.read == "mean":
        lines += [f"    for (int k = 0; k < {parts.features}; k++)", f"        net->read[k] += {source}[k];"]
    elif net.read == "max":
        lines += [
            f"    for (int k = 0; k < {parts.features}; k++) {{",
            f"        const @real y = {source}[k], most = net->read[k];",
            "        net->read[k] = !net->steps || y > most || y != y ? y : most;",
            "    }",
        ]
    return [*lines, "    net->steps++;"] if parts.counts else lines


def _entered(parts: Parts) -> tuple[list[str], str]:
    """What takes the caller's numbers in, and the C name of the input of the first layer."""
    net, lines, source = parts.net, list[str](), "x"
    for layer, name, at in parts.aux:
        value = f"x[{at} + k]" if parts.input_type == parts.real else f"({parts.real})x[{at} + k]"
        lines += [
            f"    for (int k = 0; k < {layer.layer.widths[name]}; k++)",
            f"        net->scratch.u_{name}[k] = {value};",
        ]
    if net.table is not None:
        source = f"@embedding + (size_t)x[0] * {net.table.shape[1]}"
    if not parts.copies_input:
        return lines, source
    value = _element(source)
    if net.series is not None:
        return lines + prepared(net.series, parts), "net->scratch.x"
    if net.x_scale is not None:
        value = f"({parts.real})((x[k] - @x_mean[k]) / @x_scale[k])"
    lines += [
        f"    for (int k = 0; k < {parts.layers[0].layer.input_size}; k++)",
        f"        net->scratch.x[k] = {value};",
    ]
    return lines, "net->scratch.x"


def _answer(parts: Parts) -> list[str]:
    net, lines, source = parts.net, list[str](), parts.top
    if net.read == "mean":
        lines += [
            f"    for (int k = 0; k < {parts.features}; k++)",
            "        net->scratch.features[k] = net->read[k] / (@real)(net->steps ? net->steps : 1);",
        ]
        source = "net->scratch.features"
    elif net.read == "max":
        source = "net->read"
    for number, each in enumerate(net.maps):
        rows, z = parts.padded(each.out_features), f"net->scratch.head{number}"
        lines += [f"    for (int k = 0; k < {rows}; k++)", f"        {z}[k] = @head{number}_bias[k];"]
        lines += product_calls(
            not parts.header, parts.group, source, each.in_features, f"@head{number}_weight", z, rows
        )
        if number < len(net.maps) - 1:
            lines += [f"    for (int k = 0; k < {rows}; k++)", f"        {z}[k] = @{net.activation}({z}[k]);"]
        source = z
    value = f"{source}[k]"
    if net.y_scale is not None:
        cast = "" if parts.real == "double" else "(double)"
        value = f"{cast}{source}[k] * @y_scale[k] + @y_mean[k]"
    lines += [f"    for (int k = 0; k < {net.outputs}; k++)", f"        y[k] = {value};"]
    return lines if net.series is None else lines + undone(net.series, parts)


def run(parts: Parts) -> str:
    """The function ``net_run``."""
    x, y = f"const {parts.input_type} *x", f"{parts.output_type} *y"
    lines = _opening(parts, f"int @run(@t *net, {x}, size_t steps, {y})")
    if parts.net.table is not None:
        at = "t" if parts.inputs == 1 else "t * @INPUTS"
        lines += [
            "    for (size_t t = 0; t < steps; t++)",
            f"        if (x[{at}] < 0 || x[{at}] >= {len(parts.net.table)})",
            "            return @OUT_OF_RANGE;",
        ]
    lines += ["    for (size_t t = 0; t < steps; t++) {", "        @advance(net, x + t * @INPUTS);"]
    if parts.net.read == "every":
        lines += ["        @answer(net, y + t * @OUTPUTS);", "    }"]
    else:
        lines += ["    }", "    if (steps)", "        @answer(net, y);"]
    return "\n".join([*lines, "    return @OK;", "}"]) + "\n"


def _element(source: str) -> str:
    return f"({source})[k]" if "+" in source else f"{source}[k]"
