"""Embedding in parts: killed and resumed, shared among processes, of variants, to AnnData."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.commands import embed as command
from dnamamba.commands import embedding_parts
from dnamamba.commands.embed import embed_fasta
from dnamamba.data.genome.fasta import Genome
from dnamamba.data.variants import Variant, VariantChecks
from dnamamba.inference.embedding import embed
from dnamamba.inference.variant_windows import variant_windows
from dnamamba.model.language_model import LanguageModel

CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 2e-5}
Read = Callable[[Path], dict[str, Any]]

# Runs an embedding with parts of 100 bases; the first argument is a pause after each.
DRIVER = """
import sys, time
from pathlib import Path
import torch
from dnamamba.commands import embed as command
from dnamamba.commands import embedding_parts
torch.set_num_threads(1)
embedding_parts._PART = 100
pause, model, fasta, output = sys.argv[1:]
write = embedding_parts.EmbeddingJob.write
def slowly(*arguments):
    write(*arguments)
    time.sleep(float(pause))
embedding_parts.EmbeddingJob.write = slowly
command.embed_fasta(model, fasta, output, window=20, pooling="max", device="cpu")
"""


@pytest.fixture
def folder(tmp_path: Path, model: LanguageModel, tokenizer: Tokenizer) -> Path:
    """A model and a FASTA of 1,569 bases; 16 parts of 100 bases at windows of 20."""
    checkpoint.save(tmp_path / "model", model, tokenizer)
    letters = np.frombuffer(b"ACGT", np.uint8)
    random = np.random.default_rng(5)
    records = [letters[random.integers(0, 4, n)].tobytes().decode() for n in (1000, 569)]
    (tmp_path / "g.fa").write_text("".join(f">r{i}\n{r}\n" for i, r in enumerate(records)))
    return tmp_path


def _embed(folder: Path, name: str, **settings: Any) -> Path:
    embed_fasta(str(folder / "model"), str(folder / "g.fa"), str(folder / name), **settings)
    return folder / name


def _load(path: Path) -> dict[str, Any]:
    with np.load(path) as arrays:
        return dict(arrays)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_parts, "_PART", 100)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the parts as they are written."""
    names: list[str] = []
    write = embedding_parts.EmbeddingJob.write

    def noting(job: Any, path: Path, *rest: Any) -> None:
        write(job, path, *rest)
        names.append(path.name)

    monkeypatch.setattr(embedding_parts.EmbeddingJob, "write", noting)
    return names


