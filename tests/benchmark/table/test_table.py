"""Rows to means, Markdown, CSV, JSON and a picture."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from benchmark_tables import FROZEN, KMERS, SCRATCH, TUNED, small_table

from dnamamba.benchmark.table.chart import draw
from dnamamba.benchmark.table.export import as_csv, as_json
from dnamamba.benchmark.table.markdown import markdown, notes, page
from dnamamba.benchmark.table.probes import probe_lines
from dnamamba.benchmark.table.table import Cell, Line, Table


def test_the_mean_is_over_whole_lines_seed_by_seed() -> None:
    (mean,) = small_table().means()
    assert mean.tasks == ("gue/tf/0", "gue/tf/1")
    tuned = mean.cells[TUNED.key]
    assert tuned.values == pytest.approx({(1, 0): 0.75, (2, 0): 0.78})
    assert tuned.deviation == pytest.approx(0.03 / 2**0.5)
    assert mean.published == {}  # one of the two tasks has none


def test_folds_of_a_seed_go_together_and_seeds_that_differ_give_one_value() -> None:
    folds = Cell({(1, 0): 0.4, (1, 1): 0.6, (2, 0): 0.6, (2, 1): 0.8}, 4)
    one = Cell({(1, 0): 0.3, (2, 0): 0.5}, 2)

    def lines(*cells: Cell) -> tuple[Line, ...]:
        return tuple(Line(str(i), "", "mcc", {TUNED.key: cell}) for i, cell in enumerate(cells))

    (mean,) = Table((TUNED,), lines(folds, one)).means()
    assert mean.cells[TUNED.key].values == pytest.approx({(1, 0): 0.4, (2, 0): 0.6})
    (mean,) = Table((TUNED,), lines(folds, Cell({(1, 0): 0.3}, 2))).means()
    assert list(mean.cells[TUNED.key].values.values()) == pytest.approx([0.45])


def test_tasks_of_two_metrics_have_two_means_and_say_their_figure() -> None:
    table = small_table()
    other = [replace(line, task=f"{line.task}x", metric="auroc") for line in table.lines[:2]]
    both = replace(table, lines=(*table.lines, *other))
    assert [mean.metric for mean in both.means()] == ["mcc", "auroc"]
    assert markdown(both).splitlines()[0].split("|")[2].strip() == "figure"


def test_markdown_is_aligned_and_marks_nothing_as_best() -> None:
    lines = markdown(small_table()).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == [
        "task (MCC)", "test", "groups", "copies", "relatives",
        "k-mers", "from scratch", "a, frozen", "a",
    ]  # fmt: skip
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == [
        "factor 0", "1,000", "900", "2", "30", "0.500", "0.610 ± 0.014", "0.610", "0.720 ± 0.028",
    ]  # fmt: skip
    assert [cell.strip() for cell in lines[4].split("|")[1:-1]] == [
        "H3", "–", "–", "–", "–", "0.500", "", "0.610", "",
    ]  # fmt: skip
    assert lines[5].startswith("| mean of 2 ")
    assert "**" not in "\n".join(lines)


def test_a_bar_in_a_title_is_no_column() -> None:
    table = small_table()
    line = replace(table.lines[0], title="a|b")
    assert markdown(replace(table, lines=(line,))).splitlines()[2].startswith("| a\\|b ")


def test_what_is_missing_is_marked_and_listed() -> None:
    table = small_table()
    cells = dict(table.lines[0].cells)
    cells[TUNED.key] = Cell({(1, 0): 0.7}, 3, failed=1)
    cells[SCRATCH.key] = Cell({}, 2, failed=2)
    table = replace(table, lines=(replace(table.lines[0], cells=cells),))
    assert "0.700*" in markdown(table)
    assert "failed" in markdown(table)
    assert notes(table) == [
        "factor 0, from scratch: 0 of 2 runs, 2 failed",
        "factor 0, a: 1 of 3 runs, 1 failed",
    ]


def test_the_page_has_every_section() -> None:
    text = page(small_table(), "Benchmark: gue", "3 runs: CPU.")
    assert text.startswith("# Benchmark: gue\n\n| task (MCC) ")
    assert "## Published, by other protocols\n\n| task     | figure | Other 3.9M |" in text
    assert re.search(r"factor 0 \| a, frozen \| MCC +\| +0.610 \| +0.800 \| +0.600 \| +– ", text)
    assert "- gue: as published" in text
    assert text.endswith("3 runs: CPU.\n")


def test_the_mean_area_of_frozen_vectors_is_over_all_tasks() -> None:
    def cell(area: float) -> Cell:
        return Cell({}, 1, figures={"auroc": {(1, 0): area}, "forest/auroc": {(1, 0): area - 0.1}})

    kmers = Cell({}, 1, figures={"auroc": {(1, 0): 0.7}})
    lines = tuple(
        Line(str(area), str(area), metric, {KMERS.key: kmers, FROZEN.key: cell(area)})
        for area, metric in ((0.8, "mcc"), (0.9, "accuracy"))
    )
    head, rows = probe_lines(Table((KMERS, FROZEN, TUNED), lines))
    assert head[3:] == [
        "linear, figure", "linear, AUROC", "random forest, figure", "random forest, AUROC",
    ]  # fmt: skip
    assert rows[1] == ["0.8", "a, frozen", "MCC", "–", "0.800", "–", "0.700"]
    assert rows[-2:] == [
        ["mean of 2", "k-mers", "", "", "0.700", "", "–"],
        ["mean of 2", "a, frozen", "", "", "0.850", "", "0.750"],
    ]
    assert probe_lines(Table((KMERS, TUNED), lines))[1] == []


def test_csv_has_a_line_a_cell() -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv(small_table()))))
    assert len(lines) == 4 + 4 + 2 + 1
    scratch = lines[1]
    assert (scratch["task"], scratch["column"], scratch["runs"]) == ("gue/tf/0", "scratch", "2")
    assert float(scratch["mean"]) == pytest.approx(0.61)
    assert json.loads(scratch["chosen"]) == {"lr": 1e-3}
    assert scratch["groups"] == "900"
    assert (lines[-1]["column"], lines[-1]["model"]) == ("published", "Other 3.9M")


def test_json_has_every_value() -> None:
    content = json.loads(as_json(small_table(), [{"seed": 1}], {"machine": {"device": "CPU"}}))
    assert content["machine"] == {"device": "CPU"}
    assert content["rows"] == [{"seed": 1}]
    cells = content["tasks"][0]["cells"]
    assert [cell["column"] for cell in cells] == ["kmers", "scratch", "frozen", "model"]
    assert cells[3]["values"] == [
        {"seed": 1, "fold": 0, "value": 0.7},
        {"seed": 2, "fold": 0, "value": 0.74},
    ]
    assert content["means"][0]["tasks"] == ["gue/tf/0", "gue/tf/1"]


def test_the_chart_is_a_picture_also_of_nothing(tmp_path: Path) -> None:
    draw(small_table(), tmp_path / "chart.png")
    empty = {TUNED.key: Cell({}, 1, failed=1)}
    draw(Table((TUNED,), (Line("x", "x", "r2", empty),)), tmp_path / "empty.png")
    for name in ("chart.png", "empty.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
