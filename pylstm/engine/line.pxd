cdef enum:
    LINE = 64                  # bytes of a cache line: every array of the workspace starts on one
