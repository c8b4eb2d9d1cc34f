"""Time the fused scan on one GPU: checks first, then the card's ceilings, then the table.

    python benchmarks/scan_gpu.py [--repeats 30]

bf16, N = 16, with z, D, bias and softplus, u and z halves of one projection. Times are medians of
CUDA-graph replays between events, each replay on another set of inputs where they would fit in the
L2 cache. ``mamba_ssm`` is timed beside it if it is installed; otherwise its figures measured on an
H200 stand in.
"""

import argparse
import statistics
from collections.abc import Callable, Sequence

import torch
import triton
import triton.language as tl
from harness import machine, print_table, write_results
from scan_shapes import SHAPES
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from dnamamba_kernels import selective_scan

N = 16
GOALS = {
    (1, 1_048_576, 512): (5.5, 13.0),
    (1, 1_048_576, 256): (3.0, 6.5),
    (8, 131_072, 512): (5.0, 12.0),
    (1, 131_072, 512): (0.75, 1.8),
    (1, 16_384, 512): (0.12, 0.30),
    (64, 1_024, 512): (0.30, 0.75),
    (8, 2_048, 1536): (0.25, 0.60),
}
Work = Callable[[], object]


def inputs(B: int, L: int, D: int, seed: int) -> list[Tensor]:
    """u, delta, A, B, C, D, z, delta_bias as a model at its start would pass them."""
    generator = torch.Generator("cuda").manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device="cuda", dtype=torch.bfloat16)

    both, x_proj = random(B, L, 2 * D), random(B, L, 2 * N)
    A = -torch.arange(1, N + 1, device="cuda").float().expand(D, N).contiguous()
    bias = torch.empty(D, device="cuda").uniform_(1e-3, 1e-1, generator=generator)
    return [
        both[..., :D], random(B, L, D) / 4, A, x_proj[..., :N], x_proj[..., N:],
        torch.ones(D, device="cuda"), both[..., D:], torch.log(torch.expm1(bias)),
    ]  # fmt: skip


def milliseconds(works: Sequence[Work], repeats: int) -> float:
    """Median device time of one call; ``works`` are the same work on different data, in turn."""
    graphs = []
    for work in works:
        work()  # compiles, and fills the allocator
        graph = torch.cuda.CUDAGraph()
        # On the stream of the forward, where autograd runs the backward too.
        with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
            work()
        graphs.append(graph)
    times = []
    for i in range(repeats + 3):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        graphs[i % len(graphs)].replay()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times[3:])


def differentiated(call: Callable[..., Tensor], values: Sequence[Tensor]) -> Work:
    """The backward alone of one call, every gradient."""
    leaves = [x.detach().requires_grad_() for x in values]
    y = call(*leaves)
    dy = torch.randn_like(y)
    return lambda: torch.autograd.grad(y, leaves, dy, retain_graph=True)


def check() -> dict[str, float]:
    """Relative errors against the PyTorch scan in fp64; raises where one is too large."""
    errors = {}
    values = inputs(2, 3000, 96, seed=1)
    leaves = [x.detach().requires_grad_() for x in values]
    exact = [x.detach().double().requires_grad_() for x in values]
    y, expected = selective_scan(*leaves)[0], selective_scan(*exact, backend="torch")[0]
    dy = torch.randn_like(y)
    got = [y, *torch.autograd.grad(y, leaves, dy)]
    truth = [expected, *torch.autograd.grad(expected, exact, dy.double())]
    names = ("y", "du", "ddelta", "dA", "dB", "dC", "dD", "dz", "ddelta_bias")
    for name, a, b in zip(names, got, truth, strict=True):
        errors[name] = ((a.double() - b).norm() / b.norm()).item()
        limit = 1.7e-3 if name == "y" else 4e-3
        if not errors[name] <= limit:
            raise SystemExit(f"{name} is wrong: relative error {errors[name]:.2e} > {limit}")
    return errors


@triton.jit
def exponentials(out, rounds, BLOCK: tl.constexpr, CHAINS: tl.constexpr):  # type: ignore[no-untyped-def]
    """CHAINS independent chains of x -> 2^-x in every thread: nothing but the special unit."""
    chain = tl.arange(0, CHAINS)[:, None]
    x = (chain + tl.arange(0, BLOCK)[None, :]).to(tl.float32) / (BLOCK + CHAINS)
    for _ in range(rounds):
        x = tl.exp2(-x)
    tl.store(out + tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.sum(x, 0))


