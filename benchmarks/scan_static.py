"""What the fused scan asks of an H200, read from its machine code: no GPU is needed, or timed.

    python benchmarks/scan_static.py [--check] [--json benchmarks/results/scan_static.json]

Compiles the kernels for compute capability 9.0 at the tuned shape (bf16, N = 16, with z, D, bias
and softplus), disassembles them, and counts the instructions of the inner loop for each (b, l, d).
From the counts and the rates below follow a bound for each pipe, and from the largest of them and
the bytes moved a predicted time for the shapes of the table. Prediction is not measurement: it
knows no latency, and assumes that the busiest pipe never waits.

``--check`` holds the counts against the committed ones and fails where one has grown.
"""

import argparse
import json
import os
import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import triton
from harness import RESULTS
from scan_shapes import SHAPES
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from dnamamba_kernels.selective_scan.fused import adjoint_summary as adjoint_summary
from dnamamba_kernels.selective_scan.fused import backward as backward
from dnamamba_kernels.selective_scan.fused import forward as forward
from dnamamba_kernels.selective_scan.fused import prepare as prepare
from dnamamba_kernels.selective_scan.fused.plan import STEPS, plan

# An H200: schedulers that issue one warp-instruction a clock, clock, copy bandwidth.
SCHEDULERS, CLOCK, BANDWIDTH = 528, 1.98e9, 4.2e12
# Clocks for which an instruction of one warp holds its pipe in a scheduler's quarter.
SPECIAL, MEMORY, INTEGER = 8, 4, 2

# What each count may be of the committed one: instructions vary a little from Triton to Triton,
# and no more is ever spilled.
TOLERATED = {"issued": 1.1, "special": 1.1, "memory": 1.1, "registers": 1.1, "spilled_bytes": 1.0}

HALF = ["u", "delta", "z", "y", "dy", "dz", "du", "ddelta"]
N = 16
MARKS = "*u8"  # of ``cuts``, where there are marks
REACH = "*i32"  # of the adjoint's summary
CONSTANTS = {
    "cuts": None,
    "reach": REACH,
    "N": N,
    "STEPS": STEPS,
    "SOFTPLUS": True,
    "REVERSE": False,
    "WHOLE": True,
    "CHANNELS": 512,
    "FOLDED": True,
    "ADD": False,
    "U_ROW": 1024,
    "Z_ROW": 1024,
    **dict.fromkeys(["DELTA_ROW", "Y_ROW", "DY_ROW", "DZ_ROW", "DU_ROW", "DDELTA_ROW"], 512),
}
NUMBERS = {"length", "zero", "span", "chunk", "n_spans", "n_chunks", "n_blocks",
           "first", "rows", "all_chunks", "block_stride"}  # fmt: skip
# What the launcher would find divisible by 16.
DIVISIBLE = {"length", "span", "chunk", "rows", "block_stride"}


@dataclass(frozen=True)
class Count:
    """One kernel's inner loop, instructions of a warp for each position (32 channels)."""

    kernel: str
    registers: int
    spilled_bytes: int
    layout_changes: int
    issued: float
    special: float
    memory: float
    integer: float
    bytes: float  # of device memory for each (b, l, d)

    @property
    def clocks(self) -> float:
        """Of a scheduler, for one position of 32 channels."""
        return max(
            self.issued, SPECIAL * self.special, MEMORY * self.memory, INTEGER * self.integer
        )


def compile_kernel(kernel: Any, **options: Any) -> Any:
    """The kernel as the launcher would have it compiled on an H200, ``options`` its constants."""
    signature, constants, attributes = {}, {}, {}
    p, back = plan(1, 2**20, 512, N), kernel is backward.adjoint_kernel
    block, warps = (p.back_block, p.back_warps) if back else (p.block, p.warps)
    if kernel is adjoint_summary.adjoint_summary_kernel:
        block, warps = block // warps, 1
    known = CONSTANTS | {"BLOCK_D": block, "SPREAD": True} | options
    for i, name in enumerate(kernel.arg_names):
        if known.get(name) in (MARKS, REACH):
            signature[name] = known[name]
            attributes[(i,)] = [["tt.divisibility", 16]]
        elif name in known:
            signature[name] = "constexpr"
            constants[(i,)] = known[name]
        elif name in NUMBERS or name.endswith("_batch"):
            signature[name] = "i32"
            if name in DIVISIBLE or name.endswith("_batch") or (back and name == "zero"):
                attributes[(i,)] = [["tt.divisibility", 16]]
        else:
            signature[name] = "*bf16" if name in HALF else "*fp32"
            attributes[(i,)] = [["tt.divisibility", 16]]
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=attributes)
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": warps})


