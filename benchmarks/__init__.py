"""Benchmarks of pylstm over time, run by asv: see CONTRIBUTING.md. Times are seconds; nothing here is a rate."""
