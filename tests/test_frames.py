"""Tables in, tables out, from Python: which column is read, and what the rows are called."""

import sys
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from models import opinionated
from pandas.testing import assert_frame_equal

from dnamamba.alphabet import Tokenizer
from dnamamba.api import Pretrained
from dnamamba.config import MambaConfig
from dnamamba.frames import known_name, picked
from dnamamba.model.classifier import Classifier
from dnamamba.model.heads import HeadConfig

LIST = ["ACGTTGCA", "GATTACAGG", "CCN"]
FRAME = pd.DataFrame(
    {"id": ["p", "q", "r"], "Seq": LIST, "other": ["A", "C", "G"]}, index=[7, 3, 5]
)


@pytest.fixture(scope="module")
def language_model() -> Pretrained:
    return Pretrained(opinionated().eval(), Tokenizer())


@pytest.fixture(scope="module")
def classifier() -> Pretrained:
    torch.manual_seed(0)
    head = HeadConfig(kind="multiclass", labels=("a", "b", "c"))
    model = Classifier(MambaConfig(d_model=16, n_layers=1, d_state=4), head)
    return Pretrained(model.eval(), Tokenizer())


def test_vectors_are_columns_beside_index_and_ids(language_model: Pretrained) -> None:
    vectors = language_model.embed(LIST)
    got = language_model.embed(FRAME, as_frame=True)
    assert list(got.columns) == ["id", *(f"e{i}" for i in range(32))]
    assert got.index.tolist() == [7, 3, 5]
    assert got["id"].tolist() == ["p", "q", "r"]
    np.testing.assert_array_equal(got.drop(columns="id").to_numpy(np.float32), vectors)
    assert got["e0"].dtype == np.float32
    assert FRAME.merge(got, on="id").shape == (3, 35)


def test_a_row_a_base(language_model: Pretrained) -> None:
    vectors = language_model.embed(LIST, pooling=None)
    got = language_model.embed(FRAME, pooling=None, as_frame=True)
    assert list(got.columns[:4]) == ["id", "start", "end", "e0"]
    assert got.index.tolist() == [7] * 8 + [3] * 9 + [5] * 3
    assert got["start"].tolist() == [*range(8), *range(9), *range(3)]
    assert (got["end"] == got["start"] + 1).all()
    np.testing.assert_array_equal(got.filter(regex=r"^e\d").to_numpy(), np.concatenate(vectors))


def test_predictions_are_the_columns_of_the_command(classifier: Pretrained) -> None:
    expected = pd.DataFrame(classifier.predict(LIST).columns(), index=FRAME.index)
    expected.insert(0, "id", FRAME["id"])
    assert_frame_equal(classifier.predict(FRAME, as_frame=True), expected)
    assert list(expected.columns[1:]) == ["predicted", *(f"probability_{x}" for x in "abc")]


def test_scores(language_model: Pretrained) -> None:
    scores = language_model.score(LIST)
    got = language_model.score(FRAME, as_frame=True)
    assert list(got.columns) == ["id", "log_likelihood", "bases", "bits_per_base"]
    np.testing.assert_array_equal(got["log_likelihood"], scores.log_likelihood)
    np.testing.assert_array_equal(got["bits_per_base"], scores.bits_per_base)
    assert got["bases"].tolist() == [8, 9, 2]


ROWS: dict[str, tuple[Any, list[Any]]] = {
    "list": (LIST, [0, 1, 2]),
    "generator": ((text for text in LIST), [0, 1, 2]),
    "names": (dict(zip("xyz", LIST, strict=True)), ["x", "y", "z"]),
    "column": (FRAME["Seq"], [7, 3, 5]),
    "Arrow": (pa.table({"seq": LIST}), [0, 1, 2]),
}


@pytest.mark.parametrize("name", ROWS)
def test_the_index_of_other_containers(language_model: Pretrained, name: str) -> None:
    inputs, index = ROWS[name]
    got = language_model.score(inputs, as_frame=True)
    assert got.index.tolist() == index
    assert list(got.columns) == ["log_likelihood", "bases", "bits_per_base"]


@pytest.mark.parametrize(
    "make", [pa.Table.from_pandas, lambda frame: pa.Table.from_pandas(frame).to_batches()[0]]
)
def test_ids_of_tables_without_an_index(language_model: Pretrained, make: Any) -> None:
    got = language_model.score(make(FRAME), as_frame=True)
    assert got["id"].tolist() == ["p", "q", "r"]


def test_another_column(language_model: Pretrained, classifier: Pretrained) -> None:
    other = FRAME["other"].tolist()
    np.testing.assert_array_equal(
        language_model.embed(FRAME, column="other"), language_model.embed(other)
    )
    assert language_model.score(FRAME, column="other").bases.tolist() == [1, 1, 1]
    probabilities = classifier.predict(FRAME, column="other").probabilities
    np.testing.assert_array_equal(probabilities, classifier.predict(other).probabilities)


@pytest.mark.parametrize(
    ("inputs", "settings", "message"),
    [
        (FRAME, {"column": "othr"}, r"DataFrame has no column 'othr'; .*; did you mean 'other'\?"),
        (LIST, {"column": "seq"}, r"column='seq' names a column of a table, got list"),
        (FRAME, {"as_frame": "yes"}, "as_frame must be True or False, got 'yes'"),
        (FRAME[["id"]], {}, r"has no column of sequences \(sequence, seq, .*; it has id\. Rename"),
        (FRAME, {"column": "id"}, r"column 'id', row 0 \(0-based\), position 0"),
    ],
)
def test_mistakes(
    language_model: Pretrained, inputs: Any, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        language_model.embed(inputs, **settings)


def test_without_pandas_the_extra_is_named(
    language_model: Pretrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'dnamamba\[io\]'"):
        language_model.embed(LIST, as_frame=True)
    assert language_model.embed(LIST).shape == (3, 32)


class Polars:
    """As polars' ``DataFrame``: columns by name, rows by number alone."""

    columns = ("ID", "seq")

    def __getitem__(self, name: str) -> list[str]:
        return FRAME["id" if name == "ID" else "Seq"].tolist()


def test_a_table_of_another_library(language_model: Pretrained) -> None:
    got = language_model.embed(Polars(), as_frame=True)
    assert got["id"].tolist() == ["p", "q", "r"]
    assert got.index.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(got.iloc[:, 1:], language_model.embed(LIST))


class Plan:
    """As polars' ``LazyFrame``: columns by name, and no row."""

    columns = ("sequence",)

    def collect(self) -> pd.DataFrame:
        return FRAME


def test_a_plan_of_a_table_is_to_be_collected(language_model: Pretrained) -> None:
    with pytest.raises(ValueError, match=r"a Plan holds no rows yet; give its collect\(\)"):
        language_model.embed(Plan())


def test_the_first_of_the_known_names_is_taken() -> None:
    assert known_name(["DNA", "Seq", "seq"], ("sequence", "seq", "dna")) == "Seq"
    assert known_name(["x", 3], ("sequence",)) is None
    assert picked(["a", "b"], ("a",), "sequences", "t", "b", "name it") == "b"
