"""The convolution in PyTorch: a multiply-add per tap over panels that fit the cache."""
