"""The tasks of `pylstm train`."""
