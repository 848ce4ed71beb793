"""The matrix products of `pylstm/engine/tiles.pyx`, every instruction-set level of this machine."""

import importlib

import numpy as np
import pytest

from pylstm.engine.cpu import machine_level
from pylstm.engine.levels import LEVELS

pytestmark = pytest.mark.once

SET, ADD, BIAS, ADD_BACK = 0, 1, 2, 3
DTYPES = ["float32", "float64"]
EPSILON = {"float32": 2.0**-23, "float64": 2.0**-52}


def _installed():
    for level in LEVELS[: LEVELS.index(machine_level()) + 1]:
        try:
            yield importlib.import_module(f"pylstm.engine.tiles_{level}")
        except ModuleNotFoundError:
            continue


MODULES = {module.__name__.rsplit("_", 1)[1]: module for module in _installed()}


@pytest.fixture(params=list(MODULES))
def tiles(request):
    return MODULES[request.param]


@pytest.fixture(params=DTYPES)
def dtype(request):
    return request.param


def draw(rng, rows, columns, dtype, gap=3):
    """(rows, columns) inside a wider array, so that the leading dimension is not the width."""
    return rng.uniform(-1, 1, (rows, columns + gap)).astype(dtype)[:, :columns]


def packed(tiles, W, transposed=False, panel=2):
    K, N = W.shape[::-1] if transposed else W.shape
    out = np.full(tiles.packed_size(K, N, W.itemsize), np.nan, W.dtype)
    tiles.pack(W, out, transposed, panel=panel)
    return out


def guarded(rng, M, N, dtype, gap=5):
    """C with a margin of 7s around it that no product may touch."""
    whole = np.full((M + 2, N + 2 * gap), 7, dtype)
    C = whole[1 : M + 1, gap : N + gap]
    C[...] = rng.uniform(-1, 1, (M, N))
    return whole, C


def margin_untouched(whole, C, gap=5):
    C[...] = 7
    return (whole == 7).all()


def assert_sums(out, expected, magnitude, terms, dtype):
    """|error| <= (terms + 2) eps * sum of |products|: the bound of one chain of multiply-adds."""
    bound = (terms + 2) * EPSILON[dtype] * magnitude
    assert np.all(np.abs(out.astype(np.float64) - expected) <= bound)


@pytest.mark.parametrize("mode", [SET, ADD, BIAS, ADD_BACK])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    ("M", "N", "K"),
    [
        (1, 1, 1),
        (1, 8, 8),
        (2, 3, 5),
        (5, 17, 7),
        (8, 32, 8),
        (7, 33, 19),
        (13, 31, 64),
        (16, 100, 9),
        (1, 300, 40),
        (2, 260, 3),
        (20, 16, 31),
        (64, 48, 130),
        (3, 64, 1),
        (33, 49, 600),
        (4, 200, 1100),
    ],
)
def test_product(tiles, dtype, mode, transposed, M, N, K):
    rng = np.random.default_rng([M, N, K])
    A = draw(rng, M, K, dtype)
    W = draw(rng, *((N, K) if transposed else (K, N)), dtype)
    bias = rng.uniform(-1, 1, N).astype(dtype)
    whole, C = guarded(rng, M, N, dtype)
    U = (W.T if transposed else W).astype(np.float64)
    start = {
        SET: np.zeros((M, N)),
        ADD: C.astype(np.float64),
        BIAS: np.tile(bias.astype(np.float64), (M, 1)),
        ADD_BACK: C.astype(np.float64),
    }[mode]
    tiles.product(A, packed(tiles, W, transposed), C, mode, bias)
    expected = start + A.astype(np.float64) @ U
    magnitude = np.abs(start) + np.abs(A.astype(np.float64)) @ np.abs(U)
    assert_sums(C, expected, magnitude, K, dtype)
    assert margin_untouched(whole, C)


def test_chain_is_in_order_of_k(tiles):
    """2**24 + 1 - 2**24 + 1 is 1 in order in float32, whatever the tile."""
    for M in range(1, 12):
        A = np.tile(np.float32([2**24, 1, -(2**24), 1]), (M, 1))
        for N in (1, 16, 40, 130):
            C = np.empty((M, N), np.float32)
            tiles.product(A, packed(tiles, np.ones((4, N), np.float32)), C, SET)
            assert (C == 1).all()
            C[...] = 2**24
            tiles.product(A[:, 1:], packed(tiles, np.ones((3, N), np.float32)), C, ADD)
            assert (C == 1).all()


