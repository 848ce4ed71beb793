# Declarations that engine/stream.pyx shares with the time loops.
from pylstm.engine.plan cimport plan_t
from pylstm.engine.table cimport arrays_t, span_t
from pylstm.kernel cimport floating

cdef void forward_steps(const plan_t *plan, const arrays_t *a, const span_t *span, floating *dtype) noexcept nogil
