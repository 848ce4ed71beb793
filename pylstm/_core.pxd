# What other loops over time than those of _core.pyx share with them.
from pylstm.engine.plan cimport plan_t
from pylstm.engine.table cimport arrays_t
from pylstm.engine.team cimport team_t
from pylstm.kernel cimport floating

cdef void forward_steps(const plan_t *plan, const arrays_t *a, team_t *team, int number, Py_ssize_t first,
                        Py_ssize_t steps, Py_ssize_t b0, Py_ssize_t rows, floating *dtype) noexcept nogil
