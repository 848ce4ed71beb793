from collections.abc import Mapping, Sequence
from typing import Any

FORWARD: tuple[str, ...]
BACKWARD: tuple[str, ...]
VECTORS: tuple[str, ...]

def describe(capsule: Any) -> dict[str, Any]:
    """What a compiled cell says of itself.

    Parameters
    ----------
    capsule : PyCapsule
        Named ``"pylstm.cell.v1"``, as `pylstm.cells.kernels.load_kernel` returns it.

    Returns
    -------
    dict
        ``abi`` (int), ``name`` (str), ``dtypes`` (tuple of str), and the counts ``stages``, ``gates``, ``states``,
        ``emissions``, ``keep``, ``params``, ``aux``.

    Raises
    ------
    TypeError
        Not a capsule of a cell.
    ImportError
        Built for another version of the C contract.
    """

def run_stage(capsule: Any, stage: int, backward: bool, blocks: Mapping[str, Sequence[Any]]) -> None:
    """Call one row hook of a compiled cell on the given blocks, in place.

    Parameters
    ----------
    capsule : PyCapsule
        The compiled cell.
    stage : int
        Number of the stage, from 0.
    backward : bool
        Which of the stage's two hooks.
    blocks : dict of str to sequence of array
        Kind -> its arrays in the order of the declaration, as in ``pylstm/cell.h``: ``gates``, ``prev``,
        ``emissions``, ``keep``, ``states``, ``params``, ``aux``, and for backward also ``dgates``, ``dprev``,
        ``demissions``, ``dstates``, ``dparams``, ``daux``. Shape (rows, width), or (width,) for ``params`` and
        ``dparams``; all float32 or all float64; rows contiguous, the distance between rows free. A kind of which
        the cell has no block may be left out; ``states`` and ``dstates`` are ignored before the last stage.

    Raises
    ------
    TypeError
        Not a cell's capsule; another dtype than float32 or float64, mixed dtypes, or one that the kernel lacks.
    ValueError
        Wrong stage, unknown kind, wrong number of arrays, wrong shape, read-only where the hook writes.
    ImportError
        The kernel was built for another version of the C contract.

    Notes
    -----
    Widths are compared between a block and its cotangent, but only the declaration of the cell knows what they must
    be: take them from ``cell.contract.resolve``. The arrays must not overlap.

    Examples
    --------
    >>> import numpy as np
    >>> from pylstm.cells.kernels import load_kernel
    >>> from pylstm.cells import LSTM
    >>> gates, prev, keep, states = (list(np.ones((n, 2, 3))) for n in (4, 2, 1, 2))
    >>> run_stage(load_kernel(LSTM), 0, False, {"gates": gates, "prev": prev, "keep": keep, "states": states})
    >>> print(states[0].round(4))
    [[0.6277 0.6277 0.6277]
     [0.6277 0.6277 0.6277]]
    """

class SideBySide:
    """One row hook of a compiled cell whose blocks are columns of one array: checked once, called often.

    Parameters
    ----------
    capsule, stage, backward
        As of `run_stage`.
    dtype : {"float32", "float64"}
    blocks : dict of str to sequence of (start, width)
        Kind -> where its blocks begin in a row, and their widths; for ``params`` and ``dparams`` in the vector.

    Raises
    ------
    TypeError, ValueError, ImportError
        As `run_stage`.

    Examples
    --------
    >>> import numpy as np
    >>> from pylstm.cells.kernels import load_kernel
    >>> from pylstm.cells import LSTM
    >>> places = {"gates": [(0, 3), (3, 3), (6, 3), (9, 3)], "prev": [(12, 3), (15, 3)], "keep": [(18, 3)]}
    >>> hook = SideBySide(load_kernel(LSTM), 0, False, "float64", places | {"states": [(21, 3), (24, 3)]})
    >>> rows = np.ones((2, 27))
    >>> hook(rows, np.empty(0))
    >>> print(rows[0, 21:24].round(4))
    [0.6277 0.6277 0.6277]
    """

    def __new__(
        cls, capsule: Any, stage: int, backward: bool, dtype: str, blocks: Mapping[str, Sequence[tuple[int, int]]]
    ) -> SideBySide: ...
    def __call__(self, rows: Any, vectors: Any) -> None:
        """Call the hook, in place.

        Parameters
        ----------
        rows : array (rows, columns)
            Contiguous, all blocks side by side.
        vectors : array (length,)
            All per-unit vectors, one after another.

        Raises
        ------
        ValueError
            Wrong dtype or shape, not contiguous, read-only.
        """
