"""Which instruction-set level this machine has."""

cdef extern from *:
    """
    /* v3 = AVX2 + FMA + BMI2 (Haswell, Zen), v4 = AVX-512 F+BW+DQ+VL+CD (Skylake-X, Zen 4). The features are asked
       for one by one: the names "x86-64-v3/v4" need a newer compiler than the rest of this file. */
    static int pylstm_machine_level(void) {
    #if defined(__x86_64__) && defined(__GNUC__)
        __builtin_cpu_init();
        if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")))
            return 1;
        if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
              __builtin_cpu_supports("avx512cd")))
            return 3;
        return 4;
    #else
        return 1;
    #endif
    }
    """
    int pylstm_machine_level() noexcept nogil


def machine_level():
    """Highest level of this machine: ``"v1"`` (baseline), ``"v3"`` (AVX2) or ``"v4"`` (AVX-512)."""
    return f"v{pylstm_machine_level()}"
