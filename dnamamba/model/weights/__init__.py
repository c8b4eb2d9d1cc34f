"""From named tensors to a model, and from the names and forms of other implementations and back."""

from dnamamba.model.weights.assemble import assemble, from_published, mismatches
from dnamamba.model.weights.formats import FORMATS, recognised
from dnamamba.model.weights.layout import Format, Layout, as_published, from_layout
from dnamamba.model.weights.parts import refuse_parts

__all__ = [
    "FORMATS",
    "Format",
    "Layout",
    "as_published",
    "assemble",
    "from_layout",
    "from_published",
    "mismatches",
    "recognised",
    "refuse_parts",
]
