"""How well a pretrained model tells variants apart, untrained: by its log-likelihood ratios.

A causal model compares the likelihoods of both alleles; one that reads both ways guesses the masked
site (``dnamamba.inference.variant_scores``). A low ratio speaks for the second class. Nothing is
learned: the figures are of the test part, so that they stand beside the others, and ``all/...`` of
all parts together.
"""

from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dnamamba.alphabet import Tokenizer
from dnamamba.benchmark.columns.data import PARTS, data_of
from dnamamba.benchmark.jobs.job import Job, Row
from dnamamba.benchmark.jobs.work import Work
from dnamamba.checkpoint import Model
from dnamamba.checkpoint.once import opened
from dnamamba.data.modules.resumable import DataPart
from dnamamba.data.modules.variants import VariantDataModule
from dnamamba.inference.substitutions import is_substitution
from dnamamba.inference.variant_scores import score_variants
from dnamamba.model.heads.metrics import areas

__all__ = ["untrained"]

# As many bases as a window of the pretraining has, 1,024: before an allele and behind it, and of a
# model that reads both ways on either side of the site.
_CONTEXT, _FLANK = 768, 255
_EITHER_SIDE = 511


def untrained(job: Job, work: Work) -> Row:
    """AUROC and AUPRC of the negative ratio.

    Raises:
        ValueError: labels that are not two classes, no variant that can be scored, or a model that
            predicts no bases.
    """
    assert job.model is not None
    model, tokenizer, *_ = opened(job.model)
    data = data_of(job, tokenizer, test=True)
    assert isinstance(data, VariantDataModule)
    if data.codec.kind != "class" or len(data.codec.classes) != 2:
        raise ValueError(f"{job.task.key}: ratios tell two classes apart, no other labels")
    scorer = deepcopy(model).to(work.device)
    parts = [_scored(scorer, tokenizer, data, part) for part in PARTS]
    whole = _Scored(*map(np.concatenate, zip(*parts, strict=True)))
    figures = _figures(parts[-1]) | {f"all/{name}": x for name, x in _figures(whole).items()}
    numbers = {part: len(each.labels) for part, each in zip(PARTS, parts, strict=True)}
    if not numbers["test"]:
        raise ValueError(f"{job.task.key}: the test part holds no variant that can be scored")
    return {"metric": "auroc", "figures": figures, "samples": numbers}


class _Scored(NamedTuple):
    """Log-likelihood ratios (n,) of the variants that have one, and their labels (n,)."""

    ratios: NDArray[np.float64]
    labels: NDArray[np.int64]


def _scored(model: Model, tokenizer: Tokenizer, data: VariantDataModule, part: DataPart) -> _Scored:
    causal, variants = model.backbone.causal, data.variants(part)
    numbers = [n for n, variant in enumerate(variants) if causal or is_substitution(variant)]
    asked = [variants[n] for n in numbers]
    settings: Any = {"context": _CONTEXT, "flank": _FLANK} if causal else {"context": _EITHER_SIDE}
    scores = score_variants(model, tokenizer, data.genome, asked, **settings)
    ratios = np.array([score.llr for score in scores], dtype=np.float64)
    labels = np.asarray(data.dataset(part).targets, dtype=np.int64)[numbers]
    known = ~np.isnan(ratios)
    return _Scored(ratios[known], labels[known])


def _figures(scored: _Scored) -> dict[str, float]:
    ranks = np.unique(-scored.ratios, return_inverse=True)[1]
    share = torch.from_numpy(ranks / max(1, ranks.max(initial=0)))
    return areas(share[:, None].expand(-1, 2), {1: torch.from_numpy(scored.labels)})
