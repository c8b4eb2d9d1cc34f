"""Lines of text: bounded, and every damage named by its line."""

import gzip
import tracemalloc
from pathlib import Path

import pytest

from dnamamba.data.genome import text
from dnamamba.data.genome.text import LONGEST_LINE, text_lines


@pytest.mark.parametrize("packed", [True, False], ids=["gzip", "plain"])
def test_a_line_without_end_is_refused_in_bounded_memory(
    tmp_path: Path, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "LONGEST_LINE", 1 << 20)
    path = tmp_path / "some.bed.gz"
    line = b"chr1\t1\t2\n" + b"A" * (40 << 20)
    path.write_bytes(gzip.compress(line, 1) if packed else line)
    tracemalloc.start()
    try:
        with pytest.raises(
            ValueError, match=r"some\.bed\.gz, line 2 is longer than 1 MiB, the most"
        ):
            list(text_lines(path))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_long_line_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert LONGEST_LINE >= 1 << 26  # a row of a million genotypes
    monkeypatch.setattr(text, "LONGEST_LINE", 1000)
    path = tmp_path / "t"
    path.write_bytes(b"x" * 999 + b"\ny")
    assert [len(line) for line in text_lines(path)] == [1000, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nb\n" + b"\0" * 100, r"t, line 3 has NUL bytes: a copy that was cut short\?"),
        (b"a\n\0b\n", r"t has NUL bytes; is it binary or UTF-16"),
        (b"a\n" * 50 + b"b\0\n", "t, line 51 has NUL bytes"),
        (b"a\nb\xe9\n", r"t, line 2: byte 0xe9 is not UTF-8"),
    ],
)
def test_damage_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "t"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        list(text_lines(path))


def test_a_caller_may_judge_each_line_himself(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes(b"\xef\xbb\xbfa\xe9\n\xff\n")
    lines = list(text_lines(path, undecodable="surrogateescape"))
    assert [line.encode("utf-8", "surrogateescape") for line in lines] == [b"a\xe9\n", b"\xff\n"]