@pytest.mark.parametrize("pooling", ["mean", "max", "last", None])
def test_no_setting_of_the_work_changes_a_vector(
    folder: Path, pooling: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _load(_embed(folder, "one.npz", window=300, pooling=pooling))
    monkeypatch.setattr(embedding_parts, "_PART", 500)
    settings = {"batch_size": 3, "chunk_length": 64}
    got = _load(_embed(folder, "two.npz", window=300, pooling=pooling, **settings))
    np.testing.assert_allclose(got.pop("embedding"), expected.pop("embedding"), **CLOSE)
    for name, values in expected.items():
        np.testing.assert_array_equal(got[name], values)


@pytest.mark.usefixtures("small_parts")
def test_a_failure_keeps_whole_parts_and_a_second_run_does_the_rest(
    folder: Path, written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _embed(folder, "whole.npz", window=20).read_bytes()
    assert len(written) == 16
    written.clear()

    def fails(*args: Any, **settings: Any) -> Any:
        if len(written) == 5:
            raise KeyboardInterrupt
        return embed_sources(*args, **settings)

    embed_sources = embedding_parts.embed_sources
    with monkeypatch.context() as patch:
        patch.setattr(embedding_parts, "embed_sources", fails)
        with pytest.raises(KeyboardInterrupt):
            _embed(folder, "cut.npz", window=20)
    assert not (folder / "cut.npz").exists()
    left = sorted(path.name for path in (folder / "cut.npz.parts").iterdir())
    assert left == sorted(written)
    assert len(left) == 5

    _embed(folder, "cut.npz", window=20)
    assert len(written) == len(set(written)) == 16
    assert (folder / "cut.npz").read_bytes() == whole
    assert not (folder / "cut.npz.parts").exists()


def test_parts_hold_no_more_vectors_than_fit_into_memory(
    folder: Path, written: list[str], monkeypatch: pytest.MonkeyPatch, model: LanguageModel
) -> None:
    expected = _load(_embed(folder, "one.npz", window=20))
    assert len(written) == 1
    monkeypatch.setattr(embedding_parts, "_NUMBERS", 3 * model.config.d_model + 1)
    got = _load(_embed(folder, "two.npz", window=20))
    assert len(written) == 1 + -(-79 // 3)
    np.testing.assert_allclose(got["embedding"], expected["embedding"], **CLOSE)


@pytest.mark.usefixtures("small_parts")
def test_what_cannot_be_written_behind_the_work_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *rest: Any) -> Any:
        if path.name.endswith("000003.npy"):
            raise OSError(28, "No space left on device")
        return sealed(path, *rest)

    sealed = embedding_parts.sealed
    with monkeypatch.context() as patch:
        patch.setattr(embedding_parts, "sealed", full)
        with pytest.raises(OSError, match="No space left"):
            _embed(folder, "cut.npz", window=20)
    left = sorted(path.name[-10:] for path in (folder / "cut.npz.parts").iterdir())
    assert left == ["000000.npy", "000001.npy", "000002.npy"]


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    "change", [{"pooling": "max"}, {"layer": 0}, {"window": 19}, {"bed": "b.bed"}, "model", "bases"]
)
def test_parts_of_other_work_are_not_taken_over(
    folder: Path, written: list[str], change: Any, model: LanguageModel, tokenizer: Tokenizer
) -> None:
    (folder / "b.bed").write_text("r0\t0\t1000\t\nr1\t0\t569\tother\n")
    settings: dict[str, Any] = {"window": 20}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "_merge", lambda *_: None)  # killed before the merge
        _embed(folder, "v.npz", **settings)
    assert len(written) == 16
    if change == "model":
        model.backbone.norm_f.weight.data[0] += 1e-3
        checkpoint.save(folder / "model", model, tokenizer, overwrite=True)
    elif change == "bases":
        text = (folder / "g.fa").read_text()
        (folder / "g.fa").write_text(text[:500] + ("A" if text[500] != "A" else "C") + text[501:])
    else:
        settings |= {k: str(folder / v) if k == "bed" else v for k, v in change.items()}
    written.clear()
    _embed(folder, "v.npz", **settings)
    assert len(written) >= 16
    assert not (folder / "v.npz.parts").exists()


def _flip(place: int) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[place] ^= 1
        path.write_bytes(content)

    return change


