"""Every error that the page of errors cures can be said by the code."""

import re
from pathlib import Path

from source_texts import OPEN, source_texts

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "errors.md").read_text()
# A message of two lines is put together of two texts.
MESSAGES = [
    line
    for block in re.findall(r"```text\n(.*?)\n```", PAGE, re.DOTALL)
    for line in block.splitlines()
]


def test_the_page_has_the_errors_of_each_part() -> None:
    assert len(MESSAGES) >= 30
    assert len(re.findall(r"^## ", PAGE, re.MULTILINE)) >= 6


def test_the_code_says_each_of_them() -> None:
    texts = source_texts(ROOT / "dnamamba")
    assert [message for message in MESSAGES if not is_said(message, texts)] == []


def test_another_message_is_missed() -> None:
    texts = source_texts(ROOT / "dnamamba")
    assert not is_said("… holds a walk already (…). Resume it", texts)


def is_said(message: str, texts: frozenset[str]) -> bool:
    """Whether a text has the message's words, with anything where it is open."""
    words = re.split(f"{OPEN}+", message)
    longest = max(words, key=len)
    assert len(longest) > 5, message
    pattern = re.compile(".*".join(map(re.escape, words)), re.DOTALL)
    return any(longest in text and pattern.search(text) for text in texts)
