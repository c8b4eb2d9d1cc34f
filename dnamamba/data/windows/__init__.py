"""Which windows a run reads, and in which order: arithmetic, and the batches made of it."""