def disassemble(cubin: bytes) -> tuple[list[tuple[int, str]], dict[str, int]]:
    """(address, instruction) in order, and registers and stack bytes."""
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        code, usage = (
            subprocess.run([tool, option, file.name], capture_output=True, text=True, check=True)
            for option in ("-sass", "-res-usage")
        )
    pattern = re.compile(r"^\s+/\*([0-9a-f]{4,})\*/\s+(.*?);", re.MULTILINE)
    instructions = [
        (int(address, 16), text.strip()) for address, text in pattern.findall(code.stdout)
    ]
    used = re.search(r"REG:(\d+) STACK:(\d+)", usage.stdout)
    assert used, usage.stdout
    return instructions, {"registers": int(used[1]), "stack": int(used[2])}


def jumps(instructions: list[tuple[int, str]]) -> list[tuple[int, int]]:
    """From where to where, in order."""
    target = re.compile(r"\bBRA\b.*0x([0-9a-f]+)")
    every = ((address, target.search(text)) for address, text in instructions)
    return [(address, int(jump[1], 16)) for address, jump in every if jump]


def rarer_arm(inside: list[tuple[int, int]]) -> range:
    """Of a loop's jumps ahead: the longer arm of its one branch, which few tiles take, if any."""
    if len(inside) < 2:
        return range(0)
    (at, other), (end, joined) = inside[:2]
    return max(range(at + 1, end + 1), range(other, joined), key=len)


def inner_loop(instructions: list[tuple[int, str]]) -> Counter[str]:
    """Opcodes of the longest loop that holds no other, those apart that only marked tiles meet."""
    all_jumps = jumps(instructions)
    loops = [(to, at) for at, to in all_jumps if to < at]
    inner = [a for a in loops if not any(a != b and a[0] <= b[0] and b[1] <= a[1] for b in loops)]
    low, high = max(inner, key=lambda loop: loop[1] - loop[0])
    rare = rarer_arm([(at, to) for at, to in all_jumps if low < at < to and at < high])
    names = (
        re.sub(r"^@!?\w+\s+", "", text).split()[0]
        for at, text in instructions
        if low <= at <= high and at not in rare
    )
    return Counter(name.split(".")[0] for name in names)


def count(name: str, kernel: Any, n_bytes: float, **options: Any) -> Count:
    compiled = compile_kernel(kernel, **options)
    instructions, usage = disassemble(compiled.asm["cubin"])
    opcodes = inner_loop(instructions)

    def each(*names: str) -> float:
        return sum(opcodes[x] for x in names) / STEPS

    text = compiled.asm["ttgir"]
    changes = [x for x in text[text.find("scf.for") :].splitlines() if "convert_layout" in x]
    return Count(
        kernel=name,
        registers=usage["registers"],
        spilled_bytes=usage["stack"],
        layout_changes=len(changes),
        issued=opcodes.total() / STEPS,
        special=each("MUFU"),
        memory=each("LDG", "STG", "LDS", "STS", "LDSM", "STSM", "SHFL", "LDL", "STL"),
        integer=each(
            "IADD3", "LOP3", "SHF", "ISETP", "FSETP", "FMNMX", "PRMT", "SEL", "FSEL", "LEA"
        ),
        bytes=n_bytes,
    )


