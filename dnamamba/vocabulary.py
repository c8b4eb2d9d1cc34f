"""Which id each letter has: one row a vocabulary, and tables that come with other models.

==========  =======================  ==========  =================================================
row         A C G T                  N           IUPAC codes, special ids
==========  =======================  ==========  =================================================
nucleotide  4 5 6 7                  8           as N; ``<pad> <bos> <eos> <mask>`` 0 to 3
byte        the letter's ASCII code  likewise    likewise; special ids as above, on control bytes
caduceus    7 8 9 10                 4, its PAD  UNK 6; CLS SEP BOS MASK PAD RESERVED 0 to 5
plant...    3 4 5 6                  2, its UNK  as N; PAD MASK UNK 0 to 2
==========  =======================  ==========  =================================================

``caduceus`` and ``plantcaduceus`` are those of the published models. Caduceus was trained with N
read as PAD: the embedding of 11, which its tokenizer gives to N, never was.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from dnamamba.bases import BASES, COMPLEMENT, IUPAC, LETTERS
from dnamamba.lookup import REFUSED

__all__ = ["VOCABULARIES", "Tables", "Vocabulary", "vocabulary"]

_EVERY = tuple(map(chr, LETTERS))
_SPELLING = re.compile(r"(?:[A-Za-z]+=\d+ )*size=\d+")


class Tables(NamedTuple):
    """256 entries each, of one vocabulary under one policy.

    Attributes:
        to_id: byte -> id; 255 marks a refused byte.
        to_byte: id -> the letter it stands for; 0 for none.
        complement: id -> id of the complementary base; an involution.
        scored: id -> 1 for A, C, G, T, U of either case; else 0.
    """

    to_id: bytes
    to_byte: bytes
    complement: bytes
    scored: bytes


class Vocabulary(NamedTuple):
    """A row of the table above.

    Attributes:
        letters: letter -> id. A letter of one case alone stands for both.
        mask: the id of a base that is to be guessed; None: there is none.
        size: V, the number of ids that a model needs.
        other: the id of IUPAC codes that are not among the letters; None: they are refused.
    """

    letters: Mapping[str, int]
    mask: int | None
    size: int
    other: int | None

    @classmethod
    def of(cls, tokens: Mapping[str, int], size: int) -> "Vocabulary":
        """A table that comes with a model.

        Args:
            tokens: letter -> id, of A, C, G, T at least; and of ``mask``, if there is one. IUPAC
                codes that are not among them are read as N, if N is. Empty: nobody knows, and
                every letter is refused.
            size: V, the model's number of ids.

        Raises:
            ValueError: a key that is no letter of DNA, an id out of range or used twice, or
                letters that give no complement; names it.
        """
        for key, value in tokens.items():
            if key != "mask" and key not in _EVERY:
                raise ValueError(
                    f"a table of tokens gives ids to letters of DNA, and to mask; got {key!r:.40}"
                )
            _check_id(key, value, size)
        letters = {
            key: value
            for key, value in tokens.items()
            if len(key) == 1 and (key.isupper() or tokens.get(key.upper()) != value)
        }
        other = letters.get("N", letters.get("n"))
        codes = {letters.get(chr(code)) for code in IUPAC}
        if len(codes) == 1 and None not in codes:  # one id for all of them
            (other,) = codes
            letters = {key: value for key, value in letters.items() if key.encode() not in IUPAC}
        row = cls(letters, tokens.get("mask"), size, other)
        if tokens:
            row._check_bases()
        return row

    @property
    def codes(self) -> dict[str, int]:
        """IUPAC codes whose id is neither among the letters nor that of N."""
        if self.other is None or self.other == self.letters.get("N", self.letters.get("n")):
            return {}
        return {chr(code): self.other for code in IUPAC if chr(code) not in self.letters}

    @property
    def spelling(self) -> str:
        """It as one line, which ``vocabulary`` reads again."""
        pairs = [*self.letters.items(), ("mask", self.mask), ("size", self.size)]
        return " ".join(f"{key}={value}" for key, value in pairs if value is not None)

    def tables(self, iupac: bool, uracil: bool) -> Tables:
        """The look-up tables; ``iupac`` and ``uracil`` say whether these letters are accepted."""
        accepted = BASES + (IUPAC if iupac else b"") + (b"U" if uracil else b"")
        to_id = bytearray([REFUSED]) * 256
        for byte in accepted + accepted.lower():
            token = self._id(chr(byte))
            to_id[byte] = REFUSED if token is None else token
        to_byte, complement, scored = bytearray(256), bytearray(range(256)), bytearray(256)
        if self.other is not None:
            to_byte[self.other] = ord("N")
        for letter, token in self._shown():
            if to_id[letter] == token:
                to_byte[token] = letter
                complement[token] = to_id[COMPLEMENT[letter]]
                scored[token] = bytes([letter]).upper() in b"ACGTU"
        return Tables(bytes(to_id), bytes(to_byte), bytes(complement), bytes(scored))

    def _shown(self) -> Iterator[tuple[int, int]]:
        """Letters and ids, upper case where both cases are one."""
        for letter, token in self.letters.items():
            both = {letter.upper(), letter.lower()} <= self.letters.keys()
            yield ord(letter if both else letter.upper()), token

    def _id(self, letter: str) -> int | None:
        for spelling in (letter, letter.swapcase()):
            if spelling in self.letters:
                return self.letters[spelling]
        if letter in "Uu":
            return self._id("T" if letter == "U" else "t")
        return self.other if letter.upper().encode() in IUPAC else None

    def _check_bases(self) -> None:
        lacking = [base for base in "ACGT" if self._id(base) is None]
        if lacking:
            raise ValueError(
                f"a table of tokens must have A, C, G and T, it lacks {', '.join(lacking)}"
            )
        used: dict[int, str] = {}
        for letter, token in self.letters.items():
            base = letter.upper()
            if used.setdefault(token, base) != base and {used[token], base} & set("ACGT"):
                raise ValueError(f"{used[token]} and {base} have the same id, {token}")
            if base in "ACGT" and token == self.mask:
                raise ValueError(f"{letter} and mask have the same id, {token}")
        pairs = self.tables(iupac=True, uracil=True).complement
        for letter, token in self.letters.items():
            if pairs[token] == REFUSED or pairs[pairs[token]] != token:
                raise ValueError(
                    f"letters give no complement: that of {letter} has no such counterpart; give "
                    "ids to both letters of a pair, and to both cases of it or to one"
                )


def _check_id(key: str, value: object, size: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"the id of {key} must be an integer, got {value!r:.40}")
    if not 0 <= value < min(size, REFUSED):
        most = min(size, REFUSED) - 1
        why = "as the model has" if size <= REFUSED else "for a base takes one byte"
        raise ValueError(f"the id of {key} must be 0 to {most}, {why}, got {value}")
    if value == 0 and len(key) == 1:
        raise ValueError(
            f"{key} has id 0, which fills batches behind the ends of sequences; models whose id 0 "
            "is a base are not read"
        )


VOCABULARIES = {
    "nucleotide": Vocabulary({"A": 4, "C": 5, "G": 6, "T": 7, "N": 8}, mask=3, size=16, other=8),
    "byte": Vocabulary({letter: ord(letter) for letter in _EVERY}, mask=3, size=256, other=None),
    "caduceus": Vocabulary({"A": 7, "C": 8, "G": 9, "T": 10, "N": 4}, mask=3, size=16, other=6),
    "plantcaduceus": Vocabulary({"A": 3, "C": 4, "G": 5, "T": 6, "N": 2}, mask=1, size=8, other=2),
}


@cache
def vocabulary(name: str) -> Vocabulary:
    """The row of this name, or the table that it spells out: ``A=7 C=8 G=9 T=10 mask=3 size=16``.

    Raises:
        ValueError: neither.
    """
    if name in VOCABULARIES:
        return VOCABULARIES[name]
    if not _SPELLING.fullmatch(name):
        *others, last = map(repr, VOCABULARIES)
        raise ValueError(f"tokenizer name must be {', '.join(others)} or {last}, got {name!r:.80}")
    pairs = [pair.split("=") for pair in name.split()]
    tokens = {key: int(value[:9]) for key, value in pairs}
    return Vocabulary.of(tokens, tokens.pop("size"))
