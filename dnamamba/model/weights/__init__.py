"""From named tensors to a model, and from the names and forms of other implementations."""

from dnamamba.model.weights.assemble import assemble, from_published, mismatches

__all__ = ["assemble", "from_published", "mismatches"]
