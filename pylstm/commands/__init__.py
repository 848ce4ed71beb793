"""Sub-commands of the `pylstm` command, one file each."""
