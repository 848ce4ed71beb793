"""The parts of `benchmarks/peers.py`. Libraries are imported inside functions only: asv imports every module here."""
