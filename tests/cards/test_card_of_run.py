"""``model/README.md`` of runs as users start them."""

import csv
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_cases import config

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.cards import facts
from dnamamba.cards.front import divided
from dnamamba.cli import main
from dnamamba.model.language_model import LanguageModel

PHIX = Path("data/samples/phix174.fa")
CODING = "data/samples/labelled/coding.csv"


def read(run: Path) -> tuple[dict[str, Any], str]:
    return divided((run / "model" / "README.md").read_text())


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read from end to end for a checksum."""
    names: list[str] = []
    digest = hashlib.file_digest

    def watched(file: Any, kind: str) -> Any:
        names.append(Path(file.name).name)
        return digest(file, kind)

    monkeypatch.setattr(facts.hashlib, "file_digest", watched)
    return names


def test_data_recipe_figures_and_licence(tmp_path: Path, hashed: list[str]) -> None:
    # A learning rate at which the first validation is the best.
    optimizer = {"lr": 0.3, "warmup_steps": 0, "min_lr_ratio": 1.0}
    steps = {"max_steps": 2, "val_check_interval": 1}
    windows = {"windows": {"reverse_complement": False}}  # which is on unless it is set off
    settings = config(tmp_path, data=windows, model={"optimizer": optimizer}, trainer=steps)
    told = {"card": {"license": "mit", "about": "To try it out."}}
    Path(settings).write_text(Path(settings).read_text() + yaml.safe_dump(told))
    assert main(["fit", "-c", settings]) == 0
    fields, body = read(tmp_path / "run")
    assert body.startswith("# run\n\nTo try it out.\n\nA causal Mamba (`mamba`: d_model 8,")
    assert (fields["license"], fields["datasets"]) == ("mit", ["phix174"])
    digest = hashlib.sha256(PHIX.read_bytes()).hexdigest()
    size = f"{PHIX.stat().st_size:,}"
    assert f"| genome | {PHIX} | 5,386 bases in 1 contig | {size} | `{digest}` |" in body
    assert hashed == ["phix174.fa"]
    assert "\n- validation: " in body

    (text,) = re.findall(r"```yaml\n(.*?)```", body, re.DOTALL)
    recipe = yaml.safe_load(text)
    assert recipe["model"]["optimizer"]["lr"] == 0.3
    assert recipe["model"]["optimizer"]["warmup_steps"] == 0
    assert recipe["data"]["length"] == 64
    assert recipe["data"]["windows"]["reverse_complement"] is False
    assert recipe["trainer"]["max_steps"] == 2
    assert str(tmp_path) not in body

    stored = json.loads((tmp_path / "run" / "model" / "config.json").read_text())["metadata"]
    with (tmp_path / "run" / "metrics.csv").open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["validation/loss"]]
    best = min(rows, key=lambda row: float(row["validation/bits_per_base"]))
    assert (best["step"], len(rows)) == ("1", 2)
    assert "| validation, step 1, the best bits_per_base | |" in body
    bits = float(best["validation/bits_per_base"])
    assert stored["validation/bits_per_base"] == pytest.approx(bits, rel=1e-6)
    assert f"| bits per base | {bits:.4f} |\n" in body
    (index,) = fields["model-index"]
    named = {m["type"]: m["value"] for m in index["results"][0]["metrics"]}
    assert named["bits_per_base"] == pytest.approx(bits, abs=1e-6)
    assert "\nSteps: 2; bases read: 512 bp; time: " in body
    assert main(["test", "-c", settings]) == 0  # one configuration serves all commands


def finetune(folder: Path, **trainer: Any) -> list[str]:
    content: dict[str, Any] = {
        "run_dir": str(folder / "fine"),
        "data": {
            "class_path": "dnamamba.data.modules.sequences.LabelledSequenceDataModule",
            "init_args": {
                "files": {"train": str(folder / "coding.csv")},
                "fields": {"group": "group"},
                "global_batch_size": 16,
            },
        },
        "model": {
            "class_path": "dnamamba.training.finetune.ClassificationModule",
            "init_args": {"pretrained": str(folder / "base")},
        },
        "trainer": {
            **{"accelerator": "cpu", "devices": 1, "logger": False, "limit_val_batches": 1},
            **{"val_check_interval": 1, "check_val_every_n_epoch": None},
            **trainer,
        },
    }
    path = folder / "fine.yaml"
    path.write_text(yaml.safe_dump(content))
    return ["fit", "-c", str(path), "--ckpt_path", "last"]


def test_a_fine_tuned_model_names_its_base_also_after_a_resume(
    tmp_path: Path, model: LanguageModel, tokenizer: Tokenizer
) -> None:
    checkpoint.save(tmp_path / "base", model, tokenizer)
    (tmp_path / "base" / "README.md").write_text("---\nlicense: mit\n---\n\n# the first\n")
    shutil.copy(CODING, tmp_path / "coding.csv")
    assert main(finetune(tmp_path, max_steps=1)) == 0
    digest = json.loads((tmp_path / "base" / "config.json").read_text())["sha256"]
    told = f"Fine-tuned from `base` (SHA-256 of its weights `{digest}`)."
    fields, body = read(tmp_path / "fine")
    assert told in body
    assert "\n### the first\n" in body
    (text, *_) = re.findall(r"```yaml\n(.*?)```", body, re.DOTALL)
    recipe = yaml.safe_load(text)
    assert recipe["model"]["head"]["kind"] == "binary"
    assert recipe["data"]["fields"]["group"] == "group"
    assert "pretrained" not in recipe["model"]
    assert "that predicts labels of sequences: coding, intergenic." in body
    assert "base_model" not in fields  # a folder of this machine is no name on the hub
    csv_digest = hashlib.sha256(Path(CODING).read_bytes()).hexdigest()
    assert f"| train | coding.csv |  | 104,757 | `{csv_digest}` |" in body
    assert fields["metrics"]  # without a log, too

    # Another model lies there by now; the run is still that of the first one.
    described, weights = tmp_path / "base" / "config.json", tmp_path / "base" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    other = hashlib.sha256(weights.read_bytes()).hexdigest()
    described.write_text(described.read_text().replace(digest, other))
    (tmp_path / "base" / "README.md").write_text("# another\n")
    assert main(finetune(tmp_path, max_steps=2)) == 0
    _, body = read(tmp_path / "fine")
    assert told in body
    assert "the first" not in body  # nobody has its card any more
    assert "another" not in body
    assert "Steps: 2;" in body
