"""``dnamamba.probe``: what scikit-learn makes of the same vectors and folds by hand."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import matthews_corrcoef, roc_auc_score
from sklearn.preprocessing import StandardScaler

import dnamamba
from dnamamba.alphabet import Tokenizer
from dnamamba.config import BiMambaConfig, MambaConfig, SymmetricBiMambaConfig
from dnamamba.model import LanguageModel
from dnamamba.model.classifier import Classifier
from dnamamba.model.families import build
from dnamamba.model.heads import HeadConfig
from dnamamba.probing.folds import divided
from dnamamba.probing.probe import Probe
from dnamamba.probing.records import listed_records
from dnamamba.probing.result import FILES
from dnamamba.probing.rows import Row

Table = tuple[list[str], list[str]]
QUICK: dict[str, Any] = {"learners": ["linear"], "kmers": [], "folds": 3, "random_weights": False}


def row(found: Probe, features: str, learner: str = "linear", layer: Any = -1) -> Row:
    key = (features, learner, layer)
    return next(row for row in found.rows if (row.features, row.learner, row.layer) == key)


def test_by_hand(folder: str, table: Table) -> None:
    X, y = table
    found = row(dnamamba.probe(folder, X, y, **QUICK), folder)
    fold = divided(listed_records(X, y, None, None), 3, 0, True).fold
    vectors = dnamamba.load(folder).embed(X, both_strands=True)
    truth = np.array(y) == "gc"
    for number, figures in enumerate(found.folds):
        test = fold == number
        scaler = StandardScaler().fit(vectors[~test])
        learner = LogisticRegression(tol=1e-8, max_iter=1000)
        learner.fit(scaler.transform(vectors[~test]), truth[~test])
        said = learner.predict_proba(scaler.transform(vectors[test]))[:, 1]
        assert figures["auroc"] == pytest.approx(roc_auc_score(truth[test], said), abs=1e-6)
        assert figures["mcc"] == pytest.approx(matthews_corrcoef(truth[test], said > 0.5), abs=1e-6)
        assert figures["accuracy"] == pytest.approx(np.mean((said > 0.5) == truth[test]))


def test_random_weights_are_those_of_the_seed(folder: str, table: Table, tmp_path: Path) -> None:
    settings = {**QUICK, "random_weights": True}
    found = dnamamba.probe(folder, *table, seed=3, **settings)
    model, tokenizer = dnamamba.load(folder)
    torch.manual_seed(3)
    model.backbone.load_state_dict(build(model.config).state_dict())
    same = dnamamba.probe((model, tokenizer), *table, seed=3, **QUICK)
    assert row(found, "random weights").folds == row(same, "model").folds
    assert row(found, "random weights").folds != row(found, folder).folds


def test_columns_and_their_order(folder: str, table: Table) -> None:
    found = dnamamba.probe(folder, *table, folds=2, kmers=(1, 2), layers="all")
    lines = [(row.features, row.layer, row.learner) for row in found.rows]
    layers = [
        (name, layer, learner)
        for name in ("random weights", folder)
        for layer in (0, 1, -1)
        for learner in ("linear", "forest")
    ]
    assert lines == [("k-mers", None, "linear"), ("k-mers", None, "forest"), *layers]
    assert found.metrics[0] == "mcc"
    kmers = found.rows[0]
    assert len(kmers.chosen) == 2
    assert {choice["k"] for choice in kmers.chosen} <= {1, 2}
    mean, deviation, folds = kmers.spread("auroc")
    assert mean is not None
    assert mean > 0.7
    assert deviation is not None
    assert folds == 2
    assert "| final | forest" in str(found)


def test_layers_are_those_of_embed(folder: str, table: Table) -> None:
    both = dnamamba.probe(folder, *table, layers=[0, -1], **QUICK)
    alone = dnamamba.probe(folder, *table, layers=0, **QUICK)
    assert row(both, folder, layer=0).folds == row(alone, folder, layer=0).folds
    assert row(both, folder, layer=0).folds != row(both, folder).folds


def test_one_value_for_several(folder: str, table: Table) -> None:
    one = dnamamba.probe(folder, *table, layers=0, learners="linear", kmers=2, folds=2)
    several = dnamamba.probe(
        folder, *table, layers=np.arange(1), learners=["linear"], kmers=[2], folds=2
    )
    assert one == several


def test_nothing_depends_on_the_container_or_the_loader(folder: str, table: Table) -> None:
    X, y = table
    one = dnamamba.probe(folder, X, y, **QUICK)
    frame = pd.DataFrame({"dna": X, "kind": y})
    two = dnamamba.probe(dnamamba.load(folder), frame["dna"], frame["kind"], **QUICK)
    assert row(one, folder).folds == row(two, "model").folds


def test_numbers(folder: str, table: Table) -> None:
    X, _ = table
    share = [(bases.count("A") + bases.count("T")) / len(bases) for bases in X]
    found = dnamamba.probe(folder, X, share, kmers=[1, 2], folds=3, random_weights=False)
    assert found.kind == "number"
    assert found.metrics == ("pearson", "spearman", "r2", "mse")
    assert row(found, "k-mers", layer=None).spread("pearson")[0] > 0.95  # type: ignore[operator]
    assert "Pearson's r" in str(found)
    assert "labels are a measure, 0" in str(found)


def test_groups_stay_in_one_fold(folder: str, table: Table) -> None:
    X, y = table
    groups = np.arange(60) // 4
    found = dnamamba.probe(folder, X, y, groups, **QUICK)
    assert "60 records in 15 groups, each in one fold" in str(found)
    found = dnamamba.probe(folder, X, y, "none", **QUICK)
    assert "- 60 records; at 30, gc 30" in str(found)


@pytest.mark.parametrize("config", [BiMambaConfig, SymmetricBiMambaConfig])
def test_every_family(config: Any, table: Table) -> None:
    model = LanguageModel(config(d_model=8, n_layers=1, d_state=4))
    settings = {**QUICK, "random_weights": True}
    found = dnamamba.probe((model, Tokenizer()), *table, pooling="max", **settings)
    assert [row.features for row in found.rows] == ["random weights", "model"]


def test_of_a_fine_tuned_model_the_backbone_is_probed(table: Table) -> None:
    config = MambaConfig(d_model=8, n_layers=1, d_state=4)
    model = Classifier(config, HeadConfig(kind="binary", labels=("x", "y")))
    with pytest.warns(UserWarning, match=r"fine-tuned \(labels: x, y\)") as told:
        found = dnamamba.probe((model, Tokenizer()), *table, **QUICK)
    assert told[0].filename == __file__
    assert "figures are too good" in str(found)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = dnamamba.probe((model.backbone, Tokenizer()), *table, **QUICK)
    assert row(plain, "model").folds == row(found, "model").folds


def test_the_model_is_given_back(folder: str, table: Table) -> None:
    model, tokenizer = dnamamba.load(folder)
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    dnamamba.probe((model, tokenizer), *table, **{**QUICK, "random_weights": True})
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_files_and_frame(folder: str, table: Table, tmp_path: Path) -> None:
    found = dnamamba.probe(folder, *table, folds=2, kmers=[2])
    found.write(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES)
    frame = pd.DataFrame(found.columns())
    read = pd.read_csv(tmp_path / "out" / "probe.csv")
    assert list(read.columns) == list(frame.columns)
    assert np.allclose(read["mean"], frame["mean"], atol=1e-6)
    content = json.loads((tmp_path / "out" / "probe.json").read_text())
    assert [row["features"] for row in content["rows"]] == [row.features for row in found.rows]
    assert content["rows"][0]["folds"][1]["mcc"] == found.rows[0].folds[1]["mcc"]
    assert (tmp_path / "out" / "probe.md").read_text() == f"{found}\n"


def test_pictures_of_columns_and_of_layers(folder: str, table: Table, tmp_path: Path) -> None:
    for name, layers in (("dots", -1), ("lines", [0, 1, -1])):
        found = dnamamba.probe(folder, *table, folds=2, kmers=[2], layers=layers)
        found.plot(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"layers": 2}, "layers must be 0 to 1"),
        ({"layers": -2}, "layers must be 0 to 1"),
        ({"layers": "first"}, "or all; got 'first'"),
        ({"layers": []}, "layers must name one or more"),
        ({"pooling": None}, "pooling must be"),
        ({"both_strands": "yes"}, "both_strands must be True or False"),
        ({"learners": ["svm"]}, "learners must be of linear, forest"),
        ({"learners": []}, "learners must name one or more"),
        ({"kmers": [0]}, "kmers must be 1 to 10"),
        ({"folds": 1}, "folds must be at least 2"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"groups": "some"}, "groups must be one a sequence"),
        ({"device": "gpu"}, "device must be"),
    ],
)
def test_wrong_arguments(folder: str, table: Table, settings: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        dnamamba.probe(folder, *table, **{**QUICK, **settings})


@pytest.mark.parametrize(
    ("model", "problem"),
    [("no-such-model", "there is no no-such-model"), (3, "model must be a name or folder")],
)
def test_no_model(model: Any, problem: str, table: Table) -> None:
    with pytest.raises(ValueError, match=problem):
        dnamamba.probe(model, *table)


def test_weights_that_are_not_finite(folder: str, table: Table) -> None:
    model, tokenizer = dnamamba.load(folder)
    torch.nn.init.constant_(model.backbone.embedding.weight, torch.nan)
    with pytest.raises(ValueError, match="vectors of model behind layer -1 are not finite"):
        dnamamba.probe((model, tokenizer), *table, **QUICK)


def test_letters_that_the_model_refuses(folder: str, table: Table) -> None:
    X, y = table
    with pytest.raises(ValueError, match=r"sequences\[1\].*'!'"):
        dnamamba.probe(folder, [X[0], f"{X[1]}!", *X[2:]], y, **QUICK)


def test_sequences_that_kmers_do_not_tell_apart(folder: str) -> None:
    X = ["N" * n for n in range(20, 40)]
    found = dnamamba.probe(folder, X, ["a", "b"] * 10, "none", folds=2, kmers=[3])
    assert found.rows[0].spread("accuracy")[0] == 0.5


def test_without_scikit_learn_the_extra_is_named(
    folder: str, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn.linear_model", None)
    with pytest.raises(ModuleNotFoundError, match=r"A probe needs sklearn: .*dnamamba\[benchmark"):
        dnamamba.probe(folder, *table)
