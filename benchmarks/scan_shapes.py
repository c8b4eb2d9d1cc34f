"""The shapes at which the scan is timed and predicted, and what the field's kernel takes there."""

__all__ = ["SHAPES"]

# B, L, D; mamba_ssm's CUDA kernel on an H200, forward and backward, in ms.
SHAPES = {
    (1, 1_048_576, 512): (11.1, 60.6),
    (1, 1_048_576, 256): (9.96, 26.3),
    (8, 131_072, 512): (11.1, 41.0),
    (1, 131_072, 512): (1.46, 7.35),
    (1, 16_384, 512): (0.186, 0.925),
    (64, 1_024, 512): (0.563, 2.30),
    (8, 2_048, 1536): (0.447, 1.74),
}
