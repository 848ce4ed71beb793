"""Which digit is it? Images of 8 x 8 pixels, read row by row from both ends.

    pip install '.[sklearn]'        # in a clone of pylstm
    python examples/classify_digits.py [--quick]

The 1797 handwritten digits that scikit-learn ships: 1437 to learn from, 360 to be tested on. A bidirectional LSTM,
which sees eight rows of eight numbers, has 99.2 % right after 2.6 s, logistic regression on the 64 pixels 96.7 %.
"""

import argparse
import time

import numpy as np
from sklearn.linear_model import LogisticRegression

import pylstm
from pylstm.datasets import digits


def main(quick: bool) -> None:
    """Train, test, print the digits that are taken for others most often."""
    data = digits()
    x, x_test = np.stack(data.x), np.stack(data.x_test)  # (N, 8, 8): sequences of 8 steps of 8 numbers

    start = time.perf_counter()
    net = pylstm.SequenceClassifier("lstm", 64, bidirectional=True, epochs=8 if quick else 40, random_state=0)
    net.fit(x, data.y)
    took = time.perf_counter() - start
    predicted = net.predict(x_test)

    pixels = LogisticRegression(max_iter=1000).fit(x.reshape(-1, 64), data.y)
    print(f"bidirectional LSTM   {(predicted == data.y_test).mean():6.1%} of {len(data.y_test)} right, {took:.1f} s")
    print(f"logistic regression  {pixels.score(x_test.reshape(-1, 64), data.y_test):6.1%}")
    for wrong in np.flatnonzero(predicted != data.y_test):
        print(f"  image {wrong}: a {data.y_test[wrong]}, taken for a {predicted[wrong]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="at small scale")
    main(parser.parse_args().quick)
