"""What each worker has imported before it is forked: importing this imports it."""

from importlib import import_module

from dnamamba.lean import import_lightning

import_lightning()
for name in (
    "dnamamba.benchmark.runs.dispatch",
    "dnamamba.training.finetune",
    "dnamamba.data.modules",
    "sklearn.ensemble",
    "sklearn.linear_model",
):
    import_module(name)
