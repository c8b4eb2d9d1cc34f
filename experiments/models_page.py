"""The models of the package, as they were pretrained: a table, made of the rows."""

import json
import math
from pathlib import Path

from rows import RESULTS, machine_of, matching
from tabular import markdown, mean

__all__ = ["section"]

HEAD = ["model", "parameters", "seeds", "read", "Mb/s", "perplexity", "bits a base"]
WORDS = """## The models of the package

As `experiments/models.yaml` has them: windows of 1,024 bases, chunk 86 of every genome held out.
Of a causal model the next base; of a masked one a hidden base, given both its sides, which is
another question: the two are not to be compared. Their cards have the figures genome by genome.

{table}

{machine}."""


def section(folder: Path = RESULTS) -> str:
    """The section; empty without rows."""
    path = folder / "models.json"
    rows = list(json.loads(path.read_text()).values()) if path.is_file() else []
    if not rows:
        return ""
    lines = []
    for model in dict.fromkeys(row["model"] for row in rows):
        runs = matching(rows, model=model)
        whole = [row["figures"]["perplexity"] for row in runs]
        lines.append(
            [
                f"`{model}`",
                f"{runs[0]['parameters']:,}",
                str(len(runs)),
                f"{mean((row['tokens'] / 1e6 for row in runs), 0)} Mb",
                mean(((rate := row["bases_per_second"]) and rate / 1e6 for row in runs), 1),
                mean(whole),
                mean(map(math.log2, whole)),
            ]
        )
    return WORDS.format(table=markdown(HEAD, lines), machine=machine_of(rows[0]))
