"""Dataclasses to plain JSON types and back."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dnamamba.data import GenomeSplit, Part
from dnamamba.data.labelled import Split
from dnamamba.data.modules.genome import GenomeDataModule
from dnamamba.data.modules.sequences import LabelledSequenceDataModule
from dnamamba.data.modules.species import SpeciesDataModule
from dnamamba.data.modules.variants import VariantDataModule
from dnamamba.data.variants.splits import VariantSplit
from dnamamba.settings import plain, typed
from dnamamba.training.tuning import TuningConfig

SPLIT = GenomeSplit(validation=Part(contigs=("a", "b")), guard=7)


def test_what_is_stored_is_plain_json() -> None:
    stored = plain({"split": SPLIT, "paths": [Path("a.fa")], "none": None, "pair": (1, 2.5)})
    assert stored["split"]["validation"] == {"contigs": ["a", "b"], "bed": None, "fraction": 0.0}
    assert stored["paths"] == ["a.fa"]
    assert stored["pair"] == [1, 2.5]
    assert json.loads(json.dumps(stored)) == stored
    with pytest.raises(TypeError):
        plain({"object": object()})
    with pytest.raises(TypeError):
        plain(GenomeSplit)


def test_it_comes_back() -> None:
    assert typed(GenomeSplit, plain(SPLIT)) == SPLIT
    assert typed(GenomeSplit, SPLIT) is SPLIT
    tuning = TuningConfig(lora={"rank": 2})  # type: ignore[arg-type]
    assert typed(TuningConfig, plain(tuning)) == tuning
    with pytest.raises(TypeError, match="gaurd"):
        typed(GenomeSplit, {"gaurd": 3})


@dataclass(frozen=True)
class Inner:
    n: int = 3


def test_null_is_the_default() -> None:
    assert typed(Inner, None) == Inner()
    assert typed(GenomeSplit, {"validation": None, "test": {"fraction": 0.5}}) == GenomeSplit(
        test=Part(fraction=0.5)
    )
    assert typed(VariantSplit, {"test": None}) == VariantSplit()
    assert typed(TuningConfig, {"lora": None}) == TuningConfig()


NESTED: list[tuple[Any, dict[str, Any], list[str]]] = [
    (GenomeDataModule, {"genomes": "g.fa"}, ["tokenizer", "windows", "split"]),
    (SpeciesDataModule, {"species": {"a": "a.fa", "b": "b.fa"}}, ["tokenizer", "windows", "split"]),
    (
        LabelledSequenceDataModule,
        {"files": {"train": "t.csv"}},
        ["fields", "labels", "split", "length", "tokenizer"],
    ),
    (
        VariantDataModule,
        {"files": {"genome": "g.fa"}},
        ["fields", "labels", "split", "checks", "tokenizer"],
    ),
]


@pytest.mark.parametrize(("kind", "required", "nested"), NESTED)
def test_a_data_module_takes_null_for_any_nested_setting(
    kind: Any, required: dict[str, Any], nested: list[str]
) -> None:
    default = kind(**required)
    nulls = kind(**required, **dict.fromkeys(nested))
    # "No split" of labelled sequences: by default a tenth each is held out.
    apart = {"split": plain(Split.none())} if kind is LabelledSequenceDataModule else {}
    assert dict(nulls.hparams) == dict(default.hparams) | apart
    assert kind(**default.hparams).hparams == default.hparams
    assert json.loads(json.dumps(dict(default.hparams))) == dict(default.hparams)
