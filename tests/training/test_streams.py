"""Streams of truncated BPTT, the bigram baseline, and Ctrl-C as a request."""

import itertools
import os
import signal
import threading

import numpy as np
import pytest

from pylstm.text.bigram import bigram_bits
from pylstm.text.streams import Streams
from pylstm.training.interrupt import stop_on_interrupt


@pytest.mark.parametrize(("count", "batch_size", "length"), [(101, 4, 7), (100, 4, 5), (9, 8, 3), (50, 1, 49)])
def test_chunks_go_on_where_the_last_stopped(count, batch_size, length):
    data = np.random.default_rng(0).permutation(count)
    streams = Streams(data, batch_size)
    chunks = list(streams.chunks(length))
    assert len(chunks) == streams.number_of_chunks(length)
    inputs = np.concatenate([chunk for chunk, _ in chunks])
    targets = np.concatenate([chunk for _, chunk in chunks])
    used = (count - 1) // batch_size * batch_size
    np.testing.assert_array_equal(inputs.T.ravel(), data[:used])
    np.testing.assert_array_equal(targets.T.ravel(), data[1 : used + 1])
    assert all(len(chunk) == length for chunk, _ in chunks[:-1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Streams(np.arange(4), 4), "4 elements are too few for 4 streams"),
        (lambda: Streams(np.arange(4), 0), "batch_size must be at least 1"),
        (lambda: Streams(np.zeros((2, 2)), 1), "one axis"),
        (lambda: next(Streams(np.arange(4), 1).chunks(0)), "length must be at least 1"),
    ],
)
def test_streams_refuse(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_bigram_bits_by_counting():
    train, validation = np.random.default_rng(1).integers(4, size=(2, 60))
    total = 0.0
    for a, b in itertools.pairwise(validation):
        pairs = sum(1 for c, d in itertools.pairwise(train) if (c, d) == (a, b))
        total -= np.log2((pairs + 1) / (np.count_nonzero(train[:-1] == a) + 5))
    assert bigram_bits(train, validation, 5) == pytest.approx(total / 59, rel=1e-14)
    with pytest.raises(ValueError, match="at least two"):
        bigram_bits(train, validation[:1], 5)


def test_first_interrupt_asks_and_the_second_interrupts():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stop_on_interrupt() as stopped:
        assert not stopped()
        os.kill(os.getpid(), signal.SIGINT)
        assert stopped()
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_no_handler_outside_of_the_main_thread():
    answers = []

    def work():
        with stop_on_interrupt() as stopped:
            answers.append((stopped(), signal.getsignal(signal.SIGINT)))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [(False, before)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_the_process_ignores_stays_ignored(number):
    before = signal.signal(number, signal.SIG_IGN)  # as `nohup` and `&` in a script leave it
    try:
        with stop_on_interrupt() as stopped:
            signal.raise_signal(number)
            assert stopped() == 0
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)
