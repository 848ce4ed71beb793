"""Who speaks? Utterances of 7 to 29 steps, as they are: no padding, no windows.

    pip install '.[data]'           # in a clone of pylstm
    python examples/classify_vowels.py [--quick]

Nine men say two Japanese vowels, 640 times; each step is 12 coefficients of the sound (aeon's JapaneseVowels, in the
split of its authors: 270 to learn from, 370 to be tested on). The classifier takes a list of arrays, chooses its own
settings, and has 98.6 % right after 0.6 s; logistic regression on the mean of each utterance 92.4 %.
"""

import argparse
import time

from sklearn.linear_model import LogisticRegression

import pylstm
from pylstm.datasets import japanese_vowels


def main(quick: bool) -> None:
    """Train and test."""
    data = japanese_vowels()

    start = time.perf_counter()
    net = pylstm.SequenceClassifier(epochs=20 if quick else 50, random_state=0)
    net.fit(data.x, data.y)  # a list of arrays (T_i, 12)
    took = time.perf_counter() - start

    mean, mean_test = ([each.mean(axis=0) for each in x] for x in (data.x, data.x_test))
    baseline = LogisticRegression(max_iter=5000).fit(mean, data.y).score(mean_test, data.y_test)
    print(
        f"SequenceClassifier()          {net.score(data.x_test, data.y_test):.1%} of {len(data.y_test)}, {took:.1f} s"
    )
    print(f"logistic regression on means  {baseline:.1%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="at small scale")
    main(parser.parse_args().quick)
