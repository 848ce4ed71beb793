"""`columns`: the C functions of a product, ``@columns4(s, terms, w, z)`` for four groups of columns."""

from __future__ import annotations


def columns(groups: int, group: int) -> list[str]:
    """z += W s for `groups` times `group` columns, whose sums stay in registers."""
    many = range(groups)
    sums = ", ".join(f"s{n} = @LOAD(z + {n * group})" if n else "s0 = @LOAD(z)" for n in many)
    width = groups * group
    lines = [
        f"@INLINE void @columns{groups}(const @real *s, int terms, const @real *w, @real *z) {{",
        "#if @VECTORS",
        f"    @v {sums};",
        f"    for (int j = 0; j < terms; j++, w += {width}) {{",
        "        const @v a = s[j] - (@v){0};",
        *(f"        s{n} = @MADD(a, @LOAD({f'w + {n * group}' if n else 'w'}), s{n});" for n in many),
        "    }",
        *(f"    @STORE({f'z + {n * group}' if n else 'z'}, s{n});" for n in many),
        "#else",
        f"    for (int j = 0; j < terms; j++, w += {width})",
        f"        for (int n = 0; n < {width}; n++)",
        "            z[n] = @FMA(s[j], w[n], z[n]);",
        "#endif",
        "}",
        "",
    ]
    return lines
