"""A finished run held against its baselines: table, Markov chains, loss curve."""
