"""Words for a missing value in every column, and numbers that a label cannot be."""

from pathlib import Path

import pytest

from dnamamba.data.labelled import Fields, Labels
from dnamamba.data.labelled.cells import number
from dnamamba.data.labelled.examples import read_examples

WORDS = ["NA", "n.a.", "NaT", r"\N", "#VALUE!", "#DIV/0!", "-1.#IND", "#N/A N/A"]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("column", range(3))
def test_a_missing_value(word: str, column: int, tmp_path: Path) -> None:
    cells = ["ACGT", "a", "one"]
    cells[column] = word
    path = tmp_path / "t.csv"
    path.write_text("sequence,label,id\nACGT,b,two\n" + ",".join(cells) + "\n")
    with pytest.raises(ValueError, match=r"t\.csv, line 3: .*missing"):
        read_examples(str(path), Fields(id="id"), Labels())


@pytest.mark.parametrize("text", ["1e39", "-4e38", "1_000", "1e400"])
def test_a_number_that_a_label_cannot_be(text: str) -> None:
    with pytest.raises(ValueError, match=r"row 7: label .*(too large|no number|not finite)"):
        number(text, "row 7")
