"""Ways to mix along the sequence, one file each."""
