"""Time what a user waits for on one GPU, from the command to the result, beside the goals.

    python benchmarks/jobs_gpu.py [--jobs NAME ...] [--label before] [--profile NAME]
    python benchmarks/jobs_gpu.py --small --device cpu

Inputs are random and the same each time: a genome of 25 Mb in four contigs, regions, variants and
labelled sequences, in a temporary folder. The model is the packaged one, d_model 128 x 4. Commands
run as processes of their own, twice: between the two the result of the first is checked against
the slow way (single calls, plain forward passes); the second counts, the first stands beside it,
and in the results what ``import torch`` alone took just then.
``model.embed`` and mutagenesis are calls from Python with the model loaded. ``fit`` trains with a
configuration as those in ``configs``: metrics file, guard against NaN, log and bar as they are by
default, clipped gradients, bf16-mixed. Its figure is the time from the end of the warm-up to the
end of the last step, the device idle at both, by the number of steps (30 and 225 of
classification); the median beside it is of time stamps at which nothing waits. The larger model's
is a share: bases a second of ``fit`` by those of ``model_gpu.train`` in the same process.

Results go to ``results/jobs_gpu.json`` after each job, under the label; those of other jobs and
labels stay. Of ``--small``, a trial, the table alone.

The budget of a job, ``embed`` of 50,000 x 512 (25.6 Mb), on an H200:

    in                 25.6 MB from the page cache, looked up once; 2 MB of BED
    to the device      25.6 MB as uint8, 1 ms
    batches            524,288 bases each, 1,023 rows: 49
    products           4 layers x 220 kFLOP a base: 22.6 TFLOP, 0.4 s in fp32, 0.1 s in TF32
    scan               4 layers x 256 x 16 exponentials a base: 0.42 T, 0.1 s
    launches           about 10 a layer and 20 around them: 60 a batch, 3,000 in all
    out                50,000 x 128 fp32: 25.6 MB, one copy a batch, one write a part
    start              Python, PyTorch, the model and CUDA's context: 3 to 4 s

so that of 6 s about 2 are left for reading, encoding and writing on the host.
"""

import argparse
import json
import os
import tempfile
import traceback
from pathlib import Path
from typing import Any

import torch
from harness import RESULTS, machine, print_table, write_results
from jobs.commands import USES
from jobs.fits import FITS
from jobs.inputs import FULL, SMALL, Inputs
from jobs.job import Job
from jobs.profile import profile

NAME = "jobs_gpu"
JOBS = {job.name: job for job in (*FITS, *USES)}
LABELS = ("before", "after")


def main() -> None:
    arguments = _arguments()
    if arguments.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    sizes = SMALL if arguments.small else FULL
    with tempfile.TemporaryDirectory() as folder:
        inputs = Inputs(Path(folder), sizes, arguments.device)
        if arguments.profile:
            profile(JOBS[arguments.profile].in_process(inputs))
            return
        results = _results(arguments.label, arguments.device)
        measured: dict[str, Any] = results[arguments.label]["jobs"]
        failed = []
        for name in arguments.jobs:
            print(f"{name} ...", flush=True)
            job = JOBS[name]
            about = {"title": job.title, "unit": job.unit, "goal": job.goal, "today": job.today}
            try:
                measured[name] = {**about, **job.measure(inputs)}
            except Exception:  # the other jobs may do: a machine with a GPU is dear
                traceback.print_exc()
                failed.append(name)
                continue
            torch_s = measured[name].get("import_torch")
            beside = f"; import torch alone {torch_s:.2f} s" if torch_s else ""
            print(f"{name}: {measured[name]['figure']:.3f} {job.unit}{beside}")
            print(f"    {measured[name]['checked']}")
            if not arguments.small:
                write_results(NAME, results)
    print_table(_title(arguments), *_table(results))
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS), metavar="NAME")
    parser.add_argument("--small", action="store_true", help="a trial with tiny inputs")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--label", choices=LABELS, default="after", help="of the results")
    parser.add_argument("--profile", choices=JOBS, metavar="NAME", help="look into one job instead")
    parser.epilog = f"jobs: {', '.join(JOBS)}"
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("needs a CUDA device; --small --device cpu tries the jobs without one")
    if arguments.device == "cpu" and not arguments.small:
        parser.error("--device cpu is a trial: add --small")
    return arguments


def _results(label: str, device: str) -> dict[str, Any]:
    """What was measured before, by label, with this machine for the label that is measured now."""
    path = RESULTS / f"{NAME}.json"
    kept = json.loads(path.read_text()) if device == "cuda" and path.exists() else {}
    results: dict[str, Any] = {name: kept[name] for name in LABELS if name in kept}
    about: dict[str, Any] = machine("pytorch-lightning")
    if device == "cuda":
        import triton

        about |= {
            "gpu": torch.cuda.get_device_name(),
            "cuda": torch.version.cuda,
            "triton": triton.__version__,
        }
    jobs = results.get(label, {}).get("jobs", {})
    results[label] = {"machine": about, "jobs": jobs}
    return results


def _title(arguments: argparse.Namespace) -> str:
    where = torch.cuda.get_device_name() if arguments.device == "cuda" else "the CPU"
    return f"end to end on {where}{', tiny inputs' if arguments.small else ''}"


def _table(results: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of all that was measured, under either label."""
    labels = [label for label in LABELS if label in results]
    columns = ["job", "today", "goal"]
    for label in labels:
        columns += [f"{label}, first", label]
    rows = []
    for name, job in JOBS.items():
        measured = [results[label]["jobs"].get(name) for label in labels]
        if any(measured):
            cells = [cell for one in measured for cell in _cells(one)]
            goal = "10 times faster" if job.goal is None else f"{job.goal:g} {job.unit}"
            rows.append([name, job.today, goal, *cells, _reached(job, measured)])
    return [*columns, "reached"], rows


def _cells(measured: dict[str, Any] | None) -> list[str]:
    """The first run's figure and the one that counts."""
    if measured is None:
        return ["", ""]
    first = "" if measured["first"] is None else f"{measured['first']:.2f}"
    return [first, f"{measured['figure']:.2f}"]


def _reached(job: Job, measured: list[dict[str, Any] | None]) -> str:
    """Whether the goal is, by the newest label; without a goal how many times faster it is."""
    figures = [one["figure"] for one in measured if one]
    if job.goal is None:
        return f"{figures[0] / figures[1]:.1f} times" if len(figures) == 2 else ""
    return "yes" if measured[-1] and job.reached(figures[-1]) else "no"


if __name__ == "__main__":
    main()
