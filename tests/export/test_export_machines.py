"""`pylstm.export` on other machines: aarch64 under qemu, WebAssembly under wasmtime, the size on a Cortex-M4."""

from __future__ import annotations

import struct

import numpy as np
import pytest

import pylstm
from pylstm import export
from pylstm.plugins import registry

TEN = ["lstm", "gru", "rnn_tanh", "peephole", "mgu", "rg_lru", "slstm", "rwkv4", "ct_rnn", "mogrifier_lstm"]
FREESTANDING = ["-std=gnu11", "-O2", "-Wall", "-Werror", "-nostdlib", "-ffreestanding", "-static"]
LINUX = """
#define SYSCALL(number, a, b, c) ({ \\
    register long x8 __asm__("x8") = number; register long x0 __asm__("x0") = (long)(a); \\
    register long x1 __asm__("x1") = (long)(b); register long x2 __asm__("x2") = (long)(c); \\
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory"); x0; })
void *memset(void *to, int value, size_t n) {
    for (volatile unsigned char *p = to; n--;) *p++ = (unsigned char)value;
    return to;
}
void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    const volatile unsigned char *q = from;
    for (volatile unsigned char *p = to; n--;) *p++ = *q++;
    return to;
}
static void all(long number, long file, unsigned char *data, size_t n) {
    while (n) {
        const long done = SYSCALL(number, file, data, n);
        if (done <= 0) SYSCALL(93, 9, 0, 0);
        data += done, n -= (size_t)done;
    }
}
static double state[8192], x[8192], y[8192];
#define FEED(name, steps, from, to) \\
    all(63, 0, (unsigned char *)x, from); \\
    if (name##_init((name##_t *)state) || name##_run((name##_t *)state, (void *)x, steps, (void *)y)) \\
        SYSCALL(93, 8, 0, 0); \\
    all(64, 1, (unsigned char *)y, to);
void _start(void);
void _start(void) {
"""


def fed(kit, nets):
    """What a program with all nets reads, and what it should write."""
    read = b"".join(kit.joined(*kit.inputs(layer)).tobytes() for layer in nets.values())
    return read, {name: kit.expected(layer) for name, layer in nets.items()}


def check(kit, nets, written, right):
    """That every net wrote the right bits."""
    start, wrong = 0, []
    for name in nets:
        size = right[name].nbytes
        found = np.frombuffer(written[start : start + size], right[name].dtype).reshape(right[name].shape)
        start += size
        wrong += [] if kit.same(found, right[name]) else [name]
    assert start == len(written)
    assert wrong == []


def calls_libm(layer, folder):
    """Whether its file has sines or powers, which are those of the C library."""
    export.c(layer, folder / "any.c")
    return "#include <math.h>" in (folder / "any.c").read_text()


@pytest.mark.parametrize(
    ("dtype", "cells"), [("float32", registry().names()), ("float64", TEN)], ids=["float32", "float64"]
)
def test_aarch64_under_qemu(kit, fused, tmp_path, dtype, cells):
    compiler, qemu = kit.compiler("zig aarch64-linux"), kit.need("qemu-aarch64")
    layers = kit.layers(dtype)
    cells = [name for name in (layers if dtype == "float32" else TEN) if not calls_libm(layers[name], tmp_path)]
    assert len(cells) > 9
    nets = {name: layers[name] for name in cells}
    source = kit.write_all(nets, tmp_path)
    read, right = fed(kit, nets)
    lines = [LINUX]
    for name, layer in nets.items():
        x = kit.joined(*kit.inputs(layer))
        lines.append(f"    FEED({name}, {len(x)}, {x.nbytes}, {right[name].nbytes})\n")
    source.write_text(source.read_text() + "".join(lines) + "    SYSCALL(93, 0, 0, 0);\n}\n")
    program = tmp_path / "program"
    kit.run([*compiler, *FREESTANDING, source, "-o", program])
    check(kit, nets, kit.run([qemu, program], input=read).stdout, right)


def stepped(layer, steps):
    """The outputs of `stream.step`."""
    x = np.random.default_rng(0).standard_normal((steps, layer.input_size), layer.dtype.name)
    stream = layer.stream()
    return x, np.array([stream.step(x_t) for x_t in x])


