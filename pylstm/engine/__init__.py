"""The engine: what the time loop is made of. Private: `pylstm._core` and `pylstm.engine.stream` are its doors."""
