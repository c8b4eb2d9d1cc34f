"""Names that a reader takes for one another, though they are different text."""

import unicodedata
from collections.abc import Iterable

__all__ = ["appearance", "differing", "look_alike"]

# Letters of Greek and Cyrillic that print as Latin ones; quotes and a minus that print as ASCII's.
_LOOK_ALIKE = str.maketrans(
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf\u03c1\u03bd"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0405\u0406\u0408"
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0455\u0456\u0458\u0131\u2018\u2019\u2212",
    "ABEZHIKMNOPTYXopv" + "ABEKMHOPCTYXSIJ" + "aeopcyxsiji''-",
)


def appearance(name: str) -> str:
    """A text that is the same for names that look alike.

    They differ by case, white space, signs that do not print, the Unicode normal form or width
    of a letter, the kind of a dash, or a letter of another alphabet that prints the same.
    """
    text = unicodedata.normalize("NFKC", name).translate(_LOOK_ALIKE)
    seen = (("-" if unicodedata.category(sign) == "Pd" else sign) for sign in text)
    return "".join(s for s in seen if not s.isspace() and s.isprintable()).casefold()


def look_alike(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks like another one."""
    shown = appearance(name)
    return next((other for other in known if other != name and appearance(other) == shown), None)


def differing(first: str, second: str) -> str:
    """In what two names that look alike differ."""
    if "".join(first.split()).casefold() == "".join(second.split()).casefold():
        return "case or white space"
    return f"signs that look alike ({first!a} and {second!a})"
