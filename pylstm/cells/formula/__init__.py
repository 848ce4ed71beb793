"""Formula cells: one function of named symbols, traced once, its local derivatives derived.

`graph` holds expressions, `symbols` is what the user's function sees, `tracing` runs it, `rules` are the local
derivatives, `tape` chooses what is kept, `program` is the straight-line result, `derivation` puts them together,
`emission` prints programs (NumPy, Cython, C, LaTeX), `lazy` turns a formula into a cell on first use; `machine`
turns programs into code of the expression machine (`pylstm/engine/machine.pyx`).
"""

from pylstm.cells.formula.derivation import Derivation, StageDerivation, derive
from pylstm.cells.formula.program import Block, Operation, Program, Store
from pylstm.cells.formula.symbols import FormulaError

__all__ = ["Block", "Derivation", "FormulaError", "Operation", "Program", "StageDerivation", "Store", "derive"]
