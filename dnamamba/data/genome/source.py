"""A FASTA file as it lies on the disk: which file it is, how it is packed, its plain text."""

import codecs
import errno
import gzip
import os
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

__all__ = [
    "BLOCK",
    "BYTE_ORDER_MARK",
    "FOREIGN",
    "NO_ROOM",
    "REWRAP",
    "WIDE_MARKS",
    "DamagedArchiveError",
    "Identity",
    "Progress",
    "check_end",
    "check_end_block",
    "identify",
    "is_compressed",
    "is_still",
    "old_mac",
    "unpack",
    "wide_encoding",
]

BLOCK = 1 << 22  # bytes read at a time: whatever the file's size, memory stays at a few of these
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Progress = Callable[[int], None]
"""Called with the number of bytes worked off since the last call."""

_HEAD = 1 << 16
_GZIP = b"\x1f\x8b"
FOREIGN = {
    b"BZh": "bzip2",
    b"PK\x03\x04": "zip",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # of UTF-8
REWRAP = (
    "; a FASTA without room for its cache is read by the width of its lines: make room, name "
    "another place with cache_dir or $DNAMAMBA_CACHE, or rewrap the file (seqkit seq -w 80)"
)
# The marks of UTF-32 begin as those of UTF-16 do.
WIDE_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
# The empty block that ends every bgzip file (SAM specification, section 4.1.2).
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


class DamagedArchiveError(ValueError):
    """A compressed file is cut short or not what was written."""


class Identity(NamedTuple):
    """What tells cheaply that a file is still the one that was read."""

    size: int
    mtime_ns: int
    inode: int
    ctime_ns: int  # moves with every change, one that puts the modification time back included


def identify(file: Path | int) -> Identity:
    """Size, times and inode of a path or an open descriptor."""
    status = os.stat(file)
    return Identity(status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)


def is_still(file: int, identity: Identity) -> bool:
    """Whether an open descriptor is of the file that was identified, unchanged since.

    A file whose name is gone (another took its place) is what it was: that alone has moved its
    ctime, and nobody can open it any more.
    """
    now = identify(file)
    if os.fstat(file).st_nlink == 0:
        now = now._replace(ctime_ns=identity.ctime_ns)
    return now == identity


def is_compressed(path: Path) -> bool:
    """True for gzip or bgzip, False for plain text, judged by the content, never by the name.

    Raises:
        ValueError: the file cannot be FASTA: missing, no regular file, unreadable, empty, in
            another compression, UTF-16 or UTF-32, FASTQ, or without a header at its start.
    """
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            kind = "a directory" if stat.S_ISDIR(mode) else "no regular file"
            raise ValueError(f"{path} is {kind}; expected a FASTA file")
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise ValueError(f"cannot read FASTA {path}: {error.strerror}") from error
    if not head:
        raise ValueError(f"{path} is empty; expected FASTA")
    if head.startswith(_GZIP):
        return True
    _check_head(path, head)
    return False


def _check_head(path: Path, head: bytes) -> None:
    """Refuse what is no FASTA by its first bytes."""
    for magic, name in FOREIGN.items():
        if head.startswith(magic):
            raise ValueError(f"{path} is compressed with {name}; unpack it or use bgzip or gzip")
    for mark, name in WIDE_MARKS.items():
        if head.startswith(mark):
            raise ValueError(
                f"{path} starts with a {name} byte-order mark; convert it "
                f"(iconv -f {name} -t UTF-8)"
            )
    start = head[:64].rstrip(b"\0")  # NUL bytes at the end of a short file are its end
    if b"\0" in start or not start:
        name = wide_encoding(head)
        raise ValueError(
            f"{path} has NUL bytes at its start; is it {name[:6]} (iconv -f {name} -t UTF-8) or a "
            "binary file?"
        )
    text = head.removeprefix(BYTE_ORDER_MARK).lstrip()
    if not text:
        raise ValueError(f"{path} starts with white space alone; expected FASTA")
    if b"\r" in text and b"\n" not in text:
        raise ValueError(old_mac(path))
    if text.startswith(b"@"):
        raise ValueError(f"{path} starts with '@': FASTQ? Convert it (seqkit fq2fa)")
    if not text.startswith((b">", b";")):
        raise ValueError(
            f"{path} starts with {text[:20].decode('latin-1')!r}; "
            "expected FASTA, a header line that begins with '>'"
        )


def wide_encoding(head: bytes) -> str:
    """Of text with NUL bytes and no mark, by where they stand beside its first letter."""
    nul = "".join("x" if byte else "0" for byte in head[:4])
    known = {"x000": "UTF-32LE", "000x": "UTF-32BE"}
    return known.get(nul) or ("UTF-16BE" if nul.startswith("0x") else "UTF-16LE")


def check_end(plain: Path, shown: Path) -> None:
    """Name a copy that was cut short and left the rest of its room as NUL bytes.

    Raises:
        ValueError: the plain text ends in NUL bytes; says how many.
    """
    with open(plain, "rb") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - BLOCK)
            file.seek(start)
            text = len(file.read(end - start).rstrip(b"\0"))
            end = start + text
            if text:
                break
    if end < size:
        raise ValueError(
            f"{shown}: its last {size - end:,} bytes are NUL, from byte {end:,} on: a copy that "
            "was cut short? Copy or fetch the file again"
        )


def old_mac(shown: Path) -> str:
    """The error for a file that knows no LF."""
    return f"{shown} has lines that end in CR alone (old Mac); convert it (tr '\\r' '\\n')"


def unpack(source: Path, target: Path, progress: Progress) -> None:
    """Stream a gzip or bgzip FASTA into a plain file.

    Raises:
        ValueError: the archive is truncated or damaged, does not hold FASTA, or there is no
            room for the plain text; the error names the space needed.
    """
    with open(source, "rb") as packed, open(target, "wb") as plain:
        check_end_block(source, packed)
        read = 0
        try:
            with gzip.GzipFile(fileobj=packed) as stream:
                while block := stream.read(BLOCK):
                    if plain.tell() == 0:
                        _check_head(source, block)
                    plain.write(block)
                    progress(packed.tell() - read)
                    read = packed.tell()
            plain.flush()
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(
                f"{source}: truncated or damaged gzip data after {plain.tell():,} bytes of text "
                f"({error}); fetch or compress the file again"
            ) from error
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            raise ValueError(_no_room(source, target, packed.tell(), plain.tell())) from error
        if plain.tell() == 0:
            raise ValueError(f"{source} holds no text; expected FASTA")


def check_end_block(source: Path, packed: BinaryIO) -> None:
    """A bgzip file cut between two blocks is sound gzip: only its last block tells."""
    head = packed.read(14)
    if head[3:4] == b"\x04" and head[12:14] == b"BC":
        packed.seek(max(0, identify(packed.fileno()).size - len(_BGZF_END)))
        if packed.read() != _BGZF_END:
            raise DamagedArchiveError(
                f"{source} is truncated: the block that ends a bgzip file is missing; "
                "fetch or compress the file again"
            )
    packed.seek(0)


def _no_room(source: Path, target: Path, read: int, written: int) -> str:
    share = max(read, 1) / max(identify(source).size, 1)
    needed = 2 * max(written, 1) / share  # the plain text and the bases, for a while side by side
    return (
        f"{source} is compressed and is read through the cache, which needs about "
        f"{needed / 1e6:,.0f} MB in {target.parent.parent}; make room there, or name another place "
        "with cache_dir or $DNAMAMBA_CACHE"
    )
