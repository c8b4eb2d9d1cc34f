"""Runs small fits in forked processes and lets them die on request; driven by test_resume.py.

Reads one JSON object a line from standard input, answers each with the exit codes of its
processes. Lightning is imported once: a fit then costs a fraction of a second.
"""

import json
import os
import signal
import socket
import sys
import time
import warnings
import zlib
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # a script's path is its own folder alone

import lean_lightning  # noqa: F401
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint, OnExceptionCheckpoint
from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.data import GenomeSplit, Part, WindowConfig
from dnamamba.data.modules import GenomeDataModule
from dnamamba.training.callbacks import RandomState
from dnamamba.training.objectives import NextBase

DEADLINE = 100.0


class Tiny(pl.LightningModule):
    """A model with dropout that writes down every batch it trains on, and dies when told to."""

    def __init__(self, log: Path, stop: dict[str, Any] | None) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(16, 8)
        self.dropout = torch.nn.Dropout(0.3)
        self.head = torch.nn.Linear(8, 16)
        self.log_file, self.stop = log, stop
        self.batches = 0

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        example = NextBase().example(batch, Tokenizer())
        logits = self.head(self.dropout(self.embedding(example.tokens.int())))
        losses = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), example.targets.long().flatten(), reduction="none"
        )
        return (losses * example.weight.flatten()).sum() / example.weight.sum()

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        tokens = zlib.crc32(batch["tokens"].numpy().tobytes())
        row = [self.global_step, batch["index"].tolist(), tokens]
        self.batches += 1
        if self.stop and self.stop["batch"] == self.batches - 1:
            if self.stop["how"] == "exception":
                raise RuntimeError("on purpose")
            os.kill(os.getpid(), getattr(signal, self.stop["how"]))
        with self.log_file.open("a") as file:
            file.write(json.dumps(row) + "\n")
        return self.loss(batch)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        torch.rand(3)  # validation may draw what it likes

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.01)


def fit(order: dict[str, Any], rank: int) -> None:
    """One process's part of a run."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    folder = Path(order["folder"])
    pl.seed_everything(order.get("seed", 1), verbose=False)
    data = GenomeDataModule(
        order["genomes"],
        length=64,
        global_batch_size=order.get("global_batch_size", 8),
        windows=WindowConfig(tail="pad", short="pad"),
        split=GenomeSplit(validation=Part(contigs=("held_out",))),
        seed=3,
        num_workers=order.get("num_workers", 0),
    )
    callbacks = [
        RandomState(),
        ModelCheckpoint(folder, "last", every_n_train_steps=1, enable_version_counter=False),
        OnExceptionCheckpoint(folder, "exception"),
    ]
    world = order.get("world", 1)
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=world,
        strategy="ddp" if world > 1 else "auto",
        max_epochs=order.get("epochs", -1),
        max_steps=-1 if "epochs" in order else order.get("steps", 10),
        accumulate_grad_batches=order.get("accumulate", 1),
        callbacks=callbacks,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = Tiny(folder / f"batches-{rank}.jsonl", order.get("stop"))
    trainer.fit(module, data, ckpt_path=order.get("resume"))
    if rank == 0:
        torch.save(module.state_dict(), folder / "weights.pt")


def start(order: dict[str, Any], rank: int, port: int) -> int:
    """Fork one process of a run; gives its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.environ.update(
            LOCAL_RANK=str(rank), NODE_RANK="0", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
        )
        fit(order, rank)
        code = 0
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(code)


def run(order: dict[str, Any]) -> list[int]:
    """The exit codes of all processes of a run; -n for a signal n."""
    Path(order["folder"]).mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    waiting = {start(order, rank, port): rank for rank in range(order.get("world", 1))}
    codes = [0] * len(waiting)
    deadline = time.monotonic() + DEADLINE
    while waiting:
        for pid, rank in list(waiting.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                codes[rank] = os.waitstatus_to_exitcode(status)
                del waiting[pid]
            elif time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    return codes


if __name__ == "__main__":
    for number, line in enumerate(sys.stdin):
        order = json.loads(line)
        if not number:  # what is slow for the first time is done before others are forked
            Path(order["folder"]).mkdir(parents=True, exist_ok=True)
            fit(order, 0)
            print(json.dumps([0]), flush=True)
            continue
        print(json.dumps(run(order)), flush=True)