@pytest.mark.parametrize("mode", [SET, ADD, BIAS, ADD_BACK])
@pytest.mark.parametrize(("N", "K"), [(1, 1), (8, 32), (33, 17), (67, 1), (131, 50), (257, 23), (40, 1100)])
def test_same_bits_for_every_number_of_rows(tiles, dtype, mode, N, K):
    rng = np.random.default_rng([N, K])
    A, W = draw(rng, 24, K, dtype), packed(tiles, draw(rng, K, N, dtype))
    bias = rng.uniform(-1, 1, N).astype(dtype)
    start = rng.uniform(-1, 1, (24, N)).astype(dtype)
    alone = start.copy()
    for row in range(24):
        tiles.product(A[row : row + 1], W, alone[row : row + 1], ADD if mode == ADD_BACK else mode, bias)
    for M in [*range(1, 21), 24]:
        for first in (0, 24 - M):
            C = start[first : first + M].copy()
            tiles.product(A[first : first + M], W, C, mode, bias)
            np.testing.assert_array_equal(C, alone[first : first + M])


def test_same_bits_for_every_number_of_columns(tiles, dtype):
    rng = np.random.default_rng(5)
    A, U = draw(rng, 11, 37, dtype), draw(rng, 37, 150, dtype)
    for M in (1, 2, 3, 11):
        whole = np.empty((M, 150), dtype)
        tiles.product(A[:M], packed(tiles, U), whole, SET)
        for N in [*range(1, 70), 127, 129]:
            C = np.empty((M, N), dtype)
            tiles.product(A[:M], packed(tiles, U[:, :N]), C, SET)
            np.testing.assert_array_equal(C, whole[:, :N])


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("mode", [SET, ADD, BIAS, ADD_BACK])
@pytest.mark.parametrize(("N", "K"), [(64, 128), (32, 5), (1, 9), (131, 50), (257, 23), (48, 1100)])
def test_panels_of_four_vectors_give_the_same_bits(tiles, dtype, mode, transposed, N, K):
    rng = np.random.default_rng([N, K])
    W, bias = draw(rng, *((N, K) if transposed else (K, N)), dtype), rng.uniform(-1, 1, N).astype(dtype)
    narrow, wide = (packed(tiles, W, transposed, panel) for panel in (2, 4))
    few = [M for M in range(1, 9) if tiles.panel(M, 1 << 20) == 4]
    assert few
    for M in few:
        A, (whole, C) = draw(rng, M, K, dtype), guarded(rng, M, N, dtype)
        expected = C.copy()
        tiles.product(A, narrow, expected, mode, bias)
        tiles.product(A, wide, C, mode, bias, panel=4)
        np.testing.assert_array_equal(C, expected)
        assert margin_untouched(whole, C)


