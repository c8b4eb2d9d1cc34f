"""What ``dnamamba benchmark`` left, kept for the page, and laid out again to go on from.

A benchmark is kept in ``results/benchmark`` as its page and its rows, the chart of several tasks
among the documentation's pictures; all are the command's own.
"""

import json
import re
from pathlib import Path

from places import DOCS
from rows import RESULTS

from dnamamba.benchmark.runs.store import hash_of
from dnamamba.files import replacing

__all__ = ["keep", "resume", "section"]

KEPT = "benchmark"  # within the results


def keep(output: Path, name: str, folder: Path = RESULTS, pictures: Path = DOCS) -> None:
    """Copy page, rows and chart of a benchmark's output folder.

    Args:
        output: the folder.
        name: what the benchmark is called here.
        folder: where results are kept.
        pictures: where the chart goes.
    """
    table = json.loads((output / "table.json").read_text())
    rows = {hash_of(row["key"]): row for row in table["rows"]}
    lines = [f" {json.dumps(key)}: {json.dumps(row)}" for key, row in sorted(rows.items())]
    page = (output / "table.md").read_bytes()
    copies = {
        folder / KEPT / f"{name}.md": page,
        folder / KEPT / f"{name}.json": ("{\n" + ",\n".join(lines) + "\n}\n").encode(),
    }
    if _is_drawn(page.decode()):
        copies[pictures / _picture(name)] = (output / "chart.png").read_bytes()
    for path, content in copies.items():
        with replacing(path) as file:
            file.write(content)


def resume(name: str, output: Path, folder: Path = RESULTS) -> int:
    """Lay the kept rows where the benchmark looks for them; says how many.

    Args:
        name: as in ``keep``.
        output: the folder in which it is to go on.
        folder: where results are kept.
    """
    rows = json.loads((folder / KEPT / f"{name}.json").read_text())
    for key, row in rows.items():
        with replacing(output / "rows" / f"{key}.json") as file:
            file.write((json.dumps(row, indent=1) + "\n").encode())
    return len(rows)


def section(name: str, folder: Path = RESULTS) -> str:
    """The benchmark's page without its title, its headings a level lower; empty without one."""
    path = folder / KEPT / f"{name}.md"
    if not path.is_file():
        return ""
    page = path.read_text()
    _, _, body = page.partition("\n\n")
    table, _, rest = body.partition("\n\n")
    chart = [f"![the table, drawn]({_picture(name)})"] if _is_drawn(page) else []
    parts = [table, *chart, rest.strip()]
    return re.sub(r"^#", "##", "\n\n".join(parts), flags=re.MULTILINE)


def _is_drawn(page: str) -> bool:
    """Whether the table has lines enough, behind the two of its head, for a chart to say more."""
    return len(page.split("\n\n")[1].splitlines()) > 3


def _picture(name: str) -> str:
    return f"benchmark-{name}.png"
