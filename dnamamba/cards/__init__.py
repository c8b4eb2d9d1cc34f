"""Model cards: ``README.md`` of a folder that users share, for readers and for the hub."""

from dnamamba.cards.facts import Base, DataFile, Facts
from dnamamba.cards.page import CARD, HERE, card
from dnamamba.cards.settings import CardSettings

__all__ = ["CARD", "HERE", "Base", "CardSettings", "DataFile", "Facts", "card"]
