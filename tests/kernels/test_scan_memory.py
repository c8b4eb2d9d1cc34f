"""Peak memory of the PyTorch scan, in a process of its own."""

import subprocess
import sys

SIZES = "B, L, D, N = 1, 8192, 128, 128"  # one tensor of B L D N in fp32: 512 MiB

SCRIPT = f"""
import resource, torch
from dnamamba_kernels import selective_scan
torch.set_num_threads(1)
{SIZES}

def run(L):
    u, delta, z = (torch.randn(B, L, D, requires_grad=True) for _ in range(3))
    A = -torch.rand(D, N)
    b, c = (torch.randn(B, L, N, requires_grad=True) for _ in range(2))
    y, state = selective_scan(u, delta, A.requires_grad_(), b, c, z=z)
    (y.sum() + state.sum()).backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

before = run(64)
print(run(L) - before)
"""


def test_neither_pass_holds_a_tensor_of_batch_length_channels_states() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 128, "MiB, where one tensor of B L D N takes 512"
