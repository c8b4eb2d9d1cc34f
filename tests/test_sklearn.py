"""``DnaEmbedder`` in scikit-learn: pipelines, searches, pickles, and scikit-learn's own checks."""

import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data

import dnamamba
from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel
from dnamamba.sklearn import DnaEmbedder

X = ["ACGTACGT", "GGGTTTAAAC", "ACGNNACG", "TTTT", "GATTACAGATTACA", "CCCCGGGG"]
Y = [0, 1, 0, 1, 0, 1]

TEXT = "X is text: this check fits numbers, which are refused"
EXPECTED = dict.fromkeys(
    (
        "check_fit_score_takes_y", "check_estimators_overwrite_params",
        "check_dont_overwrite_parameters", "check_estimators_fit_returns_self",
        "check_readonly_memmap_input", "check_n_features_in_after_fitting",
        "check_positive_only_tag_during_fit", "check_estimators_dtypes", "check_dtype_object",
        "check_pipeline_consistency",
        "check_estimators_nan_inf", "check_estimators_pickle",
        "check_f_contiguous_array_estimator", "check_transformer_data_not_an_array",
        "check_transformer_general", "check_methods_sample_order_invariance",
        "check_methods_subset_invariance", "check_fit2d_1sample", "check_fit2d_1feature",
        "check_dict_unchanged", "check_fit_idempotent", "check_fit_check_is_fitted",
        "check_n_features_in", "check_fit2d_predict1d",
    ),
    TEXT,
)  # fmt: skip
EXPECTED["check_estimator_sparse_array"] = (
    "X may have one dimension, and scikit-learn makes a sparse array of one that has no such format"
)


class OnNumbers(DnaEmbedder):
    """The same of rows of numbers, spelled in bases: what the checks that fit numbers check."""

    def fit(self, X: Any, y: Any = None) -> Any:
        rows = validate_data(self, X, reset=True)
        super().fit(spelled(rows))
        validate_data(self, X, reset=True)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = False
        return tags

    def transform(self, X: Any) -> Any:
        if not hasattr(self, "n_features_in_"):
            return super().transform(X)
        rows = validate_data(self, X, reset=False)
        return super().transform(spelled(rows))


def spelled(rows: np.ndarray) -> list[str]:
    bits = np.unpackbits(np.ascontiguousarray(rows, np.float32).view(np.uint8), axis=1)
    letters = bits[:, ::2] * 2 + bits[:, 1::2]
    return ["".join("ACGT"[i] for i in row) for row in letters]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    model = LanguageModel(MambaConfig(d_model=8, n_layers=2, d_state=4))
    return str(checkpoint.save(tmp_path_factory.mktemp("tiny") / "model", model, Tokenizer()))


