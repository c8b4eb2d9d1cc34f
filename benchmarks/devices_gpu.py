"""Time one GPU and several: ``fit`` by DDP and in shards, ``embed`` and ``evaluate`` by torchrun.

    python benchmarks/devices_gpu.py [--devices 2] [--jobs fit embed evaluate]
        [--strategies ddp fsdp]
    python benchmarks/devices_gpu.py --small [--device cpu] [--devices 1]

Checks come first, on small inputs: a run of several devices ends with the weights of one that reads
the same global batches, and what the commands write is the same file, byte by byte. Then, on a
genome of random bases:

``fit``, d_model 256 x 8, bf16-mixed, clipped, metrics and guard against NaN as they are by default.
Each device reads what the single one reads, 256 x 1,024 or 2 x 131,072 bases a step. Bases a second
are those of the mean step from the warm-up's end to the last step's, the devices idle at both; the
goal is 1.9 times one device's for two, 0.95 of a device for each.

``embed`` of regions of 2,048 and ``evaluate`` of whole contigs, by a model of that size, from the
command's start to its end. Of either the same command with next to no input is taken off, which
says what starting costs: beside the whole time stands the rest; the goal for it is 1.8 for two.

Results go to ``results/devices_gpu.json``; of ``--small``, the table alone. With ``--devices 1`` a
single one goes the way of several.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from harness import RESULTS, machine, print_table, write_results
from jobs.inputs import FULL, SMALL, Inputs, Sizes
from jobs.processes import JobError, seconds_of
from jobs.runs import step_clock, write_config

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.config import MambaConfig
from dnamamba.model.language_model import LanguageModel

NAME = "devices_gpu"
# Contigs that two devices can share evenly, and a last one that is next to nothing.
SIZES = replace(FULL, contigs=(*[25_000_000] * 8, 8_000), regions=60_000, region_bases=2_048)
TRIAL = replace(SMALL, contigs=(30_000, 30_000, 30_000, 8_000), regions=40)
FITS = {"fit-1k": (256, 1_024), "fit-131k": (2, 131_072)}  # rows of each device, bases of a row
STRATEGIES = ("ddp", "fsdp")
USES = ("embed", "evaluate")
GOALS = {"fit": 0.95, "embed": 0.9, "evaluate": 0.9}  # of a device, for each
WARM_UP, STEPS = 10, 40
TOLERANCE = 1e-3  # of the largest weight: what sums in another order change in a few steps


class Bench:
    """What is timed, on one device or several.

    Args:
        inputs: files, and where outputs go.
        devices: how many the several are.
        small: a trial.
        jobs: ``fit``, ``embed``, ``evaluate``, or some of them.
        strategies: of ``fit``.
    """

    def __init__(
        self,
        inputs: Inputs,
        devices: int,
        small: bool,
        jobs: Sequence[str],
        strategies: Sequence[str],
    ) -> None:
        self.inputs, self.devices, self.small = inputs, devices, small
        self.strategies = strategies if "fit" in jobs else ()
        self.commands = [command for command in USES if command in jobs]
        sizes = (
            MambaConfig(d_model=16, n_layers=2) if small else MambaConfig(d_model=256, n_layers=8)
        )
        self.sizes = {"d_model": sizes.d_model, "n_layers": sizes.n_layers}
        torch.manual_seed(0)
        self.model = checkpoint.save(inputs.folder / "model", LanguageModel(sizes), Tokenizer())

    def check(self) -> list[str]:
        """What was compared, and found the same.

        Raises:
            JobError: something was not.
        """
        said = []
        runs = [
            self._fit(strategy, n, 8, 128, 4, precision="32-true")[0]
            for strategy, n in self._ways().items()
        ]
        for strategy, many in zip(self.strategies, runs[1:], strict=True):
            said.append(f"{strategy}: {_same_weights(runs[0], many)}")
        region = f"chr{len(self.inputs.sizes.contigs)}\t0\t512\n"
        little = self.inputs.folder / "little.bed"
        little.write_text(region * 64)
        for command in self.commands:
            files = [self._use(command, n, little)[1].read_bytes() for n in (None, self.devices)]
            if files[0] != files[1]:
                raise JobError(f"{command}: {self.devices} processes write another file than one")
            said.append(f"{command}: the same {len(files[0]):,} bytes")
        return said

    def fits(self) -> dict[str, Any]:
        """Bases a second by name, strategy and devices."""
        results: dict[str, Any] = {}
        for name, (rows, length) in FITS.items():
            if self.small:
                rows, length = 2, min(length, 256)
            for strategy, n in self._ways().items():
                clock = self._fit(strategy, n, n * rows, length, 3 if self.small else STEPS)[1]
                rate = 1e3 * n * rows * length / clock["mean_ms"]
                key = "one" if strategy == "auto" else strategy
                results.setdefault(name, {})[key] = {"bases_per_s": rate, **clock}
                print(f"{name}, {key}: {rate / 1e6:.2f} Mb/s", flush=True)
        return results

    def uses(self) -> dict[str, Any]:
        """Seconds by command and devices: all of it, and of next to no input."""
        results: dict[str, Any] = {}
        little = self.inputs.folder / "little.bed"
        for command in self.commands:
            for n in (None, self.devices):
                start = self._use(command, n, little)[0]
                whole = self._use(command, n, self.inputs.regions if command == "embed" else None)
                key = "one" if n is None else "several"
                results.setdefault(command, {})[key] = {"seconds": whole[0], "start": start}
                print(f"{command}, {key}: {whole[0]:.1f} s, start {start:.1f} s", flush=True)
        return results

    def _ways(self) -> dict[str, int]:
        """Devices by strategy, one device first; nothing where nothing is trained."""
        several = dict.fromkeys(self.strategies, self.devices)
        return {"auto": 1, **several} if several else {}

    def _fit(
        self,
        strategy: str,
        devices: int,
        rows: int,
        length: int,
        steps: int,
        precision: str = "bf16-mixed",
    ) -> tuple[Path, dict[str, Any]]:
        """The run's folder, and its times."""
        run = self.inputs.output("run")
        times = run.with_name("times.json")
        warm_up = 2 if self.small else WARM_UP
        sections = {
            "data": {
                "genomes": [str(self.inputs.genome)],
                "length": length,
                "global_batch_size": rows,
                "split": {"validation": {"fraction": 0.1}},
            },
            "model": {
                "model": self.sizes,
                "optimizer": {"lr": 1e-3, "warmup_steps": 5, "eps": 1e-4},
            },
        }
        path = write_config(
            self.inputs, run, sections, warm_up + steps, step_clock(times, warm_up),
            devices=devices, strategy=strategy, precision=precision, limit_val_batches=0,
        )  # fmt: skip
        seconds_of("dnamamba", ["fit", "--config", str(path)])
        return run, json.loads(times.read_text())

    def _use(self, command: str, devices: int | None, bed: Path | None) -> tuple[float, Path]:
        """Seconds, and the file that was written; None is without torchrun."""
        written = self.inputs.output("vectors.npz" if command == "embed" else "bits.tsv")
        words = [command, str(self.model), str(self.inputs.genome), "-o", str(written)]
        words += ["--device", self.inputs.device]
        if bed is not None:
            words += ["--bed", str(bed)]
        if devices is None:
            return seconds_of("dnamamba", words), written
        launcher = ["--standalone", f"--nproc-per-node={devices}", "-m", "dnamamba"]
        return seconds_of("torch.distributed.run", [*launcher, *words]), written


