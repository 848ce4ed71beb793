"""Cells: their declaration, their functions, certification, audits, derivations, and the bundled LSTM."""

from typing import TYPE_CHECKING

from pylstm.cells.cell import Cell
from pylstm.cells.contracts.contract import Contract
from pylstm.cells.contracts.stages import Stage
from pylstm.cells.functions import (
    abs2,
    absolute,
    conj,
    cos,
    dabs_from_x,
    drelu_from_y,
    dsigmoid_from_y,
    dtanh_from_y,
    exp,
    expm1,
    filled,
    log,
    log1p,
    maximum,
    minimum,
    relu,
    sigmoid,
    sin,
    softplus,
    sqrt,
    tanh,
    where,
)
from pylstm.cells.lags import lag
from pylstm.cells.lstm import LSTM
from pylstm.cells.row_functions import (
    contract,
    cumsum,
    fold,
    logsumexp,
    outer,
    repeat,
    row_max,
    row_mean,
    row_norm,
    row_sum,
    softmax,
    tile,
)
from pylstm.cells.surrogates import declared, stop_gradient, surrogate
from pylstm.hints import absent

if TYPE_CHECKING:
    from pylstm.cells.auditing.audit import Audit as Audit
    from pylstm.cells.auditing.audit import audit as audit
    from pylstm.cells.certification.certificate import Certificate as Certificate
    from pylstm.cells.certification.certificate import CertificationError as CertificationError
    from pylstm.cells.certification.certify import certify as certify
    from pylstm.cells.formula.derivation import Derivation as Derivation
    from pylstm.cells.formula.derivation import derive as derive
    from pylstm.cells.formula.emission.markdown import derivation_page as derivation_page
    from pylstm.cells.formula.symbols import FormulaError as FormulaError

__all__ = [
    "LSTM",
    "Audit",
    "Cell",
    "Certificate",
    "CertificationError",
    "Contract",
    "Derivation",
    "FormulaError",
    "Stage",
    "abs2",
    "absolute",
    "audit",
    "certify",
    "conj",
    "contract",
    "cos",
    "cumsum",
    "dabs_from_x",
    "declared",
    "derivation_page",
    "derive",
    "drelu_from_y",
    "dsigmoid_from_y",
    "dtanh_from_y",
    "exp",
    "expm1",
    "filled",
    "fold",
    "lag",
    "log",
    "log1p",
    "logsumexp",
    "maximum",
    "minimum",
    "outer",
    "relu",
    "repeat",
    "row_max",
    "row_mean",
    "row_norm",
    "row_sum",
    "sigmoid",
    "sin",
    "softmax",
    "softplus",
    "sqrt",
    "stop_gradient",
    "surrogate",
    "tanh",
    "tile",
    "where",
]

_LATER = {
    "Audit": "pylstm.cells.auditing.audit",
    "Certificate": "pylstm.cells.certification.certificate",
    "CertificationError": "pylstm.cells.certification.certificate",
    "Derivation": "pylstm.cells.formula.derivation",
    "FormulaError": "pylstm.cells.formula.symbols",
    "audit": "pylstm.cells.auditing.audit",
    "certify": "pylstm.cells.certification.certify",
    "derivation_page": "pylstm.cells.formula.emission.markdown",
    "derive": "pylstm.cells.formula.derivation",
}
"""Name -> module of what is imported when it is asked for."""

if not TYPE_CHECKING:
    __getattr__ = absent(__name__, _LATER)