def statuses(estimator: Any, **settings: Any) -> dict[str, set[str]]:
    """How each check ends -> the checks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = check_estimator(estimator, on_fail=None, on_skip=None, **settings)
    by: dict[str, set[str]] = {}
    for check in done:
        by.setdefault(check["status"], set()).add(check["check_name"])
    return by


def test_the_checks_of_scikit_learn(folder: str) -> None:
    by = statuses(DnaEmbedder(folder), expected_failed_checks=EXPECTED)
    assert "failed" not in by, by["failed"]
    assert by["xfail"] == set(EXPECTED)
    assert len(by["passed"]) > 15


def test_the_checks_that_fit_numbers_pass_on_numbers_spelled_in_bases(folder: str) -> None:
    by = statuses(OnNumbers(folder))
    assert "failed" not in by, by["failed"]
    assert set(EXPECTED) <= by["passed"]


@pytest.mark.parametrize("layer", [0, -1])
@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_vectors_are_those_of_embed(folder: str, layer: int, pooling: Any) -> None:
    vectors = DnaEmbedder(folder, layer=layer, pooling=pooling).fit_transform(X)
    model = dnamamba.load(folder)
    expected = model.embed(X, layer=layer, pooling=pooling, both_strands=True)
    assert vectors.dtype == np.float32
    assert vectors.shape == (6, 8)
    assert np.array_equal(vectors, expected)


def test_every_container_of_one_column_gives_the_same(folder: str) -> None:
    embedder = DnaEmbedder(folder)
    expected = embedder.fit_transform(X)
    series = pd.Series(X, name="dna")
    columns = [np.array(X), np.array(X, dtype=object)[:, None], [[x] for x in X], series]
    for column in [*columns, series.to_frame(), tuple(X), [x.encode() for x in X]]:
        assert np.array_equal(clone(embedder).fit(column).transform(column), expected)


def test_frames_out_keep_the_index(folder: str) -> None:
    frame = pd.DataFrame({"dna": X}, index=list("uvwxyz"))
    embedder = DnaEmbedder(folder).set_output(transform="pandas").fit(frame)
    vectors = embedder.transform(frame)
    assert list(vectors.index) == list("uvwxyz")
    assert list(vectors.columns) == list(embedder.get_feature_names_out())
    assert list(vectors.columns)[:2] == ["dnaembedder0", "dnaembedder1"]
    assert list(embedder.feature_names_in_) == ["dna"]
    with pytest.raises(ValueError, match="feature names should match"):
        embedder.transform(frame.rename(columns={"dna": "rna"}))


def test_a_search_over_layers_in_a_pipeline(folder: str) -> None:
    steps = [("embed", DnaEmbedder(folder)), ("scale", StandardScaler())]
    pipeline = Pipeline([*steps, ("learn", LogisticRegression())])
    search = GridSearchCV(pipeline, {"embed__layer": [0, 1, -1]}, cv=2).fit(X, Y)
    assert search.best_params_["embed__layer"] in (0, 1, -1)
    assert search.predict(X).shape == (6,)


def test_beside_other_columns(folder: str) -> None:
    frame = pd.DataFrame({"dna": X, "length": [float(len(x)) for x in X]})
    both = ColumnTransformer(
        [("dna", DnaEmbedder(folder), "dna"), ("rest", StandardScaler(), ["length"])]
    )
    assert both.fit_transform(frame).shape == (6, 9)
    assert len(both.get_feature_names_out()) == 9


def test_a_pickle_holds_no_weights(folder: str) -> None:
    embedder = DnaEmbedder(folder, layer=0).fit(X)
    text = pickle.dumps(embedder)
    assert len(text) < 1000
    assert np.array_equal(pickle.loads(text).transform(X), embedder.transform(X))
    assert clone(embedder).get_params() == embedder.get_params()


def test_a_model_that_changes_is_read_anew(folder: str, tmp_path: Path) -> None:
    model, tokenizer = dnamamba.load(folder)
    place = str(checkpoint.save(tmp_path / "model", model, tokenizer))
    embedder = DnaEmbedder(place).fit(X)
    before = embedder.transform(X)
    torch.nn.init.normal_(model.backbone.embedding.weight)
    checkpoint.save(tmp_path / "model", model, tokenizer, overwrite=True)
    assert not np.array_equal(embedder.transform(X), before)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"layer": 2}, "layer must be 0 to 1"),
        ({"layer": "0"}, "layer must be a whole number"),
        ({"pooling": "median"}, "pooling must be"),
        ({"both_strands": 1}, "both_strands must be True or False"),
        ({"device": "gpu"}, "device must be"),
        ({"model": "no-such-model"}, "there is no no-such-model"),
        ({"model": 3}, "model must be a path"),
    ],
)
def test_wrong_parameters_are_told_by_fit(folder: str, settings: Any, problem: str) -> None:
    embedder = DnaEmbedder(**{"model": folder, **settings})
    with pytest.raises(ValueError, match=problem):
        embedder.fit(X)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (["ACGT", ""], r"sequences\[1\] is empty"),
        (["ACGT", None], r"sequences\[1\] must be a string"),
        (["ACGT", "NA"], "missing value"),
        (["ACGT", "AC!T"], r"sequences\[1\]"),
        ("ACGT", "one string"),
        ([], "at least one sequence"),
        (np.zeros((3, 1)), "X must hold sequences as text, got an array of float64"),
        (np.array([X, X]), "X has 6 features, but DnaEmbedder is expecting 1"),
        (pd.DataFrame({"a": X, "b": X}), "X has 2 features"),
    ],
)
def test_what_is_no_column_of_sequences_is_refused(folder: str, given: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        DnaEmbedder(folder).fit(given)


def test_fit_comes_first(folder: str) -> None:
    with pytest.raises(NotFittedError):
        make_pipeline(DnaEmbedder(folder))[0].transform(X)


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        "import sys; sys.modules['sklearn.base'] = None\n"
        "try: import dnamamba.sklearn\n"
        "except ModuleNotFoundError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "DnaEmbedder needs sklearn: pip install 'dnamamba[benchmark]'" in done.stdout
