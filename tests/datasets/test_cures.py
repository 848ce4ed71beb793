"""What a message about a first row says, beside the word for the field itself."""

import pytest

from pylstm.datasets import read_table


@pytest.mark.parametrize("first", ["(1.5)", " (2) "])
def test_a_first_row_with_a_number_in_brackets_is_a_row(tmp_path, first):
    path = tmp_path / "data.csv"
    path.write_text(f"day,flow\n2001-01-01,{first}\n2001-01-02,2\n")
    with pytest.raises(ValueError, match=r"for a number in brackets$"):
        read_table(path).numbers(["flow"])