def _same_weights(one: Path, other: Path) -> str:
    files = [run / "checkpoints" / "last.ckpt" for run in (one, other)]
    states = [torch.load(f, map_location="cpu", weights_only=True)["state_dict"] for f in files]
    if states[0].keys() != states[1].keys():
        raise JobError(f"{files[1]} holds other weights than {files[0]}")
    largest = max(float(x.abs().max()) for x in states[0].values())
    apart = max(float((x - states[1][name]).abs().max()) for name, x in states[0].items())
    if not apart <= TOLERANCE * largest:
        raise JobError(f"{files[1]} is {apart:.2g} from {files[0]}, whose largest is {largest:.2g}")
    return f"weights within {apart / largest:.1g} of the largest"


def main() -> None:
    arguments = _arguments()
    sizes: Sizes = TRIAL if arguments.small else SIZES
    with tempfile.TemporaryDirectory() as folder:
        inputs = Inputs(Path(folder), sizes, arguments.device)
        chosen = arguments.jobs, arguments.strategies
        bench = Bench(inputs, arguments.devices, arguments.small, *chosen)
        checked = bench.check()
        print("\n".join(checked), flush=True)
        results = {"fits": bench.fits(), "uses": bench.uses()}
    path = RESULTS / f"{NAME}.json"
    if not arguments.small and path.exists():
        results = _joined(json.loads(path.read_text()), results)
    rows = _rows(results, arguments.devices)
    where = torch.cuda.get_device_name() if arguments.device == "cuda" else "CPU"
    columns = ["job", "one", f"{arguments.devices} devices", "times", "goal", "reached"]
    print_table(f"one {where} and {arguments.devices}", columns, rows)
    if not arguments.small:
        about: dict[str, Any] = machine("pytorch-lightning")
        if arguments.device == "cuda":
            about |= {"gpu": where, "cuda": torch.version.cuda}
        about["devices"] = arguments.devices
        write_results(NAME, {"machine": about, "checked": checked, **results})