def counts() -> dict[str, Count]:
    """Every kernel that walks along the sequence."""
    border = 4 * N / STEPS
    shares = 2 * 4 * N / 32  # of dB and dC
    second = {"REVERSE": True, "ADD": True}
    marked = {"cuts": MARKS}  # rows of several segments
    output, swept = forward.output_kernel, prepare.prepare_kernel
    return {
        name: count(name, kernel, n_bytes, **options)
        for name, kernel, n_bytes, options in (
            ("summary", forward.summary_kernel, 4, {}),
            ("output", output, 8, {}),
            ("… alone", output, 8, {"SPREAD": False}),  # one sweep, without summaries
            ("… first of two", output, 6, {"z": None}),
            ("… second of two", output, 10, second),
            ("prepare", swept, 10 + border, {"y": None}),
            ("… and y", swept, 12 + border, {}),  # within a block
            ("… first, and y", swept, 10 + border, {"dz": None}),
            ("… second, and y", swept, 14 + border, second),
            ("adjoint summary", adjoint_summary.adjoint_summary_kernel, 6, {}),
            ("adjoint", backward.adjoint_kernel, 12 + border + 2 * shares, {}),
            ("summary, with marks", forward.summary_kernel, 4, marked),
            ("output, with marks", output, 8, marked),
            ("prepare and y, with marks", swept, 12 + border, marked),
            ("adjoint, with marks", backward.adjoint_kernel, 12 + border + 2 * shares, marked),
        )
    }


def predict(kernels: dict[str, Count], B: int, L: int, D: int) -> tuple[float, float]:
    """Forward and backward in ms, at the bound of the busiest pipe or of memory."""
    p = plan(B, L, D, N)
    total = B * L * D

    def ms(kernel: Count, share: float, programs: float) -> float:
        busy = min(1.0, programs / SCHEDULERS)
        compute = total / 32 * kernel.clocks / (SCHEDULERS * CLOCK * busy)
        return 1e3 * share * max(compute, total * kernel.bytes / BANDWIDTH)

    blocks = B * -(-D // 32)
    ahead = ms(kernels["output" if p.n_spans > 1 else "… alone"], 1, blocks * p.n_spans)
    if p.n_spans > 1:
        ahead += ms(kernels["summary"], 1 - 1 / p.n_spans, blocks * (p.n_spans - 1))
        ahead += 1e3 * 3 * 4 * B * p.n_spans * N * D / BANDWIDTH  # the carry
    back = sum(ms(kernels[name], 1, blocks * p.n_chunks) for name in ("prepare", "adjoint"))
    return ahead, back


def grown(kernels: list[dict[str, Any]], committed: list[dict[str, Any]]) -> list[str]:
    """A line for every count that is more than ``TOLERATED`` of the committed one."""
    counted = {kernel["kernel"]: kernel for kernel in kernels}
    return [
        f"{before['kernel']}: {count} {counted[before['kernel']][count]}, was {before[count]}"
        for before in committed
        for count, share in TOLERATED.items()
        if counted[before["kernel"]][count] > share * before[count]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the counts and predictions here")
    parser.add_argument("--check", action="store_true", help="fail where a count has grown")
    options = parser.parse_args()
    if os.environ.get("TRITON_INTERPRET") == "1":
        parser.error("TRITON_INTERPRET=1 compiles nothing: unset it")

    kernels = counts()
    print(f"Triton {triton.__version__}, sm_90; for each position of 32 channels, N = {N}")
    print("kernel    issued special memory integer clocks registers spilled layouts")
    for k in kernels.values():
        print(
            f"{k.kernel:8} {k.issued:7.1f} {k.special:7.2f} {k.memory:6.1f} {k.integer:7.1f} "
            f"{k.clocks:6.1f} {k.registers:9} {k.spilled_bytes:7} {k.layout_changes:7}"
        )
    print("\nB, L, D: predicted forward / backward ms (not measured)")
    rows = []
    for shape, bar in SHAPES.items():
        ahead, back = predict(kernels, *shape)
        rows.append({"B, L, D": shape, "forward_ms": ahead, "backward_ms": back})
        print(f"{shape!s:20} {ahead:7.3f} / {back:7.3f}   mamba_ssm, measured: {bar[0]} / {bar[1]}")
    results = {
        "what": "static counts and predictions; nothing here was timed",
        "triton": triton.__version__,
        "kernels": [asdict(k) | {"clocks": k.clocks} for k in kernels.values()],
        "predictions": rows,
    }
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    if options.check:
        committed = json.loads((RESULTS / "scan_static.json").read_text())
        if lines := grown(results["kernels"], committed["kernels"]):
            versions = f"Triton {triton.__version__}, committed with {committed['triton']}"
            raise SystemExit("\n".join([f"grown since the committed counts ({versions}):", *lines]))
        print("no count has grown")


if __name__ == "__main__":
    main()
