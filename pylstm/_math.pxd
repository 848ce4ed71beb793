# Inline activations, one fused name for float32 and float64.
#
# A thin layer over `include/pylstm/math.h`, where the formulas, the accuracy and the specials are documented.
# Loops over these vectorise at every level when the arrays do not overlap (`restrict` in C, or separate locals).

ctypedef fused floating:
    float
    double

cdef extern from "pylstm/math.h" nogil:
    float pylstm_expf(float x) noexcept
    double pylstm_exp(double x) noexcept
    float pylstm_expm1f(float x) noexcept
    double pylstm_expm1(double x) noexcept
    float pylstm_logf(float x) noexcept
    double pylstm_log(double x) noexcept
    float pylstm_log1pf(float x) noexcept
    double pylstm_log1p(double x) noexcept
    float pylstm_sigmoidf(float x) noexcept
    double pylstm_sigmoid(double x) noexcept
    float pylstm_tanhf(float x) noexcept
    double pylstm_tanh(double x) noexcept
    float pylstm_softplusf(float x) noexcept
    double pylstm_softplus(double x) noexcept
    float pylstm_reluf(float x) noexcept
    double pylstm_relu(double x) noexcept
    float pylstm_sinf(float x) noexcept
    double pylstm_sin(double x) noexcept
    float pylstm_cosf(float x) noexcept
    double pylstm_cos(double x) noexcept
    float pylstm_powerf(float x, float y) noexcept
    double pylstm_power(double x, double y) noexcept
    float pylstm_sqrtf(float x) noexcept
    double pylstm_sqrt(double x) noexcept
    float pylstm_dsigmoid_from_yf(float y) noexcept
    double pylstm_dsigmoid_from_y(double y) noexcept
    float pylstm_dtanh_from_yf(float y) noexcept
    double pylstm_dtanh_from_y(double y) noexcept
    float pylstm_drelu_from_yf(float y) noexcept
    double pylstm_drelu_from_y(double y) noexcept


cdef inline floating exp(floating x) noexcept nogil:
    """e^x"""
    if floating is float:
        return pylstm_expf(x)
    else:
        return pylstm_exp(x)


cdef inline floating expm1(floating x) noexcept nogil:
    """e^x - 1"""
    if floating is float:
        return pylstm_expm1f(x)
    else:
        return pylstm_expm1(x)


cdef inline floating log(floating x) noexcept nogil:
    """natural logarithm"""
    if floating is float:
        return pylstm_logf(x)
    else:
        return pylstm_log(x)


cdef inline floating log1p(floating x) noexcept nogil:
    """log(1 + x)"""
    if floating is float:
        return pylstm_log1pf(x)
    else:
        return pylstm_log1p(x)


cdef inline floating sigmoid(floating x) noexcept nogil:
    """1 / (1 + e^-x)"""
    if floating is float:
        return pylstm_sigmoidf(x)
    else:
        return pylstm_sigmoid(x)


cdef inline floating tanh(floating x) noexcept nogil:
    """hyperbolic tangent"""
    if floating is float:
        return pylstm_tanhf(x)
    else:
        return pylstm_tanh(x)


cdef inline floating softplus(floating x) noexcept nogil:
    """log(1 + e^x)"""
    if floating is float:
        return pylstm_softplusf(x)
    else:
        return pylstm_softplus(x)


cdef inline floating relu(floating x) noexcept nogil:
    """max(x, 0)"""
    if floating is float:
        return pylstm_reluf(x)
    else:
        return pylstm_relu(x)


cdef inline floating sin(floating x) noexcept nogil:
    """sine"""
    if floating is float:
        return pylstm_sinf(x)
    else:
        return pylstm_sin(x)


cdef inline floating cos(floating x) noexcept nogil:
    """cosine"""
    if floating is float:
        return pylstm_cosf(x)
    else:
        return pylstm_cos(x)


cdef inline floating power(floating x, floating y) noexcept nogil:
    """x to the power of y"""
    if floating is float:
        return pylstm_powerf(x, y)
    else:
        return pylstm_power(x, y)


cdef inline floating sqrt(floating x) noexcept nogil:
    """square root"""
    if floating is float:
        return pylstm_sqrtf(x)
    else:
        return pylstm_sqrt(x)


cdef inline floating dsigmoid_from_y(floating y) noexcept nogil:
    """y (1 - y) with y = sigmoid(x)"""
    if floating is float:
        return pylstm_dsigmoid_from_yf(y)
    else:
        return pylstm_dsigmoid_from_y(y)


cdef inline floating dtanh_from_y(floating y) noexcept nogil:
    """1 - y^2 with y = tanh(x)"""
    if floating is float:
        return pylstm_dtanh_from_yf(y)
    else:
        return pylstm_dtanh_from_y(y)


cdef inline floating drelu_from_y(floating y) noexcept nogil:
    """1 where y > 0, else 0"""
    if floating is float:
        return pylstm_drelu_from_yf(y)
    else:
        return pylstm_drelu_from_y(y)
