"""The parts of `benchmarks/jobs.py`. Libraries are imported inside functions only: asv imports every module here."""
