"""Accuracy of the inline activations, in ulp, over the whole range, at every level this machine has."""

from __future__ import annotations

import functools
import importlib

import mpmath
import numpy as np
import pytest

from pylstm.engine.cpu import machine_level
from pylstm.engine.levels import LEVELS

pytestmark = pytest.mark.once

MODULES = {
    level: importlib.import_module(f"pylstm.engine.activations_{level}")
    for level in LEVELS[: LEVELS.index(machine_level()) + 1]
}
NAMES = MODULES["v1"].NAMES
FROM_Y = tuple(name for name in NAMES if name.endswith("_from_y"))
TIGHT = {"float32": 4.0, "float64": 2.0}  # promised for exp, sigmoid, tanh; the others promise 4
BOUNDS = {name: TIGHT for name in ("exp", "sigmoid", "tanh", "sqrt", *FROM_Y)}
N = 30_000
wide = np.longdouble
needs_wide = pytest.mark.skipif(
    np.finfo(wide).nmant < 63, reason="this machine's long double is no wider than float64: no reference"
)


def reference(name: str, x: np.ndarray) -> np.ndarray:
    """The formula in long double: 11 bits more than float64."""
    with np.errstate(all="ignore"):  # signalling NaN among the random bits
        x = x.astype(wide)
    formulas = {
        "sigmoid": lambda: np.where(x < 0, np.exp(-np.abs(x)), wide(1)) / (1 + np.exp(-np.abs(x))),
        "softplus": lambda: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
        "relu": lambda: np.maximum(x, 0),
        "dsigmoid_from_y": lambda: x * (1 - x),
        "dtanh_from_y": lambda: (1 - x) * (1 + x),
        "drelu_from_y": lambda: np.sign(x),
    }
    with np.errstate(all="ignore"):
        return formulas[name]() if name in formulas else getattr(np, name)(x)


@functools.cache
def samples(name: str, dtype: str) -> np.ndarray:
    """Every exponent and sign, each region where a formula changes, subnormals, specials."""
    dtype, random = np.dtype(dtype), np.random.default_rng(sum(map(ord, name)))
    info, bits = np.finfo(dtype), np.dtype(f"u{dtype.itemsize}")
    spans = [
        (-1, 1),
        (-0.36, 0.36),
        (-4, 4),
        (-20, 20),
        (-45, 45),
        (-110, 95),
        (-750, 712),
        (0, 2),
        (-1e4, 1e4),
    ]
    near = random.standard_normal(N) * 2.0 ** random.uniform(-info.nmant, 0, N)
    parts = [random.uniform(low, high, N) for low, high in spans]
    parts += [near, 1 + near, 1 - near, near - 1, near * 2.0**-20]
    parts += [random.integers(0, np.iinfo(bits).max, 4 * N, bits, endpoint=True).view(dtype)]
    parts += [info.smallest_subnormal * random.integers(-5000, 5000, N).astype(dtype)]
    edges = [0, 1, np.log(2), 9.01, 17.33, 19.06, 36.7, 87.34, 88.7228, 88.73, 103.9, 708.4, 709.78, 745.1]
    edges += [info.tiny, info.max, np.inf, np.sqrt(0.5), 8.66]
    with np.errstate(all="ignore"):
        x = np.concatenate([part.astype(dtype) for part in [*parts, np.array([*edges, np.nan])]])
        x = np.concatenate([x, -x, np.nextafter(x, dtype.type(0)), np.nextafter(x, dtype.type(np.inf))])
    if name in FROM_Y:  # y is an output: of sigmoid in [0, 1], of tanh in [-1, 1]
        x = x[(np.abs(x) <= 1) & (x >= (-1 if name == "dtanh_from_y" else 0)) | np.isnan(x)]
    return x


