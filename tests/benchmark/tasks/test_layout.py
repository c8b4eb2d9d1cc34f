"""Files below a folder: compressed or not, under another name, and what they hold."""

import gzip
from pathlib import Path

import pytest

from dnamamba.benchmark.tasks.layout import content_digest, joined, named_files, stored


def _put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("a/b.csv", "a/b.csv"),
        ("a/b.csv", "a/b.csv.gz"),
        ("a/b.csv.gz", "a/b.csv"),
        ("a/b.csv", "c/b.csv.gz"),
        ("a/b.csv", None),
    ],
)
def test_a_file_is_found_in_either_form_and_under_its_alias(
    tmp_path: Path, name: str, there: str | None
) -> None:
    expected = _put(tmp_path / there) if there else None
    assert stored(tmp_path, name, {"a/": "c/"}) == expected


def test_every_shape_of_files_is_joined(tmp_path: Path) -> None:
    _put(tmp_path / "x.csv.gz")
    files = {"train": {"one": "x.csv", "two": "y.fa"}, "validation": ["x.csv"], "test": "z.csv"}
    assert list(named_files(files)) == ["x.csv", "y.fa", "x.csv", "z.csv"]
    assert joined(files, tmp_path, {}) == {
        "train": {"one": str(tmp_path / "x.csv.gz"), "two": str(tmp_path / "y.fa")},
        "validation": [str(tmp_path / "x.csv.gz")],
        "test": str(tmp_path / "z.csv"),
    }


def test_the_digest_is_of_what_a_file_holds(tmp_path: Path) -> None:
    plain = _put(tmp_path / "a", b"sequence,label\n")
    packed = _put(tmp_path / "b.gz", gzip.compress(b"sequence,label\n", mtime=1))
    assert content_digest(plain) == content_digest(packed)
    before = content_digest(plain)
    plain.write_bytes(b"sequence,label\nA,1\n")
    assert content_digest(plain) != before


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    whole = gzip.compress(b"sequence,label\n" * 100)
    with pytest.raises(ValueError, match=r"b\.gz: .*copy the file again"):
        content_digest(_put(tmp_path / "b.gz", whole[:-12]))
    bent = bytearray(whole)
    bent[14] ^= 0xFF
    with pytest.raises(ValueError, match=r"c\.gz: .*copy the file again"):
        content_digest(_put(tmp_path / "c.gz", bytes(bent)))
