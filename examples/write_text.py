"""Write English, character by character, after half a minute of reading Python's manual.

    pip install .                   # in a clone of pylstm
    python examples/write_text.py [--quick]

The text is that of Python's own `help()` topics, which every Python has. The last 5 % are not read: there the model
has 1.65 bits per character, a table of pairs of characters 3.24.
"""

import argparse
import time

from pylstm.datasets import manual_topics
from pylstm.text import Budget, TextSettings, TextTrainer


def main(quick: bool) -> None:
    """Train, measure, write."""
    text = manual_topics()
    settings = TextSettings(cell="lstm", hidden_size=64 if quick else 256, batch_size=32, length=64, seed=0)
    trainer = TextTrainer(text, settings)

    start = time.perf_counter()
    trainer.run(Budget(steps=100) if quick else Budget(epochs=3))
    took = time.perf_counter() - start

    print(f"LSTM   {trainer.validate():.2f} bits per character, trained {took:.0f} s")
    print(f"pairs  {trainer.bigram():.2f}")
    print(trainer.model.generate(400, prompt="The ", temperature=0.5, seed=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="at small scale")
    main(parser.parse_args().quick)
