"""CSV files: what is read, and that every message names the file, the line and the column."""

import tracemalloc

import numpy as np
import pytest

from pylstm.commands._shared.series import read_series
from pylstm.datasets import grouped, read_table, records, split_by_class
from pylstm.datasets.bundled import Times


def table(tmp_path, text, **options):
    path = tmp_path / "data.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path, **options)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path, delimiter):
    text = "\n".join(delimiter.join(row) for row in (["time", "a b", "c"], ["1", "2.5", "-3e2"], ["2", " 4 ", "5"]))
    found = table(tmp_path, text)
    assert found.names == ("time", "a b", "c")
    assert found.numbers(["c", "a b"]).tolist() == [[-300.0, 2.5], [5.0, 4.0]]


@pytest.mark.parametrize(
    ("text", "names", "lines"),
    [
        ("y\n1\n2\n", ("y",), [2, 3]),
        ("\ufeffx,y\r\n1,2\r\n\r\n3,4\r\n", ("x", "y"), [2, 4]),
        ('x,"a, b"\n"1","2"\n', ("x", "a, b"), [2]),
        ('note,y\n"two\nlines",2\nb,3\n', ("note", "y"), [2, 4]),
        ("a;b\n1,5;2\n", ("a", "b"), [2]),
        ("a;b\n1;2,5\n1;3,5\n", ("a", "b"), [2, 3]),
    ],
)
def test_lines_are_counted_as_in_the_file(tmp_path, text, names, lines):
    found = table(tmp_path, text)
    assert (found.names, found.lines.tolist()) == (names, lines)


def test_a_delimiter_can_be_given(tmp_path):
    assert table(tmp_path, "a:b\n1:2\n", delimiter=":").names == ("a", "b")
    with pytest.raises(ValueError, match="one character"):
        table(tmp_path, "a:b\n1:2\n", delimiter="::")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the file is empty"),
        (" \n\n", "line 1: the file is empty"),
        ("x,y\n", "line 2: the file has no rows below the header"),
        ("1,2\n3,4\n", "line 1: the first line holds numbers only"),
        (",\n1,2\n", "line 1: the header has no names"),
        ("x,y,x\n1,2,3\n", "line 1, column 3: the header has the name 'x' twice"),
        ("x,y\n1,2\n3\n", "line 3, column 2: 1 fields, but the header in line 1 has 2"),
        ("x,y\n1,2\n\n3,4,5\n", "line 4, column 3: 3 fields, but the header in line 1 has 2"),
        ('x,y\n1,2\n"3,4\n5,6\n', "line 3: a field of this record begins with a quote"),
        (b"x,y\n1,2\n1,\xff\n", "not UTF-8: byte 0xff at position 10, in line 3, column 3"),
        (b"x,y\n\xc3\xa4,\xff\n", "in line 2, column 3"),
        (b"\xff\xfex\x00", "UTF-16"),
        (b"\x1f\x8b\x08\x00", "gzip: gunzip -k FILE"),
        (b"PK\x03\x04\x14", "Excel or another zip file: save the sheet as CSV"),
        (b"PAR1\x15\x04", "read_parquet"),
        ('  [{"x": 1}]', "the file is JSON"),
    ],
)
def test_bad_files(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        table(tmp_path, text)
    assert "data.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("", "a missing value, ''"),
        ("NA", "a missing value, 'NA'"),
        ("nan", "a missing value, 'nan'"),
        ("high", "'high' is not a number"),
        ("3,5", r"'3,5' is not a number: decimal=',' \(--decimal ,\) reads 3.5$"),
        ("inf", "'inf' is not a finite number"),
        ("1_000", r"'1_000' is not a number: write 1000, or thousands='_' \(--thousands _\)$"),
        ("1e999", "'1e999' is not a finite number"),
    ],
)
def test_bad_numbers(tmp_path, field, message):
    found = table(tmp_path, f"t;flow\n1;10\n\n2;{field}\n3;30\n")
    with pytest.raises(ValueError, match=rf"data\.csv, line 4, column 2 \('flow'\): {message}"):
        found.numbers(["flow"])


@pytest.mark.parametrize("block", [1, 4096])
@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("x,y\n1,2\n3,{long}\n4,5\n", "line 3, column 2"),
        ("x,y\n1,2\n{long},3\n", "line 3, column 1"),
        ('x,y,z\n1,"2\n\n",3\n"3,4",4,"{lines}\n', "line 5, column 3"),
        ("{long},y\n1,2\n", "line 1, column 1"),
    ],
)
def test_a_field_that_is_too_long(tmp_path, monkeypatch, text, place, block):
    monkeypatch.setattr("pylstm.datasets.records.BLOCK", block)
    text = text.format(long="7" * 131_073, lines="7,8\n" * 40_000)
    with pytest.raises(ValueError, match=rf"data\.csv, {place}: a field of more than 131,072 characters; close its"):
        table(tmp_path, text)


def test_a_long_field_is_read(tmp_path):
    assert len(table(tmp_path, f"x,y\n1,{'a' * 131_072}\n").text("y")[0]) == 131_072


def test_missing_numbers_can_be_interpolated(tmp_path):
    found = table(tmp_path, "t,a,b\n1,10,1\n2,,2\n3,NA,3\n4,40,\n")
    values = found.numbers(["a"], gaps=True)
    assert found.interpolated(values, ["a"]).ravel().tolist() == [10, 20, 30, 40]
    with pytest.raises(ValueError, match=r"line 5, column 3 \('b'\): a missing value at an end"):
        found.interpolated(found.numbers(["b"], gaps=True), ["b"])