def ceilings(repeats: int) -> dict[str, float]:
    """Bytes copied and fp32 exponentials taken in a second."""
    source = torch.randn(2**28, device="cuda")
    target = torch.empty_like(source)
    # A kernel, as ours are: a captured copy_ is left to the copy engines, which are slower.
    copy = milliseconds([lambda: torch.mul(source, 1.0, out=target)], repeats)
    programs, rounds, block, chains = 132 * 64, 1000, 32, 16
    grid = (programs,)
    exp2 = milliseconds(
        [lambda: exponentials[grid](target, rounds, BLOCK=block, CHAINS=chains, num_warps=1)],
        repeats,
    )
    return {
        "copy_TB_per_s": 2 * source.nbytes / copy / 1e9,
        "exp2_T_per_s": programs * rounds * block * chains / exp2 / 1e9,
    }


def theirs(values: Sequence[Tensor]) -> tuple[Callable[..., Tensor], list[Tensor]] | None:
    """mamba_ssm's scan and the same inputs in its layout (B, D, L), if it is installed."""
    try:
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
    except ImportError:
        return None
    u, delta, A, B, C, D, z, bias = values
    u, delta, z, B, C = (x.transpose(1, 2).contiguous() for x in (u, delta, z, B, C))

    def call(*x: Tensor) -> Tensor:
        out: Tensor = selective_scan_fn(*x, delta_softplus=True)
        return out

    return call, [u, delta, A, B, C, D, z, bias]


def ours(*values: Tensor) -> Tensor:
    return selective_scan(*values, backend="triton")[0]


def time_both(call: Callable[..., Tensor], sets: Sequence[list[Tensor]], n: int) -> list[float]:
    with torch.no_grad():
        ahead = milliseconds([lambda v=v: call(*v) for v in sets], n)  # type: ignore[misc]
    return [ahead, milliseconds([differentiated(call, v) for v in sets], n)]


def by_kernel(values: Sequence[Tensor], repeats: int) -> dict[str, float]:
    """Milliseconds of each of our kernels in one forward and one backward."""
    leaves = [x.detach().requires_grad_() for x in values]

    def both() -> None:
        y = ours(*leaves)
        torch.autograd.grad(y, leaves, y)

    both()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        for _ in range(repeats):
            both()
        torch.cuda.synchronize()
    return {
        event.key.removesuffix("_kernel"): event.self_device_time_total / repeats / 1e3
        for event in profiled.key_averages()
        if event.key.endswith("_kernel")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=30, help="replays per figure")
    repeats = parser.parse_args().repeats
    if not torch.cuda.is_available():
        parser.error("needs a CUDA device; scan_static.py predicts without one")

    torch.cuda.set_stream(torch.cuda.Stream())  # the default stream cannot be captured
    results = {
        "gpu": torch.cuda.get_device_name(),
        "machine": machine("triton"),
        "errors": check(),
        "ceilings": ceilings(repeats),
        "mamba_ssm": "measured here",
    }
    rows = []
    for shape, bar in SHAPES.items():
        B, L, D = shape
        small = B * L * D * 8 < 2**28  # the inputs would stay in the L2 cache
        sets = [inputs(B, L, D, seed) for seed in range(4 if small else 1)]
        ahead, back = time_both(ours, sets, repeats)
        other = theirs(sets[0])
        if other is None:
            results["mamba_ssm"], beside = "not installed: measured before, on an H200", list(bar)
        else:
            beside = time_both(other[0], [other[1]], repeats)
        rows.append([shape, ahead, back, *GOALS[shape], *beside])
        del sets, other
        torch.cuda.empty_cache()
    # Of as many positions in short rows: what the cuts of a long one cost.
    short = time_both(ours, [inputs(64, 16_384, 512, 0)], repeats)
    results["1M_against_64_times_16k"] = [a / b for a, b in zip(rows[0][1:3], short, strict=True)]
    longest = next(iter(SHAPES))
    results["kernels_ms"] = parts = by_kernel(inputs(*longest, 0), repeats)
    columns = ["B, L, D", "forward", "backward", "goal f.", "goal b.", "mamba_ssm f.", "b."]
    print_table(
        "ms", columns, [[*map(str, row[:1]), *(f"{x:.3f}" for x in row[1:])] for row in rows]
    )
    shown = [[name, f"{ms:.3f}"] for name, ms in sorted(parts.items(), key=lambda x: -x[1])]
    print_table(f"{longest}, forward and backward", ["kernel", "ms"], shown)
    print("L = 1 M against 64 times 16 k, forward, backward:", results["1M_against_64_times_16k"])
    print(results["errors"], results["ceilings"])
    write_results("scan_gpu", {**results, "columns": columns, "rows": rows})


if __name__ == "__main__":
    main()