def test_a_hundred_thousand_steps_under_qemu(kit, fused, tmp_path):
    compiler, qemu = kit.compiler("zig aarch64-linux"), kit.need("qemu-aarch64")
    layer = pylstm.LSTM(1, 8, seed=0)
    source = kit.write_all({"net": layer}, tmp_path)
    lines = [LINUX.partition("void _start(void) {")[0], "void _start(void) {\n    net_init((net_t *)state);\n"]
    lines += ["    for (int k = 0; k < 100; k++) {\n        all(63, 0, (unsigned char *)x, 4000);\n"]
    lines += ["        if (net_run((net_t *)state, (void *)x, 1000, (void *)y)) SYSCALL(93, 8, 0, 0);\n"]
    lines += ["        all(64, 1, (unsigned char *)y, 32000);\n    }\n    SYSCALL(93, 0, 0, 0);\n}\n"]
    source.write_text(source.read_text() + "".join(lines))
    kit.run([*compiler, *FREESTANDING, source, "-o", tmp_path / "program"])
    x, right = stepped(layer, 100_000)
    written = kit.run([qemu, tmp_path / "program"], input=x.tobytes()).stdout
    assert kit.same(np.frombuffer(written, "float32").reshape(-1, 8), right)


class Wasm:
    """Nets as WebAssembly."""

    def __init__(self, kit, nets, folder):
        wasmtime = pytest.importorskip("wasmtime")
        compiler = kit.compiler("zig wasm32-freestanding")
        source = kit.write_all(nets, folder)
        source.write_text(source.read_text() + "double state[8192], x[8192], y[8192];\n")
        exports = [f"-Wl,--export={name}_{what}" for name in nets for what in ("init", "run")]
        exports += [f"-Wl,--export={name}" for name in ("state", "x", "y")]
        program = folder / "program.wasm"
        kit.run([*compiler, *kit.STRICT, "-O2", "-nostdlib", "-Wl,--no-entry", *exports, source, "-o", program])
        self.store = wasmtime.Store()
        module = wasmtime.Module(self.store.engine, program.read_bytes())
        self.found = wasmtime.Instance(self.store, module, []).exports(self.store)
        self.memory = self.found["memory"]
        self.state, self.x, self.y = (self.found[name].value(self.store) for name in ("state", "x", "y"))

    def start(self, name):
        assert self.found[f"{name}_init"](self.store, self.state) == 0

    def feed(self, name, x, like):
        """As many steps as `x` has; `like` is of the dtype and shape of the outputs."""
        self.memory.write(self.store, x.tobytes(), self.x)
        assert self.found[f"{name}_run"](self.store, self.state, self.x, len(x), self.y) == 0
        written = bytes(self.memory.read(self.store, self.y, self.y + like.nbytes))
        return np.frombuffer(written, like.dtype).reshape(like.shape)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_wasm_under_wasmtime(kit, fused, tmp_path, dtype):
    """There is no fused multiply-add: the file has its own."""
    layers = kit.layers(dtype)
    nets = {name: layers[name] for name in TEN}
    wasm, wrong = Wasm(kit, nets, tmp_path), []
    for name, layer in nets.items():
        right = kit.expected(layer)
        wasm.start(name)
        wrong += [] if kit.same(wasm.feed(name, kit.joined(*kit.inputs(layer)), right), right) else [name]
    assert wrong == []


def test_a_hundred_thousand_steps_under_wasmtime(kit, fused, tmp_path):
    layer = pylstm.LSTM(1, 8, seed=0)
    wasm = Wasm(kit, {"net": layer}, tmp_path)
    x, right = stepped(layer, 100_000)
    wasm.start("net")
    for t in range(0, 100_000, 1000):
        assert kit.same(wasm.feed("net", x[t : t + 1000], right[t : t + 1000]), right[t : t + 1000])


def sizes(data: bytes) -> tuple[int, int, int]:
    """text, data and bss of a 32-bit ELF file, as ``size`` counts them."""
    start, count = struct.unpack_from("<I", data, 32)[0], struct.unpack_from("<H", data, 48)[0]
    text = filled = empty = 0
    for k in range(count):
        _, kind, flags, _, _, size = struct.unpack_from("<6I", data, start + 40 * k)
        if flags & 2:  # in memory
            empty += size if kind == 8 else 0
            filled += size if kind != 8 and flags & 1 else 0
            text += size if kind != 8 and not flags & 1 else 0
    return text, filled, empty


