"""A schedule of lengths: what it may say, and what it means."""

from typing import Any

import pytest

from dnamamba.data.modules import GenomeDataModule
from dnamamba.data.windows.lengths import LengthSchedule


def test_every_step_has_as_many_bases() -> None:
    schedule = LengthSchedule.of([[0, 128], [10, 96], [20, 512], [1000, 384]], 384, 4)
    assert [stage.windows for stage in schedule.stages] == [12, 16, 3, 4]
    assert {stage.length * stage.windows for stage in schedule.stages} == {384 * 4}
    assert [schedule.at(step).length for step in (0, 9, 10, 999, 1000, 10**9)] == [
        *(128, 128, 96, 512, 384, 384)
    ]
    assert str(schedule) == (
        "lengths: a step reads 12 windows of 128 bases; from step 10 on 16 windows of 96 bases; "
        "from step 20 on 3 windows of 512 bases; from step 1,000 on 4 windows of 384 bases"
    )


@pytest.mark.parametrize("schedule", [None, [[0, 384]], [(0, 384)]])
def test_one_length(schedule: Any) -> None:
    one = LengthSchedule.of(schedule, 384, 4)
    assert not one.varies
    assert one.at(5) == (0, 384, 4)


BAD: list[tuple[Any, str]] = [
    ([], r"must begin with step 0, got \[\]; give \[\[0, LENGTH\], .* data\.length 384"),
    ([[5, 384]], r"must begin with step 0, got \[\[5, 384\]\]"),
    ([[-1, 64], [0, 384]], "must begin with step 0"),
    ([[0, 64], [0, 384]], r"steps must ascend, got \[0, 384\] after step 0"),
    ([[0, 64], [9, 128], [3, 384]], r"steps must ascend, got \[3, 384\] after step 9"),
    ([[0, 0], [9, 384]], r"\[0, 0\] must have a length of 64 to 268,435,456 bases"),
    ([[0, -64], [9, 384]], r"\[0, -64\] must have a length"),
    ([[0, 63], [9, 384]], r"\[0, 63\] must have a length"),
    ([[0, 1 << 29], [9, 384]], r"must have a length of 64 to 268,435,456"),
    ([[0, 100], [9, 384]], r"\[0, 100\] does not divide the bases of a step, .* 1,536"),
    ([[0, 3072], [9, 384]], r"\[0, 3072\] does not divide the bases of a step"),
    ([[0, 128], [9, 192]], r"ends with 192 bases, but data\.length, .* is 384; set both alike"),
    ([0, 64], r"a stage is \[STEP, LENGTH\], two whole numbers, got 0"),
    ([[0, 64, 1], [9, 384]], r"two whole numbers, got \[0, 64, 1\]"),
    ([[0, 64.5], [9, 384]], r"two whole numbers, got \[0, 64\.5\]"),
    ([[0, True], [9, 384]], "two whole numbers"),
    (["0,", [9, 384]], "two whole numbers"),
]


@pytest.mark.parametrize(("schedule", "message"), BAD)
def test_refused_before_any_file_is_opened(schedule: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r"data\.length_schedule.*" + message):
        GenomeDataModule(
            "there is no such file", length=384, global_batch_size=4, length_schedule=schedule
        )


def test_too_many_windows() -> None:
    with pytest.raises(ValueError, match=r"\[0, 64\] makes 268,435,456 windows a step, at most"):
        LengthSchedule.of([[0, 64], [1, 1 << 20]], 1 << 20, 1 << 14)


def test_devices_that_do_not_divide() -> None:
    schedule = LengthSchedule.of([[0, 96], [5, 128], [7, 96]], 96, 8)
    schedule.check_devices(2, 1)
    with pytest.raises(ValueError, match=r"step 5 on a step reads 6 windows of 128 bases, not"):
        schedule.check_devices(2, 2)


def test_a_run_that_ends_before() -> None:
    schedule = LengthSchedule.of([[0, 64], [1000, 384]], 384, 4)
    assert schedule.unreached(1000).startswith(
        "data.length_schedule comes to data.length 384 at step 1,000, and the run ends before, at "
        "step 1,000"
    )
    assert schedule.unreached(1001) == LengthSchedule.of(None, 384, 4).unreached(0) == ""