def ulps(got: np.ndarray, want: np.ndarray, rounded: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """|got - want| in units of the last place of `want`; where `want` rounds to inf or NaN, `got` must."""
    with np.errstate(all="ignore"):
        error = np.abs(got.astype(wide) - want) / unit
    exact = (got == rounded) | (np.isnan(got) & np.isnan(want))
    error[~np.isfinite(rounded) & exact] = 0
    error[np.isnan(error) | (~np.isfinite(rounded) & ~exact)] = np.inf
    return error


def run(level: str, name: str, x: np.ndarray) -> np.ndarray:
    out = np.full_like(x, 7)
    MODULES[level].apply(name, x, out)
    return out


@needs_wide
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_within_the_promised_ulps(name, dtype):
    x, info = samples(name, dtype), np.finfo(dtype)
    want, bound = reference(name, x), BOUNDS.get(name, {}).get(dtype, 4.0)
    with np.errstate(all="ignore"):
        rounded = want.astype(dtype)
        unit = np.ldexp(wide(1), np.maximum(np.frexp(np.abs(want))[1] - 1, info.minexp) - info.nmant)
    for level in MODULES:
        error = ulps(run(level, name, x), want, rounded, unit)
        at = int(error.argmax())
        worst = f"worst {float(error[at]):.3f} ulp at x = {x[at]!r}, promised {bound}"
        assert error[at] <= bound, f"level {level}: {worst}"


@pytest.mark.parametrize("name", ["exp", "expm1", "log", "log1p", "tanh", "sin", "cos", "sqrt"])
def test_reference_agrees_with_mpmath(name):
    x = samples(name, "float64")[:: N // 10]
    x = x[np.isfinite(x) & (x > (-1 if name == "log1p" else 0 if name in ("log", "sqrt") else -800)) & (x < 1e5)]
    with mpmath.workdps(60):
        exact = [getattr(mpmath, name)(mpmath.mpf(float(v))) for v in x]
        got = [mpmath.mpf(int(m)) * mpmath.mpf(2) ** (int(e) - 64) for m, e in _split(reference(name, x))]
        worst = max(abs(g / e - 1) if e else abs(g) for g, e in zip(got, exact))
    assert worst < 2.0**-62, f"long double {name} is off by {mpmath.nstr(worst, 3)}"


def _split(values: np.ndarray):
    mantissa, exponent = np.frexp(values)
    return zip((int(m) for m in np.ldexp(mantissa, 64)), exponent)


INF, NAN = np.inf, np.nan
LIMITS = {
    "exp": [(-INF, 0), (INF, INF), (-0.0, 1), (0.0, 1), (1000, INF), (-1000, 0)],
    "expm1": [(-INF, -1), (INF, INF), (-0.0, -0.0), (0.0, 0.0), (1000, INF), (-1000, -1)],
    "log": [(INF, INF), (-0.0, -INF), (0.0, -INF), (1, 0.0), (-1, NAN), (-INF, NAN)],
    "log1p": [(INF, INF), (-0.0, -0.0), (0.0, 0.0), (-1, -INF), (-2, NAN), (-INF, NAN)],
    "sigmoid": [(-INF, 0), (INF, 1), (-0.0, 0.5), (0.0, 0.5), (40, 1), (-1000, 0), (1000, 1)],
    "tanh": [(-INF, -1), (INF, 1), (-0.0, -0.0), (0.0, 0.0), (20, 1), (-20, -1), (-1e30, -1)],
    "softplus": [(-INF, 0), (INF, INF), (1000, 1000), (-1000, 0)],
    "relu": [(-INF, 0.0), (INF, INF), (-0.0, 0.0), (0.0, 0.0), (-3, 0.0), (3, 3)],
    "sin": [(INF, NAN), (-INF, NAN), (-0.0, -0.0), (0.0, 0.0)],
    "cos": [(INF, NAN), (-INF, NAN), (-0.0, 1), (0.0, 1)],
    "sqrt": [(INF, INF), (-0.0, -0.0), (0.0, 0.0), (-1, NAN), (4, 2)],
    "dsigmoid_from_y": [(0.0, 0), (1, 0), (0.5, 0.25)],
    "dtanh_from_y": [(0.0, 1), (-0.0, 1), (1, 0), (-1, 0), (0.5, 0.75)],
    "drelu_from_y": [(0.0, 0), (-0.0, 0), (3, 1), (INF, 1)],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", MODULES)
def test_limits_keep_bits_and_signs(level, name, dtype):
    x, want = np.array([*LIMITS[name], (NAN, NAN)], dtype).T.copy()
    got = run(level, name, np.tile(x, 17))  # 17: vector body and remainder see every value
    np.testing.assert_array_equal(got, np.tile(want, 17))
    finite = np.tile(want == 0, 17)
    np.testing.assert_array_equal(np.signbit(got[finite]), np.signbit(np.tile(want, 17)[finite]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", MODULES)
def test_nan_stays_in_its_lane(level, name, dtype):
    x = np.linspace(0.1, 0.9, 67, dtype=dtype)
    clean = run(level, name, x)
    for at in (0, 5, 33, 66):
        dirty = x.copy()
        dirty[at] = np.nan
        got = run(level, name, dirty)
        assert np.isnan(got[at])
        np.testing.assert_array_equal(np.delete(got, at), np.delete(clean, at))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", MODULES)
def test_bits_do_not_depend_on_the_position(level, name, dtype):
    """Vector body, shorter remainders and single elements give the same bits."""
    x = np.random.default_rng(4).uniform(0.01, 0.99, 53).astype(dtype)
    whole = run(level, name, x)
    for start in range(0, 53, 3):
        np.testing.assert_array_equal(run(level, name, x[start:].copy()), whole[start:])
    single = np.concatenate([run(level, name, x[k : k + 1].copy()) for k in range(53)])
    np.testing.assert_array_equal(single, whole)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("level", MODULES)
def test_saturation_is_exact_and_never_exceeded(level, dtype):
    one = np.dtype(dtype).type(1)
    x = np.random.default_rng(1).uniform(5, 45, 200_000).astype(dtype)
    sigmoid, tanh = run(level, "sigmoid", x), run(level, "tanh", x)
    assert sigmoid.max() == one and tanh.max() == one
    half_ulp = np.finfo(dtype).epsneg / 2
    assert np.all(sigmoid[np.exp(-x.astype(wide)) < half_ulp] == one)
    assert np.all(tanh[2 * np.exp(-2 * x.astype(wide)) < half_ulp] == one)
    np.testing.assert_array_equal(run(level, "tanh", -x), -tanh)


def test_small_float32_sigmoid_is_not_flushed():
    x = np.array([-100.0, -103.0, -90.0], np.float32)
    want = np.exp(x.astype(np.float64)).astype(np.float32)
    for level in MODULES:
        np.testing.assert_array_equal(run(level, "sigmoid", x), want)


def test_arguments_are_checked():
    apply = MODULES["v1"].apply
    x = np.zeros(3, np.float32)
    with pytest.raises(ValueError, match=r"activation 'gelu': expected one of exp, expm1"):
        apply("gelu", x, x)
    with pytest.raises(ValueError, match=r"x has 3 elements, out has 2"):
        apply("exp", x, x[:2])
    with pytest.raises((ValueError, TypeError)):
        apply("exp", x, np.zeros(3, np.float64))
    apply("exp", x[:0], x[:0])
