"""Bases and token ids: one byte of FASTA is one token.

A tokenizer is three tables: byte -> id, id -> byte, and id -> id of the complement. Models that are
trained here have one of two; those of others bring their own (``dnamamba.vocabulary``).

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

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dnamamba.bases import IUPAC, LETTERS, complement_bases, why_refused
from dnamamba.containers import letters
from dnamamba.lookup import REFUSED, look_up, look_up_certain
from dnamamba.vocabulary import VOCABULARIES, Tables, Vocabulary
from dnamamba.vocabulary import vocabulary as vocabulary_of

__all__ = ["BOS", "EOS", "LETTERS", "MASK", "PAD", "Tokenizer", "complement_bases", "why_refused"]

PAD, BOS, EOS, MASK = 0, 1, 2, 3

Ids = NDArray[np.uint8]

UNKNOWN = (
    "nobody says which letters this model's ids stand for; give the table that it was trained "
    "with: dnamamba.load(..., tokens={'A': 7, 'C': 8, 'G': 9, 'T': 10, 'N': 11}) with its own ids, "
    "or such a table in a file, `dnamamba convert MODEL OUT --tokens FILE`"
)


@dataclass(frozen=True)
class Tokenizer:
    """A fixed map between the bytes of a sequence and token ids.

    Attributes:
        name: ``nucleotide`` folds case and knows A, C, G, T and N; ``byte`` keeps every
            letter as it stands, case included. Of published models ``caduceus`` or
            ``plantcaduceus``, which fold case too, or a table that came with one, spelt out.
        iupac: what to do with the ambiguity codes R Y S W K M B D H V. ``accept`` reads
            them as N (``caduceus``: as UNK) or keeps them (``byte``); ``error`` refuses them.
        uracil: what to do with U. ``accept`` reads it as T, or keeps it (``byte``); ``error``
            refuses it.

    Gaps, stops, white space, digits and letters of proteins are always refused.

    Raises:
        ValueError: an unknown name or policy.
    """

    name: str = "nucleotide"
    iupac: Literal["accept", "error"] = "accept"
    uracil: Literal["accept", "error"] = "accept"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ValueError(f"tokenizer name must be text, got {self.name!r:.80}")
        vocabulary_of(self.name)
        for policy in ("iupac", "uracil"):
            if getattr(self, policy) not in ("accept", "error"):
                raise ValueError(
                    f"{policy} must be 'accept' or 'error', got {getattr(self, policy)!r}"
                )

    @classmethod
    def of_tokens(cls, tokens: Mapping[str, int], vocab_size: int) -> "Tokenizer":
        """The tokenizer of a model that was trained elsewhere, by its table.

        Args:
            tokens: letter -> id: A, C, G, T, and what else was trained of N, U and IUPAC codes; of
                one case, or of both. ``mask`` too, where the model has it. Empty: nobody knows,
                and every letter is refused.
            vocab_size: V, the number of ids that the model has.

        Raises:
            ValueError: a key that is no letter, an id out of range or used twice; names it.
        """
        row = Vocabulary.of(tokens, vocab_size)
        tables = row.tables(iupac=True, uracil=True)
        for name, known in VOCABULARIES.items():
            same = (known.size, known.mask) == (row.size, row.mask)
            if same and known.tables(iupac=True, uracil=True) == tables:
                return cls(name)
        return cls(row.spelling)

    @property
    def known(self) -> bool:
        """Whether any letter has an id; of some models trained elsewhere nobody says which."""
        return bool(vocabulary_of(self.name).letters)

    @property
    def tokens(self) -> dict[str, int]:
        """The table of which ``of_tokens`` makes this vocabulary again; policies are not in it."""
        row = vocabulary_of(self.name)
        mask = {} if row.mask is None else {"mask": row.mask}
        return {**row.letters, **row.codes, **mask}

    @property
    def vocab_size(self) -> int:
        """V, the number of ids a model needs."""
        return vocabulary_of(self.name).size

    @property
    def base_ids(self) -> tuple[int, int, int, int]:
        """The ids of A, C, G and T, in this order: what ``generate`` draws from.

        Raises:
            ValueError: nobody says what the ids of this model stand for.
        """
        if not self.known:
            raise ValueError(UNKNOWN)
        a, c, g, t = (_tables(self).to_id[base] for base in b"ACGT")
        return a, c, g, t

    @property
    def mask(self) -> int | None:
        """The id that stands for a base which is to be guessed; None: there is none."""
        return vocabulary_of(self.name).mask

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
        """(256,) True for ids that a loss counts: A, C, G, T, U; not N, IUPAC codes or specials."""
        return np.frombuffer(_tables(self).scored, dtype=np.bool_)

    def encode(self, sequence: Any, *, contig: str = "sequence", start: int = 0) -> Ids:
        """Token ids of a sequence.

        Args:
            sequence: text, bytes, or another form of ``dnamamba.containers``.
            contig: name used in the error.
            start: 0-based position of the first base on the contig, used in the error.

        Returns:
            (L,) uint8, a fresh array.

        Raises:
            ValueError: a byte that the policy refuses; names contig and 0-based position. Or no
                sequence at all.
        """
        raw = letters(sequence, contig)
        ids = np.empty(len(raw), dtype=np.uint8)
        at = look_up(self.table, np.frombuffer(raw, dtype=np.uint8), ids)
        if at >= 0:
            raise ValueError(self.refusal(raw[at], contig, start + at))
        return ids

    def encode_into(self, raw: Ids, out: Ids, letters: bytes | None = None) -> None:
        """Token ids of a batch of windows, written into an array of the caller.

        Args:
            raw: uint8 of any shape, C-contiguous; bytes of bases.
            out: uint8 of the same shape, C-contiguous, other memory; receives the ids.
            letters: the only bytes that occur in ``raw``, where that is known, as of a ``Genome``;
                without IUPAC codes among them the look-up takes half the time. The caller's word
                is taken.

        Raises:
            ValueError: the shapes differ, or the policy refuses a byte; names its index.
        """
        if raw.shape != out.shape or not (raw.flags.c_contiguous and out.flags.c_contiguous):
            raise ValueError(
                f"raw {raw.shape} and out {out.shape} must be C-contiguous and of one shape"
            )
        flat, ids = raw.reshape(-1), out.reshape(-1)
        done = look_up_certain(flat, ids) if self._is_certain(letters) else 0
        at = look_up(self.table, flat[done:], ids[done:])
        if at >= 0:
            index = tuple(int(i) for i in np.unravel_index(done + at, raw.shape))
            where = f"batch index {index[:-1]}"
            raise ValueError(self.refusal(int(flat[done + at]), where, index[-1]))

    def decode(self, ids: ArrayLike | bytes, *, skip_special: bool = False) -> str:
        """Bases of token ids (L,), upper case under ``nucleotide``.

        Raises:
            ValueError: an id that stands for no base (unless ``skip_special``); names it.
        """
        numbers = np.frombuffer(ids, dtype=np.uint8) if isinstance(ids, bytes) else np.asarray(ids)
        shown = np.frombuffer(_tables(self).to_byte, dtype=np.uint8)
        known = (numbers >= 0) & (numbers < len(shown))
        letters = np.where(known, shown[np.where(known, numbers, 0).astype(np.intp)], 0)
        if skip_special:
            return letters[letters > 0].astype(np.uint8).tobytes().decode("ascii")
        if len(none := np.flatnonzero(letters == 0)):
            raise ValueError(f"id {numbers[none[0]]} at position {none[0]} stands for no base")
        return letters.astype(np.uint8).tobytes().decode("ascii")

    def complement(self, ids: Ids) -> Ids:
        """Ids of the complementary bases, same order; special ids stay."""
        return np.frombuffer(self.complement_table, dtype=np.uint8)[ids]

    def reverse_complement(self, ids: Ids) -> Ids:
        """Ids of the opposite strand read 5' to 3'. Applying it twice gives ``ids``."""
        return self.complement(ids)[..., ::-1]

    @staticmethod
    def soft_mask(sequence: bytes | Ids) -> NDArray[np.bool_]:
        """True where a base of the sequence, bytes or an array of them, is lower case."""
        raw = np.frombuffer(sequence, np.uint8) if isinstance(sequence, bytes) else sequence
        return (raw & 0x20).astype(np.bool_)

    def accepts(self, byte: int) -> bool:
        """Whether the byte has an id under this policy."""
        return self.table[byte] != REFUSED

    def refusal(self, byte: int, contig: str, position: int) -> str:
        """The error for a byte that the policy refuses, at a 0-based position of a contig."""
        where = f"{contig}, position {position:,} (0-based)"
        letter = bytes([byte]).upper()
        if letter in IUPAC and self.iupac == "error":
            return (
                f"{where}: {chr(byte)!r} is an IUPAC code; set tokenizer.iupac=accept to allow it"
            )
        if letter == b"U" and self.uracil == "error":
            return f"{where}: {chr(byte)!r} is uracil; set tokenizer.uracil=accept to allow it"
        if not self.known:
            return f"{where}: {UNKNOWN}"
        if byte in LETTERS:
            return f"{where}: {chr(byte)!r} has no id in this model's table; give N an id there"
        return f"{where}: {why_refused(byte)}"

    def _is_certain(self, letters: bytes | None) -> bool:
        return (
            letters is not None
            and self.name == "nucleotide"
            and not letters.translate(None, b"ACGTNUacgtnu")
            and all(map(self.accepts, letters))
        )


@cache
def _tables(tokenizer: Tokenizer) -> Tables:
    row = vocabulary_of(tokenizer.name)
    return row.tables(tokenizer.iupac == "accept", tokenizer.uracil == "accept")
