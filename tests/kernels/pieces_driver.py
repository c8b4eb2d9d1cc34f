"""Sequences over all of some processes, and over pairs of them; a script, started for each.

    python pieces_driver.py FOLDER RANK PROCESSES DEVICE [CASE...]

DEVICE is "cpu", "cuda" or "interpreted", which is the CPU where Triton is interpreted.

A start costs seconds: all cases share it, or those that are named. Each process writes
``RANK.json`` into FOLDER: of each case how it ended, nothing where it is right.
"""

import json
import sys
import traceback
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script's path is its own folder alone
import pieces_models  # noqa: F401  (adds its cases)
import pytest
import torch
import torch.distributed as dist
from pieces_ops import CASES, FUSED, LARGER, Shared

from dnamamba_kernels.pieces import Pieces

KIND = sys.argv[4]
if KIND != "cpu":
    import pieces_fused  # noqa: F401  (of Triton, which need not be there)
    from interpreted import quicken  # beside this file


def main(folder: Path, rank: int, processes: int) -> None:
    device = torch.device("cuda", rank) if KIND == "cuda" else torch.device("cpu")
    if KIND == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(
        "nccl" if KIND == "cuda" else "gloo",
        init_method=f"file://{folder / 'store'}",
        rank=rank,
        world_size=processes,
        timeout=timedelta(seconds=240),
    )
    pairs = [dist.new_group([k, k + 1]) for k in range(0, processes, 2)]
    groups = {2: pairs[rank // 2], processes: dist.group.WORLD}
    torch.use_deterministic_algorithms(True)  # memory of torch.empty holds NaN
    ends = {}
    cases = {"cpu": CASES, "cuda": CASES | FUSED | LARGER, "interpreted": FUSED}[KIND]
    for k, name in enumerate(sys.argv[5:] or cases):
        for count, group in groups.items():
            if KIND == "interpreted" and count < processes and k % len(pairs) != rank // 2:
                continue  # slow: the pairs share them
            try:
                assert group is not None
                cases[name](Shared(group, device))
                ends[f"{name}-{count}"] = ""
            except BaseException:  # pytest's failures are no exceptions
                ends[f"{name}-{count}"] = traceback.format_exc()
    for foreign in pairs[: rank // 2] + pairs[rank // 2 + 1 :]:
        try:
            Pieces.agree(1, 1, foreign)
        except ValueError as error:
            ends["foreign"] = "" if "is not in the group" in str(error) else str(error)
        else:
            ends["foreign"] = "not refused"
    (folder / f"{rank}.json").write_text(json.dumps(ends))
    dist.destroy_process_group()


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch:
        if KIND == "interpreted":
            quicken(patch)
        main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
