"""The device that several workers share."""

import gc

import torch

__all__ = ["released"]


def released(device: str) -> None:
    """Give back the memory of a GPU that a job has left: the other workers need it."""
    if torch.device(device).type == "cuda":
        gc.collect()  # a trainer and its module hold each other
        torch.cuda.empty_cache()
