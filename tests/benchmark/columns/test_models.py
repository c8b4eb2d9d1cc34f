"""Any model in any column, on sequences and on variants: causal, both ways, and of others."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmark_cases import tuned, variant_task, write_variants
from published import FOREIGN

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.benchmark.columns import COLUMNS, job_of, kmers, measured
from dnamamba.benchmark.columns.data import data_of
from dnamamba.benchmark.columns.features import features, new_reader
from dnamamba.benchmark.jobs.job import Job
from dnamamba.benchmark.jobs.recipe import RATE, Recipe
from dnamamba.benchmark.jobs.work import Work
from dnamamba.benchmark.tasks.task import Task
from dnamamba.checkpoint.once import opened
from dnamamba.config import MambaConfig
from dnamamba.inference.variant_scores import score_variants
from dnamamba.model import LanguageModel
from dnamamba.model.strand import reverse_complement
from dnamamba.probing import learners


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learners, "TREES", 5)
    monkeypatch.setattr(kmers, "LENGTHS", (2,))


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(11)
    model = LanguageModel(MambaConfig(d_model=16, n_layers=1, d_state=4))
    return checkpoint.save(tmp_path_factory.mktemp("causal") / "model", model, Tokenizer())


@pytest.fixture
def folder(causal: Path, models: Path) -> Callable[[str], str]:
    ours = {"causal": causal, "both-ways": models / "one"}
    return lambda name: str(ours.get(name, FOREIGN / name))


@pytest.fixture
def brief(work: Work) -> Work:
    changes = {"steps.least": 2, "steps.most": 2, "validations": 1, RATE: 1e-3}
    return replace(work, recipe=work.recipe.changed(changes))


@pytest.fixture
def variants(tmp_path: Path) -> Path:
    folder = tmp_path / "variants"
    folder.mkdir()
    write_variants(folder)
    return folder


@pytest.mark.parametrize("name", ["causal", "ph-tiny", "plant-tiny"])
def test_sequences(
    name: str, folder: Callable[[str], str], brief: Work, task: Task, root: Path
) -> None:
    for column in ("random", "scratch", "frozen", "model"):
        row = tuned(job_of(task, column, root, brief.recipe, folder(name)), brief)
        assert -1 <= row["figures"]["mcc"] <= 1
        assert 0 <= row["figures"]["auroc"] <= 1


@pytest.mark.parametrize("name", ["causal", "both-ways", "ps-tiny"])
def test_variants(name: str, folder: Callable[[str], str], brief: Work, variants: Path) -> None:
    task = variant_task()
    for column, kind in COLUMNS.items():
        model = folder(name) if kind.per_model else None
        row = tuned(job_of(task, column, variants, brief.recipe, model), brief)
        assert 0 <= row["figures"]["auroc"] <= 1
        assert row["metric"] == "auroc"
        left_out = column == "zero_shot" and name != "causal"  # indels cannot be masked
        assert sum(row["samples"].values()) == (79 if left_out else 99)


def test_columns_of_variants_alone(task: Task, root: Path, variants: Path) -> None:
    assert not COLUMNS["zero_shot"].is_for(task, root)
    assert COLUMNS["zero_shot"].is_for(variant_task(), variants)


def test_without_the_training_part_nothing_is_fine_tuned(task: Task, root: Path) -> None:
    (root / "train.csv").unlink()
    fitting = [name for name, column in COLUMNS.items() if column.is_for(task, root)]
    assert fitting == ["kmers", "random", "frozen"]


def test_frozen_without_the_training_part(
    task: Task, root: Path, brief: Work, models: Path
) -> None:
    (root / "train.csv").unlink()
    row = measured(job_of(task, "frozen", root, brief.recipe, str(models / "one")), brief)
    assert row["samples"] == {"train": 20, "validation": 4, "test": 24}


@pytest.mark.parametrize("name", ["causal", "ps-tiny"])
def test_features_of_variants(
    name: str, folder: Callable[[str], str], work: Work, variants: Path
) -> None:
    """As a ``VariantClassifier`` makes them of a padded batch, averaged over the strands."""
    model, tokenizer, *_ = opened(folder(name))
    data = data_of(job_of(variant_task(), "frozen", variants, work.recipe, folder(name)), tokenizer)
    reader = new_reader(model.config, data)
    reader.backbone.load_state_dict(model.backbone.state_dict())
    made = features(reader, tokenizer, data, "test", "cpu")
    batch = data.dataset("test")[np.arange(len(made.vectors))]
    tokens, lengths = batch["tokens"], batch["lengths"]
    complement = torch.tensor(list(tokenizer.complement_table), dtype=torch.uint8)
    turned = reverse_complement(tokens.flatten(0, 1), lengths.flatten(), complement)
    with torch.no_grad():
        one = reader.features(tokens, lengths, batch["position"])
        two = reader.features(turned.view_as(tokens), lengths, batch["right"])
    torch.testing.assert_close(
        torch.from_numpy(made.vectors), (one + two) / 2, rtol=1e-4, atol=1e-4
    )
    assert made.labels.tolist() == batch["label"].tolist()


def test_zero_shot_by_hand(causal: Path, work: Work, variants: Path) -> None:
    job: Job = job_of(variant_task(), "zero_shot", variants, work.recipe, str(causal))
    row = measured(job, work)
    model, tokenizer, *_ = opened(str(causal))
    data = data_of(job, tokenizer)
    scores = score_variants(
        model, tokenizer, data.genome, data.variants("test"), context=768, flank=255
    )
    ratios = np.array([score.llr for score in scores])
    label = data.dataset("test").targets
    pairs = [(x < y) + (x == y) / 2 for x in ratios[label == 1] for y in ratios[label == 0]]
    assert row["figures"]["auroc"] == pytest.approx(np.mean(pairs), abs=1e-6)


def test_zero_shot_of_numbers(causal: Path, variants: Path) -> None:
    task = variant_task()
    text = (variants / "variants.vcf").read_text().replace("yes", "1.5").replace("no", "0.5")
    (variants / "variants.vcf").write_text(text)
    task.data["init_args"]["labels"] = {"kind": "number"}
    recipe = Recipe.read()
    job = job_of(task, "zero_shot", variants, recipe, str(causal))
    with pytest.raises(ValueError, match="own/variants: ratios tell two classes apart"):
        measured(job, Work(recipe, "cpu", variants, variants))


@pytest.mark.gpu
def test_a_gpu_is_left_as_it_was(
    folder: Callable[[str], str], brief: Work, variants: Path, task: Task, root: Path
) -> None:
    on_gpu = replace(brief, device="cuda:0")
    before = torch.cuda.memory_allocated()  # what the tests before this one have left
    for name in ("causal", "ps-tiny"):
        for column in ("random", "scratch", "frozen", "model", "zero_shot"):
            of = (variant_task(), variants) if column == "zero_shot" else (task, root)
            job = job_of(of[0], column, of[1], brief.recipe, folder(name))
            row = tuned(job, on_gpu)
            assert 0 <= row["figures"]["auroc"] <= 1
            if column == "frozen":
                on_cpu = measured(job, brief)["figures"]["auroc"]
                assert row["figures"]["auroc"] == pytest.approx(on_cpu, abs=0.02)
            # What libraries keep for themselves: of an H200 cuBLAS 32 MiB to work in.
            assert torch.cuda.memory_allocated() - before <= 1 << 25
