"""Lightning as a run imports it; to be imported before anything that imports Lightning whole.

Whole it brings PyTorch's compiler and every metric, with transformers and SciPy: three quarters of
what a start takes, and of the memory that each fork is to copy. Who asks for them gets them.
"""

from dnamamba.lean import import_lightning

import_lightning()