def _joined(kept: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    """What was measured now in what was measured before."""
    fits = {name: {**kept["fits"].get(name, {}), **results["fits"].get(name, {})} for name in FITS}
    fits = {name: ways for name, ways in fits.items() if ways}
    return {"fits": fits, "uses": {**kept["uses"], **results["uses"]}}


def _rows(results: dict[str, Any], devices: int) -> list[list[str]]:
    rows = []
    for name, ways in results["fits"].items():
        one = ways["one"]["bases_per_s"]
        for strategy in STRATEGIES:
            if strategy not in ways:
                continue
            rate = ways[strategy]["bases_per_s"]
            figures = [f"{x / 1e6:.2f} Mb/s" for x in (one, rate)]
            rows.append([f"{name}, {strategy}", *figures, *_reached(rate / one, "fit", devices)])
    for command, ways in results["uses"].items():
        whole = [ways[key]["seconds"] for key in ("one", "several")]
        work = [ways[key]["seconds"] - ways[key]["start"] for key in ("one", "several")]
        for title, (one, many), goal in (
            (f"{command}, all of it", whole, None),
            (f"{command}, without the start", work, command),
        ):
            times = one / many if many > 0 else 0.0  # of a trial the start is all
            rows.append([title, f"{one:.1f} s", f"{many:.1f} s", *_reached(times, goal, devices)])
    return rows


def _reached(times: float, goal: str | None, devices: int) -> list[str]:
    if goal is None:
        return [f"{times:.2f}", "", ""]
    wanted = GOALS[goal] * devices
    return [f"{times:.2f}", f"{wanted:.2f}", "yes" if times >= wanted else "no"]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--devices", type=int, default=2, help="beside one")
    jobs = ["fit", *USES]
    parser.add_argument("--jobs", nargs="+", choices=jobs, default=jobs)
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=list(STRATEGIES))
    parser.add_argument("--small", action="store_true", help="a trial with tiny inputs")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    arguments = parser.parse_args()
    if arguments.devices < 1:
        parser.error("--devices must be 1 or more")
    if arguments.device == "cuda" and torch.cuda.device_count() < arguments.devices:
        parser.error(
            f"needs {arguments.devices} CUDA devices, there are {torch.cuda.device_count()}; "
            "--small --device cpu tries it without one"
        )
    if arguments.device == "cpu" and not arguments.small:
        parser.error("--device cpu is a trial: add --small")
    return arguments


if __name__ == "__main__":
    main()
