"""What some cells of the zoo take from outside the step: clocks, decays, structured weights; with their pull-backs.

A pull-back takes the cotangent of an array to those of what it was made of: ``pull(grads.blend["c"])``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray
Pull = Callable[[Array], dict[str, Array]]


def phased_openness(t: Array, tau: Array, shift: Array, ratio: Array, leak: float = 1e-3) -> tuple[Array, Pull]:
    """Openness k of the time gate of a phased LSTM (Neil et al. 2016, equations 11 and 12).

    Parameters
    ----------
    t : ndarray (T, B)
        Time stamps.
    tau, shift, ratio : ndarray (H,)
        Period, phase shift, and open share of the period, per unit.
    leak : float
        Slope of the closed phase; the paper has 0.001 in training, 0 at test.

    Returns
    -------
    k : ndarray (T, B, H)
        For ``blend={"h": k, "c": k}``, in the dtype of `tau`.
    pull : function
        Cotangent of k -> dict of those of ``tau``, ``shift``, ``ratio``. k goes into two states: pull the sum of both
        of `Gradients.blend`.

    Examples
    --------
    >>> import pylstm
    >>> layer = pylstm.Recurrent("phased_lstm", input_size=2, hidden_size=4, dtype="float64", seed=0)
    >>> t = np.cumsum(np.full((6, 1), 0.7), axis=0)
    >>> k, pull = phased_openness(t, np.array([2.0, 3, 5, 8]), np.zeros(4), np.full(4, 0.5))
    >>> run = layer(np.ones((6, 1, 2)), blend={"h": k, "c": k})
    >>> grads = run.backward(np.ones_like(run.y))
    >>> pull(grads.blend["h"] + grads.blend["c"])["tau"].shape
    (4,)
    """
    tau, shift, ratio = np.asarray(tau), np.asarray(shift), np.asarray(ratio)
    since = np.asarray(t, tau.dtype)[..., None] - shift
    phase = np.mod(since, tau) / tau
    rising, falling = phase < ratio / 2, (phase >= ratio / 2) & (phase < ratio)
    k = np.where(rising, 2 * phase / ratio, np.where(falling, 2 - 2 * phase / ratio, leak * phase))

    def pull(dk: Array) -> dict[str, Array]:
        sign = np.where(rising, 1.0, np.where(falling, -1.0, 0.0)).astype(tau.dtype)
        dphase = dk * np.where(rising | falling, sign * 2 / ratio, leak)
        return {
            "tau": np.sum(-dphase * since / tau**2, axis=(0, 1)),
            "shift": np.sum(-dphase / tau, axis=(0, 1)),
            "ratio": np.sum(-dk * sign * 2 * phase / ratio**2, axis=(0, 1)),
        }

    return k, pull


def clockwork_clock(steps: int, periods: Array, dtype: str = "float32") -> Array:
    """1 where a unit moves (step mod period = 0, steps from 0), else 0 (Koutník et al. 2014).

    Parameters
    ----------
    steps : int
    periods : ndarray of int (H,)
        Period of every unit: equal within a module.

    Returns
    -------
    ndarray (steps, 1, H)
        For ``blend={"h": ...}`` after ``np.repeat(..., B, axis=1)``.

    Examples
    --------
    >>> clockwork_clock(4, np.array([1, 2, 3]))[:, 0].astype(int).tolist()
    [[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, 0, 1]]
    """
    return (np.arange(steps)[:, None, None] % np.asarray(periods) == 0).astype(dtype)


def clockwork_mask(periods: Array, dtype: str = "float32") -> Array:
    """1 where unit i (row) may see unit j (column): where the period of j is not the shorter one, (H, H).

    Examples
    --------
    >>> clockwork_mask(np.array([1, 2]), int).tolist()
    [[1, 1], [0, 1]]
    """
    periods = np.asarray(periods)
    return (periods[None, :] >= periods[:, None]).astype(dtype)


def gru_d_decay(delta: Array, weight: Array, bias: Array) -> tuple[Array, Pull]:
    """Decay exp(-max(0, W delta + b)) of GRU-D (Che et al. 2018, equation 4).

    Parameters
    ----------
    delta : ndarray (T, B, D)
        Time since every input was last observed.
    weight : ndarray (H, D)
    bias : ndarray (H,)

    Returns
    -------
    gamma : ndarray (T, B, H)
        For ``pre={"h": gamma}``, and with a diagonal weight for `gru_d_impute`.
    pull : function
        Cotangent of gamma (``grads.pre["h"]``) -> dict of those of ``weight`` and ``bias``.

    Examples
    --------
    >>> gamma, pull = gru_d_decay(np.ones((3, 1, 2)), np.full((4, 2), 0.5), np.zeros(4))
    >>> float(gamma[0, 0, 0].round(6)), pull(gamma)["weight"].shape
    (0.367879, (4, 2))
    """
    exponent = delta @ weight.T + bias
    gamma = np.exp(-np.maximum(exponent, 0))

    def pull(dgamma: Array) -> dict[str, Array]:
        d = -dgamma * gamma * (exponent > 0)
        return {"weight": np.einsum("tbh,tbd->hd", d, delta), "bias": d.sum(axis=(0, 1))}

    return gamma, pull


def gru_d_impute(x: Array, mask: Array, gamma: Array, mean: Array) -> Array:
    """Inputs of GRU-D: observed, else between the last observed value and the mean (Che et al. 2018, equation 5).

    Parameters
    ----------
    x, mask, gamma : ndarray (T, B, D)
        Values, 1 where observed, decay per input. Before the first observation the mean stands for the last value.
    mean : ndarray (D,)

    Returns
    -------
    ndarray (T, B, 2 D)
        Imputed values and mask side by side: the input of the cell ``gru_d``.

    Examples
    --------
    >>> x, mask = np.array([4.0, 9.0]).reshape(2, 1, 1), np.array([1.0, 0.0]).reshape(2, 1, 1)
    >>> gru_d_impute(x, mask, np.full((2, 1, 1), 0.5), np.array([2.0])).tolist()
    [[[4.0, 1.0]], [[3.0, 0.0]]]
    """
    seen, last = np.asarray(mask) > 0, np.broadcast_to(mean, x.shape[1:])
    imputed = np.empty_like(x)
    for step in range(len(x)):
        last = np.where(seen[step], x[step], last)
        imputed[step] = np.where(seen[step], x[step], gamma[step] * last + (1 - gamma[step]) * mean)
    return np.concatenate([imputed, np.asarray(mask, x.dtype)], axis=-1)


def antisymmetric_weight(m: Array, gamma: float = 0.01) -> tuple[Array, Pull]:
    """U = M - M^T - gamma I for ``weight_h`` of ``antisymmetric_rnn`` (Chang et al. 2019).

    Parameters
    ----------
    m : ndarray (H, H)
        Only what lies above the diagonal and below it counts, as a difference.
    gamma : float
        Diffusion.

    Returns
    -------
    u : ndarray (H, H)
    pull : function
        Cotangent of U (``grads.params["weight_h"]``) -> dict of that of ``m``.

    Examples
    --------
    >>> u, pull = antisymmetric_weight(np.array([[5.0, 2], [3, 7]]), gamma=0.5)
    >>> u.tolist(), pull(np.array([[0.0, 1], [0, 0]]))["m"].tolist()
    ([[-0.5, -1.0], [1.0, -0.5]], [[0.0, 1.0], [-1.0, 0.0]])
    """
    return m - m.T - gamma * np.eye(len(m), dtype=m.dtype), lambda du: {"m": du - du.T}


def legendre(memory_size: int, theta: float) -> tuple[Array, Array]:
    """A and B of the Legendre memory unit, discretised by zero-order hold (Voelker et al. 2019, equations 1 and 2).

    Parameters
    ----------
    memory_size : int
        Order d: number of Legendre polynomials.
    theta : float
        Length of the window, in steps.

    Returns
    -------
    A : ndarray (d, d)
    B : ndarray (d,)

    Notes
    -----
    exp of [[A, B], [0, 0]] / theta, by scaling and squaring of its power series.

    Examples
    --------
    >>> A, B = legendre(6, theta=20.0)
    >>> A.shape, bool(np.abs(np.linalg.eigvals(A)).max() < 1)
    ((6, 6), True)
    """
    i, j = np.arange(memory_size)[:, None], np.arange(memory_size)
    a = (2 * i + 1) * np.where(i < j, -1.0, (-1.0) ** (i - j + 1))
    block = np.zeros((memory_size + 1, memory_size + 1))
    block[:-1, :-1], block[:-1, -1] = a, ((2 * i + 1) * (-1.0) ** i)[:, 0]
    halvings = max(0, int(np.ceil(np.log2(np.abs(block / theta).sum(axis=1).max()))) + 4)
    power = total = np.eye(memory_size + 1)
    for order in range(1, 18):
        power = power @ block / (theta * 2.0**halvings * order)
        total = total + power
    for _ in range(halvings):
        total = total @ total
    return total[:-1, :-1], total[:-1, -1]
