"""Shared by commands: options, data, output and checks."""
