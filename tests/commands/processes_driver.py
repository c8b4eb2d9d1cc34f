"""Commands in one of several processes, one after the other; a start costs seconds.

    RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 python processes_driver.py CASES

CASES is a JSON file: of each case a name, a port, the arguments, and, if anything is to happen in
one process, what. Of each it leaves ``NAME.RANK.txt`` beside it: the exit status, what was printed,
and how long it took.
"""

import io
import json
import os
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import torch

from dnamamba.cli import main
from dnamamba.commands import evaluate
from dnamamba.data.genome.fasta import Genome


def spoil(what: str | None) -> None:
    """In the second process, or, when all others are done, in the first."""
    if what == "unwritten" and os.environ["RANK"] == "0":
        write = evaluate._write

        def full(*args: object) -> None:
            evaluate._write = write
            raise OSError("its disk is full")

        evaluate._write = full
    if os.environ["RANK"] != "1" or what not in ("fails", "killed"):
        return
    check = Genome.check

    def stop(self: Genome, *args: object) -> None:
        Genome.check = check  # type: ignore[method-assign]
        if what == "killed":
            os._exit(9)
        raise ValueError("its disk is gone")

    Genome.check = stop  # type: ignore[assignment, method-assign]


if __name__ == "__main__":
    torch.set_num_threads(1)
    path = Path(sys.argv[1])
    for case in json.loads(path.read_text()):
        os.environ["MASTER_PORT"] = str(case["port"])
        spoil(case["spoiled"])
        began = time.monotonic()
        printed, said = io.StringIO(), io.StringIO()
        with redirect_stdout(printed), redirect_stderr(said):
            try:
                status: object = main(case["arguments"])
            except SystemExit as exit:
                status = exit.code
        result = {"status": status, "printed": printed.getvalue(), "said": said.getvalue()}
        result["seconds"] = time.monotonic() - began
        path.with_name(f"{case['name']}.{os.environ['RANK']}.txt").write_text(json.dumps(result))
