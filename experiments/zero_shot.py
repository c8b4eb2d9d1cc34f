"""How well the log-likelihood ratio of a pretrained model tells variants apart, untrained."""

from typing import Any

import torch
from finetuning import data_of
from plan import Job
from work import Work

from dnamamba import checkpoint
from dnamamba.inference.variant_scores import score_variants
from dnamamba.model import LanguageModel
from dnamamba.model.heads import Multiclass

__all__ = ["zero_shot"]

CONTEXT, FLANK = 768, 255  # with the allele as many bases as in a window of the pretraining


def zero_shot(job: Job, work: Work) -> dict[str, Any]:
    """AUROC of the negative ratio, in each part of the task's split and in all together."""
    model, tokenizer = checkpoint.load(work.model(job))
    assert isinstance(model, LanguageModel)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    data = data_of(work.table.tasks[job.task])
    parts = ("train", "validation", "test")
    labels = {part: torch.from_numpy(data.dataset(part).targets) for part in parts}
    ratios = {}
    for part in parts:
        scores = score_variants(
            model, tokenizer, data.genome, data.variants(part),
            context=CONTEXT, flank=FLANK, batch_size=256,
        )  # fmt: skip
        ratios[part] = torch.tensor([score.llr for score in scores], dtype=torch.float64)
    metrics = {part: auroc(-ratios[part], labels[part]) for part in parts}
    whole = auroc(-torch.cat(list(ratios.values())), torch.cat(list(labels.values())))
    samples = {part: len(label) for part, label in labels.items()}
    return {
        "metric": "auroc",
        "figures": {"auroc": metrics["test"], **metrics, "all": whole},
        "samples": samples,
    }


def auroc(score: torch.Tensor, label: torch.Tensor) -> float:
    """Of scores (n,) that should be high where the label is 1."""
    ranks = torch.unique(score, return_inverse=True)[1].double()
    share = ranks / max(1.0, float(ranks.max()))
    return Multiclass.metrics(torch.stack([1 - share, share], 1), label)["auroc"]
