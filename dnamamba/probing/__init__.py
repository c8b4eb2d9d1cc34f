"""What frozen vectors know of labels: learners, k-mers, relatives, and the probe made of them."""