def test_an_unknown_column_names_those_that_there_are(tmp_path):
    with pytest.raises(ValueError, match=r"data\.csv: unknown column 'z' \(known: 'x', 'y'\)"):
        table(tmp_path, "x,y\n1,2\n").numbers(["z"])


LONG = "who,t,kind,u,v\na,1,up,1,2\na,2,up,3,4\nb,1,down,5,6\na,3,up,7,8\n"


def test_rows_of_one_id_are_a_sequence(tmp_path):
    found = grouped(table(tmp_path, LONG), label="kind", id="who", columns=["u", "v"])
    assert found.ids == ["a", "b"] and found.labels == ["up", "down"]
    assert [each.tolist() for each in found.x] == [[[1, 2], [3, 4], [7, 8]], [[5, 6]]]
    assert grouped(table(tmp_path, LONG), label="kind", id="who").columns == ("t", "u", "v")


def test_without_an_id_a_row_is_a_sequence(tmp_path):
    found = grouped(table(tmp_path, "kind,s1,s2\nup,1,2\ndown,4,3\n"), label="kind")
    assert [each.tolist() for each in found.x] == [[[1], [2]], [[4], [3]]]
    assert found.ids == ["in line 2", "in line 3"] and found.labels == ["up", "down"]


def test_gaps_are_filled_within_a_sequence_only(tmp_path):
    text = "who,u\na,1\na,\na,3\nb,100\nb,200\n"
    assert grouped(table(tmp_path, text), id="who", interpolate=True).x[0].ravel().tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match=r"line 4, column 2 \('u'\): a missing value at an end"):
        grouped(table(tmp_path, "who,u\na,1\nb,5\na,\nb,7\n"), id="who", interpolate=True)
    wide = table(tmp_path, "p,q,r\n1,,3\n,2,3\n")
    with pytest.raises(ValueError, match=r"line 3, column 1 \('p'\): a missing value at an end"):
        grouped(wide, interpolate=True)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (LONG.replace("a,3,up", "a,3,x"), {"id": "who"}, r"line 5, column 3 \('kind'\): label 'x', but 'up' in line 2"),
        (LONG.replace("5,6", "5,x"), {"id": "who"}, r"line 4, column 5 \('v'\): 'x' is not a number"),
        (LONG.replace("b,1", ",1"), {"id": "who"}, r"line 4, column 1 \('who'\): the field is empty"),
        (LONG, {}, r"line 2, column 1 \('who'\): 'a' is not a number"),
        (LONG, {"id": "name"}, "unknown column 'name'"),
        ("kind\nup\n", {}, "has no columns of numbers"),
    ],
)  # fmt: skip
def test_bad_sequences(tmp_path, text, options, message):
    with pytest.raises(ValueError, match=message):
        grouped(table(tmp_path, text), label="kind", **options)


def test_the_split_keeps_some_of_every_class():
    labels = np.repeat([0, 1, 2, 3], [40, 10, 2, 1])
    kept, held = split_by_class(labels, 0.25, 3)
    assert sorted([*kept, *held]) == list(range(53))
    assert np.bincount(labels[held], minlength=4).tolist() == [10, 2, 1, 0]
    assert np.array_equal(held, split_by_class(labels, 0.25, 3)[1])
    assert not np.array_equal(held, split_by_class(labels, 0.25, 4)[1])
    for share in (0, 1, -0.5):
        with pytest.raises(ValueError, match="between 0 and 1"):
            split_by_class(labels, share, 0)
    with pytest.raises(ValueError, match="no class has two"):
        split_by_class(np.arange(3), 0.5, 0)


MESSY = '\n x ,"y, z",t\n1,2,a\n\n  3, 4 ,b \n"5","6","c\nd"\n,,\n7,8,e\n9,10,\u00e9\n'


@pytest.mark.parametrize("block", [1, 2, 3, 1 << 15])
def test_blocks_of_any_size_give_the_same(block, monkeypatch, tmp_path):
    monkeypatch.setattr(records, "BLOCK", block)
    found = table(tmp_path, MESSY)
    assert found.names == ("x", "y, z", "t") and len(found) == 6
    assert found.lines.tolist() == [3, 5, 6, 8, 9, 10]
    with pytest.raises(ValueError, match=r"line 8, column 3 \('t'\): the field is empty"):
        found.text("t")
    with pytest.raises(ValueError, match=r"line 8, column 1 \('x'\): a missing value"):
        found.numbers(["x"])
    np.testing.assert_array_equal(
        found.numbers(["y, z", "x"], gaps=True), [[2, 1], [4, 3], [6, 5], [np.nan, np.nan], [8, 7], [10, 9]]
    )
    whole = table(tmp_path, MESSY.replace(",,\n", ""))
    assert whole.text("t") == list(Times(whole.packed("t"))) == ["a", "b", "c\nd", "e", "\u00e9"]
    with pytest.raises(ValueError, match=r"line 4, column 2: 1 fields, but the header in line 1 has 2"):
        table(tmp_path, "a,b\n1,2\n3,4\n5\n")
    with pytest.raises(ValueError, match=r"line 3: "):
        table(tmp_path, 'a,b\n1,2\n3,"4\n')


def test_a_long_table_takes_little_memory(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("minute,value\n" + "".join(f"{k},{k % 97}.123456\n" for k in range(300_000)))
    tracemalloc.start()
    found = read_series(str(path), {"column": "value", "time_column": "minute"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.values[123] == 26.123456 and found.times[-1] == "299999"
    assert peak < 5 * path.stat().st_size + 16 * records.BLOCK * 32
