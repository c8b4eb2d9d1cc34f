"""Lightning as a run imports it; to be imported before anything that imports Lightning whole.

Whole it brings PyTorch's compiler and every metric, with transformers and SciPy: three quarters of
what a start takes, and of the memory that each fork is to copy. Who asks for them gets them.
"""

import logging

from dnamamba.lean import import_lightning

import_lightning()
# Where nobody listens to the root of all loggers yet, Lightning speaks for itself; pytest will.
for _name in ("pytorch_lightning", "lightning_fabric"):
    logging.getLogger(_name).propagate = True
    logging.getLogger(_name).handlers.clear()
