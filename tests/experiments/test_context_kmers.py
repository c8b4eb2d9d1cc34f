"""The columns of canonical k-mers, and the baseline of the labels on species of two words each."""

import math
from collections.abc import Callable
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dnamamba.alphabet import complement_bases

Script = Callable[[str], ModuleType]


@pytest.mark.parametrize("k", [2, 4])
def test_canonical_words(script: Script, k: int) -> None:
    words = [bytes(word) for word in product(b"ACGT", repeat=k)]
    canonical = [i for i, word in enumerate(words) if word <= complement_bases(word)[::-1]]
    assert script("context_kmers").canonical_words(k).tolist() == canonical


def test_species_of_other_letters_are_told_apart(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = script("context_kmers")
    plan: Any = script("context_plan")
    config = tmp_path / "species.yaml"
    config.write_text(
        "data:\n  init_args:\n"
        "    species: {rich: rich.fa, poor: poor.fa}\n"
        "    length: 64\n    global_batch_size: 2\n    windows: {stride: 16}\n"
        "    split: {guard: 0, test: {contigs: [rich.test, poor.test]}}\n    balanced: true\n"
    )
    random = np.random.default_rng(0)
    for name, letters in (("rich", b"GGC"), ("poor", b"AAT")):
        text = "".join(
            f">{name}.{part}\n{bytes(random.choice([*letters], n).tolist()).decode()}\n"
            for part, n in (("train", 4000), ("test", 640))
        )
        (tmp_path / f"{name}.fa").write_text(text)
    monkeypatch.setattr(module, "CONFIG", config)
    monkeypatch.setattr(module, "LENGTHS", (2, 3))
    monkeypatch.setattr(module, "STRENGTHS", (1.0,))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DNAMAMBA_CACHE", str(tmp_path / "cache"))
    context = plan.Context(tmp_path, tmp_path, 64 * 200)
    row = module.kmers(plan.KmersJob(64), context)
    assert row["right"] == row["windows"] == {"rich": 10, "poor": 10}
    assert row["samples"]["train"] == 200
    assert math.isclose(max(row["tried"].values()), 1.0)