def test_cortex_m4(kit, tmp_path):
    """All that an LSTM of 8 units needs, in flash but for its states; docs/export.md has the figures."""
    layer = pylstm.LSTM(3, 8, seed=0)
    pylstm.export.header(layer, tmp_path / "net.h")
    source = tmp_path / "firmware.c"
    source.write_text(
        '#include "net.h"\nstatic net_t net;\nint start(void);\nint start(void) { return net_init(&net); }\n'
        "int step(const float *x, float *y);\nint step(const float *x, float *y) { return net_step(&net, x, y); }\n"
    )
    made = tmp_path / "firmware.o"
    compiler = kit.compiler("zig thumb-freestanding-eabihf")
    kit.run([*compiler, "-mcpu=cortex_m4", *kit.STRICT, "-Os", "-c", source, "-o", made])
    text, data, bss = sizes(made.read_bytes())
    assert 4 * layer.params.size < text <= 3600
    assert data == 0
    assert bss == 192
    symbols = made.read_bytes()
    assert b"fmaf" not in symbols  # VFMA, no call
    assert b"__aeabi_d" not in symbols  # no double


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_multiply_add_in_software(kit, tmp_path, dtype):
    """Against that of the processor, where rounding, overflow and underflow are hard."""
    layer = pylstm.LSTM(1, 1, dtype=dtype, seed=0)
    pylstm.export.c(layer, tmp_path / "net.c", dtype=dtype)
    text = (tmp_path / "net.c").read_text()
    real, f = ("float", "f") if dtype == "float32" else ("double", "")
    assert text.count("#define NET_HARD 1") == 2
    soft = text.replace("#define NET_HARD 1", "#define NET_HARD 0")
    soft += f"""
void fma_of(const {real} *a, {real} *y, int n);
void fma_of(const {real} *a, {real} *y, int n) {{
    for (int k = 0; k < n; k++) y[k] = NET_FMA(a[3 * k], a[3 * k + 1], a[3 * k + 2]);
}}
__attribute__((target("fma"))) void right(const {real} *a, {real} *y, int n);
void right(const {real} *a, {real} *y, int n) {{
    for (int k = 0; k < n; k++) y[k] = __builtin_fma{f}(a[3 * k], a[3 * k + 1], a[3 * k + 2]);
}}
"""
    source = tmp_path / "soft.c"
    source.write_text(soft.replace("#define NET_X86 1", "#define NET_X86 0"))
    library = kit.Built(source, kit.compiler("gcc"), "-O2", "-fsanitize=undefined", "-fno-sanitize-recover").library
    a = factors(dtype)
    found, right = np.empty(len(a), dtype), np.empty(len(a), dtype)
    library.fma_of(kit.at(a), kit.at(found), len(a))
    library.right(kit.at(a), kit.at(right), len(a))
    assert kit.same(found, right)


def factors(dtype):
    """Triples whose sum cancels, ties, is subnormal or overflows."""
    rng = np.random.default_rng(0)
    info, n = np.finfo(dtype), 200_000
    least, most = np.log2(info.smallest_subnormal), np.log2(float(info.max))
    a = rng.standard_normal((n, 3)) * np.exp2(rng.uniform(-3, 3, (n, 3)))
    with np.errstate(all="ignore"):
        a = np.concatenate([a, rng.standard_normal((n, 3)) * np.exp2(rng.uniform(least / 2, most / 2, (n, 3)))])
        a[: n // 2] = a[: n // 2].astype("float16")  # few bits: ties
        a = a.astype(dtype)
        near = a[:n, 0] * a[:n, 1]
        a[: n // 4, 2] = -near[: n // 4] * (1 + rng.integers(-2, 3, n // 4) * info.eps).astype(dtype)
        small = a[n : n + n // 2]
        small[:, 2] = (np.exp2(rng.uniform(least - 3, least + 60, n // 2)) * rng.choice([-1, 1], n // 2)).astype(dtype)
        small[:, 1] = (np.exp2(rng.uniform(least, least + 60, n // 2)) / small[:, 0]).astype(dtype)
        special = np.array(
            [0, -0.0, 1, -1, info.max, -info.max, info.tiny, info.smallest_subnormal, np.inf, -np.inf, np.nan]
        )
        grid = np.stack(np.meshgrid(special, special, special), -1).reshape(-1, 3).astype(dtype)
    return np.ascontiguousarray(np.concatenate([a, grid]))
