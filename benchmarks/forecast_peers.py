"""LSTMs of other libraries for `benchmarks/forecasts.py --peer`: the same units and epochs, a fit for each origin.

``darts`` has `RNNModel` (LSTM, 32 units, 100 epochs, its own optimiser and learning rate) on series that its `Scaler`
brings to 0..1, as its guide says; windows as long as the forecaster's longest, 24 steps of them before the forecast
begins. It needs darts, pytorch-lightning and torch.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

UNITS, EPOCHS = 32, 100
PEERS = ("darts",)
"""Names of `--peer`."""


def peer_of(name: str) -> Callable[[np.ndarray, int, int], np.ndarray]:
    """``forecast(y, n, seed)`` of a library.

    Raises
    ------
    ModuleNotFoundError
        It is not installed.
    """
    if name != "darts":
        raise ValueError(f"peer must be one of {', '.join(PEERS)}, got {name!r}")
    import torch
    from darts import TimeSeries
    from darts.dataprocessing.transformers import Scaler
    from darts.models import RNNModel

    for each in ("pytorch_lightning", "lightning", "darts"):
        logging.getLogger(each).setLevel(logging.ERROR)
    torch.set_num_threads(1)
    quiet: dict[str, Any] = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    quiet |= {"accelerator": "cpu", "enable_checkpointing": False}

    def forecast(y: np.ndarray, n: int, seed: int) -> np.ndarray:
        read = max(1, min(24, len(y) // 2 - 1))
        model = RNNModel(
            read,
            model="LSTM",
            hidden_dim=UNITS,
            training_length=max(read + 1, min(96, len(y) // 2)),
            n_epochs=EPOCHS,
            random_state=seed,
            pl_trainer_kwargs=quiet,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scaler = Scaler()
            series = scaler.fit_transform(TimeSeries.from_values(y.astype("float32")))
            model.fit(series)
            found = scaler.inverse_transform(model.predict(n)).values()
        return np.asarray(found[:, 0], "float64")

    return forecast
