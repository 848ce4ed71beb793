"""Texts and vocabularies."""

import hashlib
from collections import Counter

import numpy as np
import pytest

from pylstm.datasets import UNKNOWN, Vocabulary, manual_topics, read_text
from pylstm.datasets import text as texts


def test_manual_topics_are_long_english_and_the_same_every_time():
    text = manual_topics()
    assert text == manual_topics()
    assert len(text) > 300_000 and text.count("statement") > 200 and len(set(text)) < 150


def write(tmp_path, data):
    path = tmp_path / "text.txt"
    path.write_bytes(data)
    return path


def test_read_text_normalises_line_ends_and_drops_the_mark(tmp_path):
    assert read_text(write(tmp_path, b"\xef\xbb\xbf\xc3\xa4b\r\nc\rd\n"), minimum=1) == "äb\nc\nd\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "too short.*empty"),
        (b"abc", "too short.*3 characters, at least 1000"),
        (b"ab\nc\xe4d" + b"x" * 2000, r"not UTF-8: byte 0xe4 at position 4, in line 2, column 2 \(invalid"),
        (b"\xef\xbb\xbfab\nc\xe4d", "not UTF-8: byte 0xe4 at position 7, in line 2, column 2"),
        (b"\xff\xfea\0b\0", "UTF-16"),
    ],
)
def test_read_text_refuses(tmp_path, data, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_text(write(tmp_path, data))
    assert "text.txt" in str(caught.value)


def test_read_text_without_a_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "none.txt")


def test_vocabulary_round_trip():
    text = "a naïve 😀 façade, twice: a naïve 😀 façade"
    vocabulary = Vocabulary.of(text)
    indices = vocabulary.encode(text)
    assert vocabulary.decode(indices) == text
    assert indices.min() == 1 and len(vocabulary) == len(set(text)) + 1
    assert list(vocabulary.characters[1:]) == sorted(set(text))


def test_rare_and_unknown_characters_are_index_zero():
    vocabulary = Vocabulary.of("aabbc", min_count=2)
    assert vocabulary.encode("abcz\x00😀" + UNKNOWN).tolist() == [1, 2, 0, 0, 0, 0, 0]
    assert vocabulary.decode([0, 1]) == UNKNOWN + "a"
    assert vocabulary.encode("").shape == (0,)


def test_the_order_given_is_kept():
    vocabulary = Vocabulary("zab")
    assert vocabulary.encode("abz").tolist() == [2, 3, 1]


@pytest.mark.parametrize("characters", ["aa", ["ab"], [""], UNKNOWN])
def test_vocabulary_refuses(characters):
    with pytest.raises(ValueError, match=r"single characters|every character once"):
        Vocabulary(characters)


@pytest.mark.parametrize("indices", [[4], [-1], np.array([[0, 9]])])
def test_decode_refuses(indices):
    with pytest.raises(ValueError, match=r"indices must be in 0\.\.3"):
        Vocabulary("abc").decode(indices)


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_a_text_is_read_in_pieces(piece, monkeypatch):
    monkeypatch.setattr(texts, "PIECE", piece)
    text = "abracadabra, \u00e9t\u00e9 \U0001f600 \udc80 zb" * 3
    vocabulary = Vocabulary.of(text, min_count=4)
    counts = Counter(text)
    assert vocabulary.characters[1:] == "".join(sorted(each for each in counts if counts[each] >= 4))
    at = {each: k for k, each in enumerate(vocabulary.characters)}
    true = [at.get(each, 0) for each in text]
    assert vocabulary.encode(text).tolist() == true and vocabulary.encode(text).dtype == np.intp
    small = vocabulary.encode(text, vocabulary.smallest)
    assert small.tolist() == true and small.dtype == np.uint8
    assert texts.digest(text) == hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def test_the_smallest_dtype_holds_all_indices():
    vocabulary = Vocabulary(chr(0x4E00 + k) for k in range(300))
    text = "".join(vocabulary.characters[1:])
    assert vocabulary.encode(text, vocabulary.smallest).tolist() == list(range(1, 301))
