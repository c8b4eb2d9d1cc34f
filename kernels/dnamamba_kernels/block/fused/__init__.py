"""The layer on Triton: one pair of operators (``operators``), its forward and its backward."""
