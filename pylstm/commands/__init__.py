"""Sub-commands of the command line, one module each: `pylstm.cli` says what a module must have."""
