"""Sequences with labels: from tables and FASTA to batches."""

from dnamamba.data.labelled.codec import Codec
from dnamamba.data.labelled.examples import Fields
from dnamamba.data.labelled.labels import Labels
from dnamamba.data.labelled.length import Length
from dnamamba.data.labelled.splits import Split

__all__ = ["Codec", "Fields", "Labels", "Length", "Split"]
