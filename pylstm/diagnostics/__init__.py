"""Inside a recurrent net: gradients by lag and by row, Jacobians, Lyapunov exponents, fixed points, saturation."""

from typing import TYPE_CHECKING

from pylstm.diagnostics.findings import Finding, diagnose
from pylstm.diagnostics.lags import LagGradients, gradient_by_lag
from pylstm.diagnostics.rows import row_gradients
from pylstm.diagnostics.saturated import GateSaturation, saturation
from pylstm.diagnostics.spectra import fixed_points, jacobians, lyapunov_spectrum
from pylstm.hints import absent

__all__ = [
    "Finding",
    "GateSaturation",
    "LagGradients",
    "diagnose",
    "fixed_points",
    "gradient_by_lag",
    "jacobians",
    "lyapunov_spectrum",
    "row_gradients",
    "saturation",
]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