def test_panels_of_four_vectors_are_for_few_rows_and_many_weights(tiles):
    assert [tiles.panel(1, nbytes) for nbytes in (1 << 10, 1 << 18)] == [2, 4]
    assert tiles.panel(40, 1 << 18) == 2
    A, C = np.ones((40, 4), np.float32), np.zeros((40, 5), np.float32)
    with pytest.raises(ValueError, match="few rows"):
        tiles.product(A, packed(tiles, np.ones((4, 5), np.float32), panel=4), C, panel=4)
    with pytest.raises(ValueError, match="panel: 3"):
        packed(tiles, np.ones((4, 5), np.float32), panel=3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("M", [1, 3, 8, 13])
def test_bad_values_stay_in_their_row_and_column(tiles, dtype, bad, M):
    rng = np.random.default_rng(3)
    A, U = draw(rng, M, 9, dtype), draw(rng, 9, 41, dtype)
    A[M // 2, 4] = bad
    U[3, 40] = bad
    C = np.empty((M, 41), dtype)
    tiles.product(A, packed(tiles, U), C, SET)
    wrong = np.zeros((M, 41), bool)
    wrong[M // 2] = wrong[:, 40] = True
    np.testing.assert_array_equal(~np.isfinite(C), wrong)


@pytest.mark.parametrize("K", [0, 1])
def test_product_without_terms_or_rows(tiles, dtype, K):
    bias = np.arange(1, 6, dtype=dtype)
    W = packed(tiles, np.full((K, 5), 2, dtype))
    for M in (0, 1, 9):
        A, C = np.full((M, K), 3, dtype), np.full((M, 5), 4, dtype)
        tiles.product(A, W, C, ADD)
        assert (C == 4 + 6 * K).all()
        tiles.product(A, W, C, BIAS, bias)
        assert (bias + 6 * K == C).all()
        tiles.product(A, W, C, SET)
        assert (C == 6 * K).all()


def scratch(tiles, M, N, R, dtype):
    itemsize = np.dtype(dtype).itemsize
    return np.full(tiles.outer_scratch(M, N, R, itemsize), np.nan, dtype)


OUTER = [
    (1, 1, 1),
    (8, 8, 3),
    (32, 8, 64),
    (9, 17, 5),
    (64, 16, 300),
    (130, 33, 70),
    (48, 100, 513),
    (20, 5, 256),
]


@pytest.mark.parametrize(("M", "N", "R"), OUTER)
def test_outer(tiles, dtype, M, N, R):
    rng = np.random.default_rng([M, N, R])
    A, B = draw(rng, R, M, dtype), draw(rng, R, N, dtype)
    whole, C = guarded(rng, M, N, dtype)
    start, A64, B64 = C.astype(np.float64), A.astype(np.float64), B.astype(np.float64)
    tiles.outer(A, B, C, scratch(tiles, M, N, R, dtype))
    assert_sums(C, start + A64.T @ B64, np.abs(start) + np.abs(A64).T @ np.abs(B64), min(R, 256) + 2, dtype)
    assert margin_untouched(whole, C)


def test_outer_of_powers_of_two_strides(tiles, dtype):
    rng = np.random.default_rng(11)
    A, B = rng.uniform(-1, 1, (70, 1024)).astype(dtype), rng.uniform(-1, 1, (70, 64)).astype(dtype)
    C = np.zeros((1024, 64), dtype)
    tiles.outer(A, B, C, scratch(tiles, 1024, 64, 70, dtype))
    A64, B64 = A.astype(np.float64), B.astype(np.float64)
    assert_sums(C, A64.T @ B64, np.abs(A64).T @ np.abs(B64), 70, dtype)


@pytest.mark.parametrize(("M", "N", "R"), [*OUTER, (300, 70, 300)])
def test_outer_does_not_depend_on_the_split_of_rows(tiles, dtype, M, N, R):
    rng = np.random.default_rng([M, N, R])
    A, B, start = draw(rng, R, M, dtype), draw(rng, R, N, dtype), draw(rng, M, N, dtype)
    whole = start.copy()
    tiles.outer(A, B, whole, scratch(tiles, M, N, R, dtype))
    for step in (8, tiles.sizes(whole.itemsize)[1], 24, 1, 7):
        parts = start.copy()
        for m in range(0, M, step):
            C = parts[m : m + step]
            tiles.outer(A[:, m : m + step], B, C, scratch(tiles, *C.shape, R, dtype))
        np.testing.assert_array_equal(parts, whole)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_outer_keeps_bad_values_in_their_row_and_column(tiles, dtype, bad):
    rng = np.random.default_rng(4)
    A, B, C = draw(rng, 20, 13, dtype), draw(rng, 20, 19, dtype), np.zeros((13, 19), dtype)
    A[5, 12], B[6, 18] = bad, bad
    tiles.outer(A, B, C, scratch(tiles, 13, 19, 20, dtype))
    wrong = np.zeros((13, 19), bool)
    wrong[12] = wrong[:, 18] = True
    np.testing.assert_array_equal(~np.isfinite(C), wrong)


@pytest.mark.parametrize(("R", "N"), [(1, 1), (5, 3), (100, 33), (64, 512), (1000, 17)])
def test_column_sums(tiles, dtype, R, N):
    rng = np.random.default_rng([R, N])
    A, out = draw(rng, R, N, dtype), rng.uniform(-1, 1, N).astype(dtype)
    start, A64 = out.astype(np.float64), A.astype(np.float64)
    tiles.column_sums(A, out)
    assert_sums(out, start + A64.sum(0), np.abs(start) + np.abs(A64).sum(0), min(R, 256) + R // 256, dtype)


def test_sizes_are_whole_cache_lines(tiles, dtype):
    itemsize = np.dtype(dtype).itemsize
    for K, N in [(1, 1), (3, 5), (7, 33), (64, 256)]:
        size = tiles.packed_size(K, N, itemsize)
        assert size * itemsize % 64 == 0
        assert size >= K * N
    rows, columns = tiles.sizes(itemsize)
    assert tiles.packed_size(8, 10 * columns, itemsize) == 80 * columns
    assert rows >= 1


def test_wrong_arguments_are_refused(tiles, dtype):
    A, C = np.ones((3, 4), dtype), np.zeros((3, 5), dtype)
    W = packed(tiles, np.ones((4, 5), dtype))
    with pytest.raises(ValueError, match="rows of A"):
        tiles.product(A[:2], W, C)
    with pytest.raises(ValueError, match="packed"):
        tiles.product(A, W[:3], C)
    with pytest.raises(ValueError, match="adjacent"):
        tiles.product(A[:, ::2], W, C)
    with pytest.raises(ValueError, match="bias"):
        tiles.product(A, W, C, BIAS)
    with pytest.raises(ValueError, match="mode"):
        tiles.product(A, W, C, 4)
    with pytest.raises(ValueError, match="scratch"):
        tiles.outer(A, C, np.zeros((4, 5), dtype), np.zeros(1, dtype))


def test_capsule_name(tiles):
    assert '"pylstm.tiles.v1"' in repr(tiles.capsule())
