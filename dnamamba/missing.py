"""The words that programs write where they have no value."""

__all__ = ["is_missing", "missing_for_sequence"]

_MISSING = frozenset(
    {"", "na", "n/a", "n.a.", "#n/a", "#n/a n/a", "#na", "<na>", "nan", "-nan", "nat", "null",
     "none", ".", "\\n", "1.#qnan", "-1.#qnan", "1.#ind", "-1.#ind",
     "#value!", "#ref!", "#div/0!", "#num!", "#name?", "#null!"}
)  # fmt: skip
_LONGEST_WORD = max(map(len, _MISSING))
# Words whose letters are all codes of bases, as R, pandas and NumPy spell them.
_SPELT_IN_BASES = {"na": ("NA",), "nan": ("nan", "NaN"), "nat": ("NaT",)}


def is_missing(text: str) -> bool:
    """Whether the cell holds no value: white space alone, or a word such as NA, NaN, null or '.'.

    Case does not matter.
    """
    text = text.strip()
    return len(text) <= _LONGEST_WORD and text.lower() in _MISSING


def missing_for_sequence(text: str) -> str | None:
    """What is wrong with a text that should be a sequence and is the word for a missing value.

    A word that cannot be bases is one in either case. Words that can are so only as programs
    spell them (NA, nan, NaN, NaT): na, NAN and NAT are bases.

    Returns:
        None for a sequence, and for an empty text.
    """
    word = text.strip()
    if not word or not is_missing(word):
        return None
    spelt = _SPELT_IN_BASES.get(word.lower())
    if spelt and word not in spelt:
        return None
    other = word.lower() if word.isupper() else word.upper()
    remedy = f"; if it stands for bases, write it {other!r}" if spelt else ""
    return f"is {word!r}, the word for a missing value; leave it out{remedy}"
