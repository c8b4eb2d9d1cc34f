"""The head of a card, YAML that the Hugging Face hub reads (hub-docs, "Model Cards")."""

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

import yaml

from dnamamba.cards.facts import Facts
from dnamamba.cards.settings import license_fields
from dnamamba.checkpoint.hub import is_hub_name
from dnamamba.model.about import listed
from dnamamba.yaml_text import load_yaml

__all__ = ["METRICS", "divided", "front", "joined"]


class Metric(NamedTuple):
    """How a figure is called.

    Attributes:
        shown: in the card's table, with its unit.
        type: on the hub, where it has a name for it.
    """

    shown: str
    type: str


METRICS = {
    "perplexity": Metric("perplexity", "perplexity"),
    "bits_per_base": Metric("bits per base", "bits_per_base"),
    "loss": Metric("loss (nats; of numbers: squared deviations)", "loss"),
    "accuracy": Metric("accuracy", "accuracy"),
    "balanced_accuracy": Metric("balanced accuracy", "balanced_accuracy"),
    "exact_match": Metric("exact match", "exact_match"),
    "macro_f1": Metric("macro F1", "f1"),
    "mcc": Metric("Matthews correlation (MCC)", "matthews_correlation"),
    "auroc": Metric("area under the ROC curve", "roc_auc"),
    "auprc": Metric("area under the precision-recall curve", "average_precision"),
    "calibration_error": Metric("calibration error", "calibration_error"),
    "pearson": Metric("Pearson's r", "pearsonr"),
    "spearman": Metric("Spearman's ρ", "spearmanr"),
    "r2": Metric("R²", "r_squared"),
    "mse": Metric("mean squared error", "mse"),
}
"""Metric of a run -> how others call it."""

_TASKS = {"causal": "text-generation", "bidirectional": "fill-mask"}
_HEAD = re.compile(r"---\n(.*?)^---\n+", re.DOTALL | re.MULTILINE)
_REGIONS = (".bed", ".bed.gz")  # parts of data, no data
_ENDINGS = re.compile(r"(\.(fa|fasta|fna|gz|bgz|csv|tsv|tab|parquet|vcf|bw|bigwig))+$")


def front(facts: Facts) -> dict[str, Any]:
    """What the hub is told of a model.

    Args:
        facts: what the card tells.
    """
    about, base = facts.about, facts.base
    kind = [about.head, f"{about.reads.removesuffix('s')}-classification"] if about.head else []
    tags = ["dnamamba", "mamba", "state-space-model", "genomics", "dna", "biology"]
    tags += [about.family, about.direction, *(tag for tag in kind if tag)]
    fields: dict[str, Any] = {
        "library_name": "dnamamba",
        "tags": list(dict.fromkeys(tags)),
        **license_fields(facts.settings.license),
    }
    datasets = list(facts.settings.datasets) or _names(facts)
    if datasets:
        fields["datasets"] = datasets
    if base is not None and is_hub_name(base.name):
        fields |= {"base_model": base.name, "base_model_relation": "finetune"}
    if facts.figures:
        types = {name: METRICS[name].type for name in facts.figures if name in METRICS}
        fields["metrics"] = [types.get(name, name) for name in facts.figures]
        fields["model-index"] = [{"name": facts.name, "results": [_result(facts, datasets)]}]
    return fields


def divided(text: str) -> tuple[dict[str, Any], str]:
    """A card's head as its fields, and the rest.

    Raises:
        ValueError: the head is no YAML, or none of fields.
    """
    found = _HEAD.match(text)
    if found is None:
        return {}, text
    try:
        fields = load_yaml(found[1])
    except yaml.YAMLError as error:
        raise ValueError(f"its head is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(fields, dict | None):
        raise ValueError(f"its head must be fields and their values, got {fields!r:.60}")
    return fields or {}, text[found.end() :]


def joined(fields: Mapping[str, Any], body: str) -> str:
    """The text of which ``divided`` gives these."""
    head = yaml.safe_dump(dict(fields), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{head}---\n\n{body}"


def _result(facts: Facts, datasets: list[str]) -> dict[str, Any]:
    about = facts.about
    task = _TASKS[about.direction] if about.head is None else "text-classification"
    if about.head == "regression":
        task = "regression"
    return {
        "task": {"type": task, "name": f"predict {about.gives}"},
        "dataset": {
            "type": datasets[0] if datasets else "custom",
            "name": f"{listed(datasets) or 'the data'} ({facts.figures_of})",
        },
        "metrics": [
            {
                "type": METRICS[name].type if name in METRICS else name,
                "value": round(value, 6),
                "name": METRICS[name].shown.partition(" (nats")[0] if name in METRICS else name,
            }
            for name, value in facts.figures.items()
        ],
    }


def _names(facts: Facts) -> list[str]:
    """What files are called without their endings, as far as the hub takes it for a name."""
    files = [file.name for file in facts.files if not file.name.endswith(_REGIONS)]
    stems = [_ENDINGS.sub("", PurePath(name).name) for name in files]
    names = [re.sub(r"[^\w.-]+", "-", stem).strip("-.") for stem in stems]
    return list(dict.fromkeys(name for name in names if name))
