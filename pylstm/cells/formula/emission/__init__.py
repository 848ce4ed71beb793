"""Printers of derived programs: NumPy twins, Cython and C kernels, LaTeX and Markdown."""
