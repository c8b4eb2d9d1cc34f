"""``python -m dnamamba`` is the command ``dnamamba``."""

import sys

from dnamamba.cli import main

if __name__ == "__main__":
    sys.exit(main())
