"""``dnamamba fit`` and the bare model of its sizes in one process, the bare model first.

python -m jobs.beside CONFIG RESULT ROWS LENGTH D_MODEL LAYERS STEPS DEVICE
"""

import gc
import json
import sys
from pathlib import Path

import torch
from model_gpu import train

from dnamamba.cli import main
from dnamamba.config import MambaConfig


def run(config: str, result: str, *words: str) -> int:
    """Leave the bare model's figures in ``result``; the run's status."""
    rows, length, d_model, n_layers, steps = map(int, words[:5])
    bare = train(MambaConfig(d_model=d_model, n_layers=n_layers), rows, length, steps, words[5])
    Path(result).write_text(json.dumps(bare))
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return main(["fit", "--config", config])


if __name__ == "__main__":
    sys.exit(run(*sys.argv[1:]))
