"""Frozen features, of a pretrained model and of one that has learned nothing: nothing is tuned.

Vectors (see ``features``) are standardised by the training part; a logistic regression and a
random forest with fixed settings learn from it (see ``learners``), and are tested. The validation
part is not used. All parts are read as the test part is.
"""

from functools import partial

import torch

from dnamamba.benchmark.columns.data import data_of, samples
from dnamamba.benchmark.columns.device import released
from dnamamba.benchmark.columns.features import Reader, features, new_reader
from dnamamba.benchmark.jobs.job import Job, Row
from dnamamba.benchmark.jobs.work import Work
from dnamamba.checkpoint import Opened
from dnamamba.checkpoint.once import opened
from dnamamba.data.modules.labelled import LabelledDataModule
from dnamamba.probing.learners import (
    LEARNERS,
    check_metric,
    metrics_of,
    probabilities,
    standardised,
)

__all__ = ["initialised", "standardised", "trained"]


def trained(job: Job, work: Work) -> Row:
    """By the features of the model as it is."""
    assert job.model is not None
    model = opened(job.model)
    data = data_of(job, model.tokenizer, test=True)
    reader = new_reader(model.model.config, data)
    reader.backbone.load_state_dict(model.model.backbone.state_dict())
    return _row(job, work, model, data, reader)


def initialised(job: Job, work: Work) -> Row:
    """By the features of a model of the same configuration with new weights, by the job's seed."""
    assert job.model is not None
    model = opened(job.model)
    data = data_of(job, model.tokenizer, test=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.seed)
        reader = new_reader(model.model.config, data)
    return _row(job, work, model, data, reader)


def _row(job: Job, work: Work, model: Opened, data: LabelledDataModule, reader: Reader) -> Row:
    check_metric(data.codec, job.task.metric)
    train = features(reader, model.tokenizer, data, "train", work.device)
    held_out = features(reader, model.tokenizer, data, "test", work.device)
    released(work.device)
    rows = standardised(train.vectors, train.vectors)
    asked = standardised(held_out.vectors, train.vectors)
    figures: dict[str, float] = {}
    for name, make in LEARNERS.items():
        learner = partial(make, data.codec.kind, len(rows), work.threads)
        said = probabilities(learner, data.codec, rows, train.labels, asked)
        metrics = metrics_of(data.codec, said, held_out.labels)
        prefix = "" if name == "linear" else f"{name}/"
        figures |= {f"{prefix}{metric}": value for metric, value in metrics.items()}
    return {"figures": figures, "samples": samples(data)}
