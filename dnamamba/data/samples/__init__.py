"""Numbered samples: which record is the i-th, whose batch it is, and the loader of batches.

What sample i is and how it is read is a pure function of the seed and i, which runs on across
epochs: nothing is carried from sample to sample, so that shards, workers and a resume at any step
are arithmetic on i.
"""
