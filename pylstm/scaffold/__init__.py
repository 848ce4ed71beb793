"""``pylstm new-cell``: a complete distribution for a cell. `source` writes classes, `package` the files."""