def _cut(size: int) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(path.read_bytes()[:size])


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    ("pooling", "damage"),
    [
        ("mean", _flip(20)), (None, _flip(200)), ("mean", _flip(-40)), (None, _flip(-1)),
        ("mean", _cut(200)), (None, _cut(-1)), ("mean", _cut(-32)), (None, _cut(0)),
        ("mean", Path.unlink),
    ],
    ids=["header", "a vector", "the last vector", "the checksum", "halved", "cut by one",
         "without checksum", "emptied", "gone"],
)  # fmt: skip
def test_a_damaged_part_is_made_again(
    folder: Path,
    written: list[str],
    pooling: Any,
    damage: Callable[[Path], object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = {"window": 90, "pooling": pooling, "device": "cpu"}
    whole = _embed(folder, "whole.npz", **settings).read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "_merge", lambda *_: None)  # killed before the merge
        _embed(folder, "cut.npz", **settings)
    part = sorted((folder / "cut.npz.parts").iterdir())[1]
    damage(part)
    written.clear()
    assert _embed(folder, "cut.npz", **settings).read_bytes() == whole
    assert written == [part.name]
    said = [r.getMessage() for r in caplog.records if "is damaged" in r.getMessage()]
    gone = damage is Path.unlink  # nothing to wonder at
    assert said == ([] if gone else [f"{part} is damaged, not what was written; it is made again"])


def _cut_short(folder: Path, name: str, **settings: Any) -> list[Path]:
    """The parts of a run that was killed before the merge."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "_merge", lambda *_: None)
        _embed(folder, name, **settings)
    return sorted((folder / f"{name}.parts").iterdir())


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("kind", ["swapped", "doubled", "of another run", "of other settings"])
def test_a_part_under_the_name_of_another_is_made_again(
    folder: Path, written: list[str], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings: dict[str, Any] = {"window": 100, "device": "cpu"}
    whole = _embed(folder, "whole.npz", **settings).read_bytes()
    first, second, *_ = _cut_short(folder, "cut.npz", **settings)
    bad = {first}
    if kind == "swapped":
        one, two = first.read_bytes(), second.read_bytes()
        first.write_bytes(two)
        second.write_bytes(one)
        bad.add(second)
    elif kind == "doubled":
        first.write_bytes(second.read_bytes())
    else:
        (folder / "other").mkdir()
        text = (folder / "g.fa").read_text().replace("ACG", "ACC")
        (folder / "other" / "g.fa").write_text(text)
        shutil.copytree(folder / "model", folder / "other" / "model")
        more = {"pooling": "max"} if kind == "of other settings" else {}
        where = folder if more else folder / "other"
        first.write_bytes(_cut_short(where, "o.npz", **settings, **more)[0].read_bytes())
    written.clear()
    assert _embed(folder, "cut.npz", **settings).read_bytes() == whole
    assert set(written) == {part.name for part in bad}
    assert sum("is damaged" in record.getMessage() for record in caplog.records) == len(bad)


@pytest.mark.usefixtures("small_parts")
def test_another_configuration_of_the_same_weights_is_other_work(
    folder: Path, written: list[str]
) -> None:
    parts = _cut_short(folder, "v.npz", window=100)
    config = folder / "model" / "config.json"
    content = json.loads(config.read_text())
    content["config"]["norm_eps"] = 0.1
    config.write_text(json.dumps(content))
    written.clear()
    _embed(folder, "v.npz", window=100)
    assert len(written) == len(parts)
    assert not set(written) & {part.name for part in parts}


def _start(folder: Path, name: str, pause: float, **variables: str) -> "subprocess.Popen[bytes]":
    arguments = [str(pause), str(folder / "model"), str(folder / "g.fa"), str(folder / name)]
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", **variables},
        stderr=subprocess.PIPE,
    )


@pytest.mark.usefixtures("small_parts")
def test_killed_and_started_again(folder: Path, written: list[str]) -> None:
    process = _start(folder, "cut.npz", pause=0.5)
    deadline = time.monotonic() + 120
    while len(list(folder.glob("cut.npz.parts/*.npy"))) < 3:
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (folder / "cut.npz").exists()
    left = {path.name for path in folder.glob("cut.npz.parts/*.npy")}

    cut = _embed(folder, "cut.npz", window=20, pooling="max", device="cpu")
    assert not left & set(written)
    assert len(written) == 16 - len(left)
    whole = _embed(folder, "whole.npz", window=20, pooling="max", device="cpu")
    assert _load(cut)["embedding"].tobytes() == _load(whole)["embedding"].tobytes()


@pytest.mark.usefixtures("small_parts")
def test_two_processes_give_what_one_gives(folder: Path) -> None:
    (folder / "driver.py").write_text(DRIVER)
    arguments = ["0", str(folder / "model"), str(folder / "g.fa"), str(folder / "two.npz")]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launcher, str(folder / "driver.py"), *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    one = _embed(folder, "one.npz", window=20, pooling="max", device="cpu")
    assert (folder / "two.npz").read_bytes() == one.read_bytes()
    assert not (folder / "two.npz.parts").exists()


def test_each_process_writes_its_own_parts(
    folder: Path, written: list[str], small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_merge", lambda *_: None)
    for rank in (0, 1, 2):
        before = len(written)
        monkeypatch.setattr(command, "join_world", lambda rank=rank: _World(rank))
        _embed(folder, "v.npz", window=20)
        numbers = [int(name.split(".")[1]) for name in written[before:]]
        assert numbers == list(range(rank, 16, 3))
        assert len(set(written)) == len(written)


class _World:
    def __init__(self, rank: int) -> None:
        self.rank, self.size = rank, 3

    def __enter__(self) -> "_World":
        return self

    def __exit__(self, *_: object) -> None: ...

    def wait(self) -> None: ...

    def gather(self, mine: Any) -> list[Any]:
        return [mine] * self.size


def test_an_environment_without_sense(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=r"RANK=2, WORLD_SIZE=2.*torchrun"):
        _embed(folder, "v.npz")


def test_layers(folder: Path, model: LanguageModel, tokenizer: Tokenizer) -> None:
    texts = [r.partition("\n")[2].strip() for r in (folder / "g.fa").read_text().split(">")[1:]]
    vectors = {}
    for layer in (0, 1, -1):
        vectors[layer] = _load(_embed(folder, f"{layer}.npz", layer=layer))["embedding"]
        expected = embed(model, tokenizer, texts, layer=layer)
        np.testing.assert_allclose(vectors[layer], expected, **CLOSE)
        bases = embed(model, tokenizer, texts, layer=layer, pooling=None, batch_size=1)
        means = [part.mean(axis=0) for part in bases]
        np.testing.assert_allclose(vectors[layer], means, **CLOSE)
    assert np.abs(vectors[0] - vectors[1]).max() > 0.01
    assert np.abs(vectors[1] - vectors[-1]).max() > 0.01
    with pytest.raises(ValueError, match=r"layer must be 0 to 1, .* got 2"):
        _embed(folder, "v.npz", layer=2)


def test_windows_cut_side_by_side(folder: Path) -> None:
    got = _load(_embed(folder, "v.npz", window=400))
    places = list(zip(got["id"], got["start"].tolist(), got["end"].tolist(), strict=True))
    assert places == [
        ("r0", 0, 400), ("r0", 400, 800), ("r0", 800, 1000), ("r1", 0, 400), ("r1", 400, 569),
    ]  # fmt: skip


VCF = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def _vcf(folder: Path) -> tuple[str, list[Variant]]:
    genome = Genome(folder / "g.fa")
    variants = []
    for contig, start, size, alt in [
        ("r0", 0, 1, "ACG"), ("r0", 500, 3, "T"), ("r1", 300, 1, "GATTACA"), ("r1", 568, 1, "A"),
    ]:  # fmt: skip
        ref = genome.fetch(contig, start, start + size).decode()
        alt = alt if alt != ref else "C"
        variants.append(Variant(contig, start, ref, alt))
    lines = [f"{v.contig}\t{v.start + 1}\t.\t{v.ref}\t{v.alt}\t.\t.\t.\n" for v in variants]
    (folder / "v.vcf").write_text(VCF + "".join(lines))
    return str(folder / "v.vcf"), variants


def test_variants_give_two_rows_each(
    folder: Path, model: LanguageModel, tokenizer: Tokenizer
) -> None:
    vcf, variants = _vcf(folder)
    got = _load(_embed(folder, "v.npz", vcf=vcf, window=60))
    assert got["allele"].tolist() == ["ref", "alt"] * 4
    assert got["id"].tolist() == [v.name for v in variants for _ in range(2)]
    genome = Genome(folder / "g.fa")
    texts = []
    for v, start, end in zip(variants, got["start"][::2], got["end"][::2], strict=True):
        bases = genome.fetch(v.contig, int(start), int(end)).decode()
        at = v.start - start
        texts += [bases, bases[:at] + v.alt + bases[at + len(v.ref) :]]
    np.testing.assert_allclose(got["embedding"], embed(model, tokenizer, texts), **CLOSE)


def test_variants_base_by_base(folder: Path) -> None:
    vcf, (_, deletion, insertion, _) = _vcf(folder)
    got = _load(_embed(folder, "v.npz", vcf=vcf, window=40, pooling=None))

    def starts(variant: Variant, allele: str) -> list[int]:
        rows = (got["id"] == variant.name) & (got["allele"] == allele)
        near = got["start"][rows]
        return near[(near > variant.start - 3) & (near < variant.start + 5)].tolist()

    assert starts(deletion, "ref") == [498, 499, 500, 501, 502, 503, 504]
    assert starts(deletion, "alt") == [498, 499, 500, 503, 504]
    assert starts(insertion, "ref") == [298, 299, 300, 301, 302, 303, 304]
    assert starts(insertion, "alt") == [298, 299, *[300] * 7, 301, 302, 303, 304]


def test_a_variant_window_is_read_piece_by_piece(folder: Path, tokenizer: Tokenizer) -> None:
    genome = Genome(folder / "g.fa")
    for window in variant_windows(genome, tokenizer, _vcf(folder)[1], 50):
        whole = window.ids(0, len(window))
        assert len(whole) == len(window)
        assert len(window.positions(0, len(window))) == len(window)
        parts = [window.ids(at, min(at + 7, len(window))) for at in range(0, len(window), 7)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("pooling", ["mean", None])
def test_anndata(folder: Path, pooling: Any) -> None:
    (folder / "b.bed").write_text("r0\t5\t80\tgene\t0\t-\nr1\t0\t9\tgene\nr0\t7\t9\n")
    settings = {"bed": str(folder / "b.bed"), "pooling": pooling, "layer": 1}
    expected = _load(_embed(folder, "v.npz", **settings))
    got = anndata.read_h5ad(_embed(folder, "v.h5ad", **settings))
    np.testing.assert_array_equal(got.X, expected["embedding"])
    assert got.X.dtype == np.float32
    for name in ("id", "contig", "start", "end", "strand"):
        assert got.obs[name].tolist() == expected[name].tolist()
    assert got.obs_names.is_unique
    if pooling:
        assert got.obs_names.tolist() == ["gene", "gene-1", "r0:7-9"]
    assert got.uns["layer"] == "1"
    assert got.uns["fasta"] == "g.fa"


def test_missing_anndata_names_the_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anndata", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'dnamamba\[anndata\]'"):
        _embed(folder, "v.h5ad")


@pytest.mark.parametrize("ending", ["npz", "parquet", "h5ad"])
def test_a_full_disk_at_the_end_keeps_the_parts(
    folder: Path, ending: str, monkeypatch: pytest.MonkeyPatch, written: list[str]
) -> None:
    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(embedding_parts.EmbeddingJob, "read", full)
        with pytest.raises(OSError, match="no room to write"):
            _embed(folder, f"v.{ending}")
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["g.fa", "model", f"v.{ending}.parts"]
    _embed(folder, f"v.{ending}")
    assert len(written) == 1


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"window": 0}, "window must be at least 1 or null, got 0"),
        ({"bed": "x", "vcf": "y"}, "bed and vcf both say what to embed"),
        ({"vcf": "none.vcf"}, "none.vcf holds no variant that can be embedded"),
        ({"vcf": "v.vcf", "window": 1}, "window must be at least 2 bases"),
        ({"vcf": "v.vcf", "window": 0}, "window must be at least 2 bases"),
        ({"pooling": "median"}, "pooling must be 'mean', 'max', 'last' or None"),
        ({"checks": VariantChecks(kinds=["snv"])}, "checks are of variants: name their file"),
        ({"layer": 9}, "layer must be 0 to"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_bad_settings(folder: Path, settings: dict[str, Any], match: str) -> None:
    (folder / "none.vcf").write_text(VCF)
    _vcf(folder)
    paths = {k: str(folder / v) for k, v in settings.items() if k in ("bed", "vcf")}
    with pytest.raises(ValueError, match=match):
        _embed(folder, "v.npz", **settings | paths)
    assert not list(folder.glob("v.npz*"))
