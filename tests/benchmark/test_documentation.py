"""What docs/benchmark.md shows works: its declaration is read, its commands are understood."""

import re
import shlex
from pathlib import Path

from dnamamba.benchmark.columns import COLUMNS
from dnamamba.benchmark.command import benchmark
from dnamamba.benchmark.table.results import FILES
from dnamamba.benchmark.tasks.catalogue import suites, tasks_of
from dnamamba.cli.use import make_parser

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "benchmark.md").read_text()


def test_the_declaration_gives_two_tasks(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "fly.yaml").write_text(text)
    first, second = tasks_of(str(tmp_path / "fly.yaml"))
    assert (first.key, first.published) == ("fly/enhancers", {"Somebody 7M": 0.81})
    assert first.paths == ["enhancers/train.csv", "enhancers/test.csv"]
    assert (second.folds, second.apart, second.metric) == (5, True, "auroc")
    assert first.module(tmp_path).split.validation == 0.1


def test_the_commands_are_understood() -> None:
    lines = re.findall(r"^dnamamba benchmark ([^#\n]*)", PAGE, re.MULTILINE)
    lines += re.findall(r"`(--[a-z]+ [^`]+)`", PAGE)
    assert len(lines) > 5
    parser = make_parser("benchmark", benchmark)
    for line in lines:
        parser.parse_args(shlex.split(line))


def test_every_column_suite_and_file_is_described() -> None:
    titles = [column.title.format(model="MODEL") for column in COLUMNS.values()]
    assert re.findall(r"^\| ([^|`]+?) \| [^|]+ \| [^|]+\? \|$", PAGE, re.MULTILINE) == titles
    assert all(f"`{name}`" in PAGE for name in (*suites(), *FILES))
