"""A job, done by what does its kind, and the row that it leaves."""

import contextlib
import logging
import time
import warnings
from dataclasses import asdict

import torch
from finetuning import finetune
from plan import Job
from pretraining import pretrain
from rows import write_row
from work import Work, machine
from zero_shot import zero_shot

__all__ = ["do_job"]

KINDS = {"pretrain": pretrain, "finetune": finetune, "zero_shot": zero_shot}


def do_job(work: Work, job: Job) -> None:
    """Do the job, and leave its row."""
    _quiet()
    with contextlib.chdir(work.data):
        began = time.monotonic()
        row = KINDS[job.kind](job, work)
        row["seconds"] = round(time.monotonic() - began, 1)
    write_row(work.output, job.name, {**asdict(job), **row, "machine": machine()})
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # the other workers need it


def _quiet() -> None:
    """No advice of Lightning's, in a log of many short runs."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
