"""Bases and token ids: one byte of FASTA is one token.

A tokenizer is three tables: byte -> id, id -> byte, and id -> id of the complement.

==========  ===========================================  ==============================
ids         ``nucleotide`` (vocabulary 16)               ``byte`` (vocabulary 256)
==========  ===========================================  ==============================
0 1 2 3     ``<pad> <bos> <eos> <mask>``                 the same, on control bytes
4 5 6 7 8   A C G T N (lower case: the same ids)         unused control bytes
9-15        reserved                                     unused control bytes
the rest    none                                         the letter's ASCII code
==========  ===========================================  ==============================

The ids are part of the file format of checkpoints and never change. Reserved ids keep the
vocabulary a multiple of eight, which half-precision matrix units ask for.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["BOS", "EOS", "MASK", "PAD", "Tokenizer"]

PAD, BOS, EOS, MASK = 0, 1, 2, 3

Ids = NDArray[np.uint8]

_BASES = b"ACGTN"
_IUPAC = b"RYSWKMBDHV"
# U is its own complement here, so that reverse_complement is an involution: A pairs with T.
_COMPLEMENT = bytes.maketrans(b"ACGTRYSWKMBDHVacgtryswkmbdhv", b"TGCAYRSWMKVHDBtgcayrswmkvhdb")
_REFUSED = 255


class _Tables(NamedTuple):
    to_id: bytes
    to_byte: bytes
    complement: bytes
    scored: bytes


@dataclass(frozen=True)
class Tokenizer:
    """A fixed map between the bytes of a sequence and token ids.

    Attributes:
        name: ``nucleotide`` folds case and knows A, C, G, T and N; ``byte`` keeps every
            letter as it stands, case included.
        iupac: what to do with the ambiguity codes R Y S W K M B D H V. ``accept`` reads
            them as N (``nucleotide``) or keeps them (``byte``); ``error`` refuses them.
        uracil: what to do with U. ``accept`` reads it as T (``nucleotide``) or keeps it
            (``byte``); ``error`` refuses it.

    Gaps, stops, white space, digits and letters of proteins are always refused.

    Raises:
        ValueError: an unknown name or policy.
    """

    name: Literal["nucleotide", "byte"] = "nucleotide"
    iupac: Literal["accept", "error"] = "accept"
    uracil: Literal["accept", "error"] = "accept"

    def __post_init__(self) -> None:
        if self.name not in ("nucleotide", "byte"):
            raise ValueError(f"tokenizer name must be 'nucleotide' or 'byte', got {self.name!r}")
        for policy in ("iupac", "uracil"):
            if getattr(self, policy) not in ("accept", "error"):
                raise ValueError(
                    f"{policy} must be 'accept' or 'error', got {getattr(self, policy)!r}"
                )

    @property
    def vocab_size(self) -> int:
        """V, the number of ids a model needs."""
        return 16 if self.name == "nucleotide" else 256

    @property
    def base_ids(self) -> tuple[int, int, int, int]:
        """The ids of A, C, G and T, in this order: what ``generate`` draws from."""
        a, c, g, t = (_tables(self).to_id[base] for base in b"ACGT")
        return a, c, g, t

    @property
    def table(self) -> bytes:
        """256 entries, byte -> id; 255 marks a refused byte."""
        return _tables(self).to_id

    @property
    def complement_table(self) -> bytes:
        """256 entries, id -> id of the complementary base; an involution."""
        return _tables(self).complement

    @property
    def scored(self) -> NDArray[np.bool_]:
        """(256,) True for ids that a loss counts: A, C, G, T; not N, IUPAC codes or specials."""
        return np.frombuffer(_tables(self).scored, dtype=np.bool_)

    def encode(self, sequence: bytes | str, *, contig: str = "sequence", start: int = 0) -> Ids:
        """Token ids of a sequence.

        Args:
            sequence: bases, one byte each.
            contig: name used in the error.
            start: 0-based position of the first base on the contig, used in the error.

        Returns:
            (L,) uint8, a fresh array.

        Raises:
            ValueError: a byte that the policy refuses; names contig and 0-based position.
        """
        raw = sequence.encode("latin-1", "replace") if isinstance(sequence, str) else sequence
        ids = raw.translate(_tables(self).to_id)
        at = ids.find(_REFUSED)
        if at >= 0:
            raise ValueError(self._refusal(raw[at], contig, start + at))
        return np.frombuffer(bytearray(ids), dtype=np.uint8)

    def decode(self, ids: Ids | bytes | list[int], *, skip_special: bool = False) -> str:
        """Bases of token ids, upper case under ``nucleotide``.

        Raises:
            ValueError: an id that stands for no base (unless ``skip_special``); names it.
        """
        raw = (
            bytes(bytearray(np.asarray(ids, dtype=np.uint8))) if not isinstance(ids, bytes) else ids
        )
        text = raw.translate(_tables(self).to_byte)
        if skip_special:
            return text.replace(b"\0", b"").decode("ascii")
        at = text.find(0)
        if at >= 0:
            raise ValueError(f"id {raw[at]} at position {at} stands for no base")
        return text.decode("ascii")

    def complement(self, ids: Ids) -> Ids:
        """Ids of the complementary bases, same order; special ids stay."""
        return np.frombuffer(self.complement_table, dtype=np.uint8)[ids]

    def reverse_complement(self, ids: Ids) -> Ids:
        """Ids of the opposite strand read 5' to 3'. Applying it twice gives ``ids``."""
        return self.complement(ids)[..., ::-1]

    @staticmethod
    def soft_mask(sequence: bytes) -> NDArray[np.bool_]:
        """(L,) True where the base is lower case (soft-masked)."""
        return (np.frombuffer(sequence, dtype=np.uint8) & 0x20).astype(np.bool_)

    def _refusal(self, byte: int, contig: str, position: int) -> str:
        shown = repr(chr(byte)) if 32 < byte < 127 else f"byte 0x{byte:02x}"
        where = f"{contig}, position {position} (0-based): {shown}"
        upper = bytes([byte]).upper()
        if upper in (bytes([b]) for b in _IUPAC):
            return f"{where} is an IUPAC code; set tokenizer.iupac=accept to allow it"
        if upper == b"U":
            return f"{where} is uracil; set tokenizer.uracil=accept to allow it"
        if upper in (b"E", b"F", b"I", b"J", b"L", b"O", b"P", b"Q", b"X", b"Z"):
            return f"{where} is no nucleotide; is this a protein sequence?"
        return f"{where} is no nucleotide; only letters of DNA or RNA are accepted"


def _both_cases(letters: bytes) -> bytes:
    return letters + letters.lower()


@cache
def _tables(tokenizer: Tokenizer) -> _Tables:
    accepted = _both_cases(_BASES)
    if tokenizer.iupac == "accept":
        accepted += _both_cases(_IUPAC)
    if tokenizer.uracil == "accept":
        accepted += _both_cases(b"U")

    to_id = bytearray([_REFUSED]) * 256
    to_byte = bytearray(256)
    complement = bytearray(range(256))
    scored = bytearray(256)
    for byte in accepted:
        if tokenizer.name == "byte":
            token, shown, pair = byte, byte, _COMPLEMENT[byte]
        else:
            folded = bytes([byte]).upper().replace(b"U", b"T")
            base = _BASES.find(folded) if folded in _BASES else _BASES.find(b"N")
            token, shown = 4 + base, _BASES[base]
            pair = 4 + _BASES.find(_COMPLEMENT[shown])
        to_id[byte] = token
        to_byte[token] = shown
        complement[token] = pair
        scored[token] = bytes([shown]).upper() in (b"A", b"C", b"G", b"T")
    return _Tables(bytes(to_id), bytes(to_byte), bytes(complement), bytes(scored))
