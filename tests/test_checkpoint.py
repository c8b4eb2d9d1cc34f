"""The shareable folder: nothing lost on the way in, nothing strange let out."""

import json
import os
import resource
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest
import safetensors.torch
import torch

from dnamamba.alphabet import Tokenizer
from dnamamba.checkpoint import CheckpointError, load, save
from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel

TOKENIZER = Tokenizer(iupac="error")
FILES = {"config.json", "model.safetensors"}


def build(seed: int = 0, **sizes: object) -> LanguageModel:
    torch.manual_seed(seed)
    return LanguageModel(MambaConfig(**{"d_model": 16, "n_layers": 2} | sizes))


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype and torch.equal(first[name], second[name])
        for name in first
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save(tmp_path / "model", build(), TOKENIZER)


@pytest.mark.parametrize("tied", [True, False])
def test_a_folder_gives_back_the_model_and_its_tokenizer(tmp_path, tied):
    model = build(tie_embeddings=tied, dt_rank=3)
    folder = save(tmp_path / "deep" / "model", model, TOKENIZER)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    loaded, tokenizer = load(str(folder))
    assert torch.equal(torch.get_rng_state(), before), "loading drew random numbers"
    assert same(loaded, model)
    assert (tokenizer, loaded.config) == (TOKENIZER, model.config)
    assert not loaded.training
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    assert {path.name for path in folder.iterdir()} == FILES
    stored = safetensors.torch.load_file(folder / "model.safetensors")
    assert ("lm_head.weight" in stored) is not tied
    ids = torch.randint(4, 8, (2, 9), dtype=torch.uint8)
    assert torch.equal(loaded(ids)[0], model(ids)[0])


def test_dtypes_are_kept(tmp_path):
    model = build().bfloat16()
    loaded, _ = load(save(tmp_path / "model", model, TOKENIZER))
    assert same(loaded, model)
    assert {p.dtype for p in loaded.parameters()} == {torch.bfloat16, torch.float32}


def test_the_device_is_the_caller_s(folder):
    assert next(load(folder, device="meta")[0].parameters()).device.type == "meta"


def test_metadata_is_kept_beside_the_model(tmp_path):
    metadata = {"genomes": ["TAIR10"], "steps": 300, "bits_per_base": 1.9}
    folder = save(tmp_path / "model", build(), TOKENIZER, metadata=metadata)
    assert json.loads((folder / "config.json").read_text())["metadata"] == metadata
    assert same(load(folder)[0], build())
    with pytest.raises(ValueError, match="metadata must be plain JSON values"):
        save(tmp_path / "other", build(), TOKENIZER, metadata={"path": Path("x")})
    with pytest.raises(ValueError, match="metadata must be plain JSON values"):
        save(tmp_path / "other", build(), TOKENIZER, metadata={"loss": float("nan")})
    assert not (tmp_path / "other").exists()


def test_a_model_is_replaced_only_on_request(folder):
    with pytest.raises(ValueError, match=r"model holds config\.json and model.*overwrite=True"):
        save(folder, build(1), TOKENIZER)
    assert same(load(folder)[0], build())
    save(folder, build(1, d_model=32), TOKENIZER, overwrite=True)
    assert same(load(folder)[0], build(1, d_model=32))
    assert {path.name for path in folder.iterdir()} == FILES


def test_what_would_not_load_is_not_saved(tmp_path):
    model = build()
    with pytest.raises(ValueError, match=r"vocab_size is 16, but the tokenizer 'byte' has 256"):
        save(tmp_path / "model", model, Tokenizer("byte"))
    with pytest.raises(ValueError, match=r"must be one of LanguageModel, .*got OptimizedModule"):
        save(tmp_path / "model", torch.compile(model, backend="eager"), TOKENIZER)
    with torch.no_grad():
        model.backbone.layers[1].mixer.D[3] = float("nan")
    with pytest.raises(ValueError, match=r"not finite.*backbone\.layers\.1\.mixer\.D$"):
        save(tmp_path / "model", model, TOKENIZER)
    model = build()
    model.backbone.layers[0].mixer.in_proj = torch.nn.Sequential(torch.nn.Linear(16, 64))
    with pytest.raises(ValueError, match=r"missing: backbone.*in_proj\.weight; unexpected"):
        save(tmp_path / "model", model, TOKENIZER)
    assert not (tmp_path / "model").exists()


def edit(**changes: object) -> Callable[[Path], object]:
    """Change entries of config.json; a name as config__d_model goes one level down."""

    def change(folder: Path) -> None:
        content = json.loads((folder / "config.json").read_text())
        for name, value in changes.items():
            *outer, key = name.split("__")
            (content[outer[0]] if outer else content)[key] = value
        (folder / "config.json").write_text(json.dumps(content))

    return change


def write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def flip(folder: Path) -> None:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-100] ^= 1
    (folder / "model.safetensors").write_bytes(content)


def truncate(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 1000)


def no_safetensors(folder: Path) -> None:
    import hashlib

    (folder / "model.safetensors").write_bytes(b"junk" * 10)
    edit(sha256=hashlib.sha256(b"junk" * 10).hexdigest())(folder)


DAMAGE = {
    "empty folder": (
        lambda f: [path.unlink() for path in f.iterdir()],
        r"has no config\.json; expected a folder that dnamamba saved",
    ),
    "config missing": (lambda f: (f / "config.json").unlink(), r"has no config\.json"),
    "config empty": (write("config.json", b""), r"config\.json is damaged, it is not JSON"),
    "config truncated": (write("config.json", b'{"format_'), "damaged, it is not JSON"),
    "config binary": (write("config.json", b"\xff\x00\xfe"), "damaged, it is not JSON"),
    "config a list": (write("config.json", b"[1]"), "format_version None"),
    "config of transformers": (write("config.json", b'{"model_type": "bert"}'), "another program"),
    "config of its Mamba": (
        write("config.json", b'{"model_type": "mamba"}'),
        "hidden_size is miss",
    ),
    "newer format": (edit(format_version=2), r"format_version 2, this dnamamba reads 1.*newer"),
    "unknown key": (edit(tokeniser={}), r"unknown key 'tokeniser'; did you mean tokenizer\?"),
    "unknown size": (edit(config__d_modle=3), r"config has an unknown key 'd_modle'.*d_model"),
    "unknown policy": (edit(tokenizer__x=3), r"tokenizer has an unknown key 'x'; known are iupac"),
    "size of a wrong type": (edit(config__d_model="16"), r"config: d_model must be an integer"),
    "size out of range": (edit(config__d_conv=9), r"config: d_conv must be 2, 3 or 4, got 9"),
    "bad policy": (edit(tokenizer__iupac="skip"), "iupac must be 'accept' or 'error', got 'skip'"),
    "no config": (edit(config=None), r"config must be an object, got None"),
    "no tokenizer": (edit(tokenizer=[]), r"tokenizer must be an object, got \[\]"),
    "unknown class": (edit(model="os.system"), "must be one of LanguageModel, .*got 'os.system'"),
    "class of a wrong type": (edit(model=["x"]), "must be one of LanguageModel, "),
    "no checksum": (edit(sha256=None), "sha256 must be a string, got None"),
    "weights missing": (lambda f: (f / "model.safetensors").unlink(), r"no model\.safetensors"),
    "weights empty": (write("model.safetensors", b""), "truncated, damaged or of another model"),
    "weights truncated": (truncate, r"model\.safetensors is truncated, damaged or of another"),
    "flipped bit": (flip, r"SHA-256 is .*, config\.json says .*; copy or download both"),
    "weights of another format": (no_safetensors, "is not a safetensors file"),
    "wider": (edit(config__expand=3), r"in_proj\.weight is \(64, 16\), expected \(96, 16\)"),
    "deeper": (edit(config__n_layers=3), r"missing: backbone\.layers\.2.* and 5 more"),
    "shallower": (edit(config__n_layers=1), r"unexpected: backbone\.layers\.1.* and 5 more"),
    "untied": (edit(config__tie_embeddings=False), r"missing: lm_head\.weight"),
    "wrong vocabulary": (edit(tokenizer__name="byte"), r"vocab_size is 16, but.*'byte' has 256"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(folder, name):
    damage, message = DAMAGE[name]
    damage(folder)
    with pytest.raises(CheckpointError, match=message) as error:
        load(folder)
    assert str(folder) in str(error.value)


def test_a_path_that_is_no_model_is_named(tmp_path, folder):
    with pytest.raises(CheckpointError, match=r"there is no .*/absent; expected a folder"):
        load(tmp_path / "absent")
    with pytest.raises(CheckpointError, match=r"is a part of a model; give its folder, .*/model"):
        load(folder / "model.safetensors")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(CheckpointError, match=r"notes\.txt is truncated or no training checkpoint"):
        load(tmp_path / "notes.txt")


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file of this process can grow beyond ``size`` bytes: the disk is full there."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_old_model(folder, tmp_path):
    with file_size_limit(20_000), pytest.raises(OSError, match=r"not saved, what stood.*no room"):
        save(folder, build(1), TOKENIZER, overwrite=True)
    assert same(load(folder)[0], build())
    assert {path.name for path in folder.iterdir()} == FILES
    with file_size_limit(20_000), pytest.raises(OSError, match="no room"):
        save(tmp_path / "new", build(1), TOKENIZER)
    assert not list((tmp_path / "new").iterdir())


def test_a_disk_that_fills_between_the_two_files_leaves_the_old_model(folder):
    # The weights fit, a config with this much metadata does not.
    size = (folder / "model.safetensors").stat().st_size
    with file_size_limit(size + 100), pytest.raises(OSError, match="no room"):
        save(folder, build(1), TOKENIZER, overwrite=True, metadata={"note": "x" * (size + 100)})
    assert same(load(folder)[0], build())
    assert {path.name for path in folder.iterdir()} == FILES


def test_a_kill_at_any_step_leaves_the_old_model_or_the_new(tmp_path):
    """Killed before each of its file operations in turn; then the next save cleans up."""
    script = textwrap.dedent("""
        import os, shutil, signal, sys
        from pathlib import Path

        sys.path.insert(0, sys.argv[2])
        from test_checkpoint import FILES, TOKENIZER, build, same
        from dnamamba.checkpoint import CheckpointError, load, save

        OPERATIONS = ("open", "os.rename", "os.remove", "os.mkdir")
        root, old, new, newest = Path(sys.argv[1]), build(0), build(1), build(2)
        save(root / "old", old, TOKENIZER)

        def save_and_die(folder, at):
            count = 0
            def hook(event, arguments):
                nonlocal count
                if event in OPERATIONS and str(folder) in str(arguments[0]):
                    count += 1
                    if count == at:
                        os.kill(os.getpid(), signal.SIGKILL)
            sys.addaudithook(hook)
            save(folder, new, TOKENIZER, overwrite=True)

        def outcomes(fresh):
            for at in range(1, 100):
                folder = root / f"{fresh}-{at}"
                if not fresh:
                    shutil.copytree(root / "old", folder)
                child = os.fork()
                if child == 0:
                    save_and_die(folder, at)
                    os._exit(0)
                killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
                try:
                    model, _ = load(folder)
                    yield "old" if same(model, old) else "new" if same(model, new) else "mixed"
                except CheckpointError as error:
                    yield "none"
                save(folder, newest, TOKENIZER, overwrite=True)
                assert same(load(folder)[0], newest)
                assert FILES <= {p.name for p in folder.iterdir()}
                left = [p.name for p in folder.iterdir() if p.name not in FILES]
                assert not left, left
                if not killed:
                    return
        print(*outcomes(False))
        print(*outcomes(True))
    """)
    command = [sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parent)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    replaced, fresh = (line.split() for line in result.stdout.splitlines())
    assert len(replaced) > 6, "the save was not interrupted often enough to prove anything"
    assert set(replaced) == {"old", "new"}
    assert replaced == sorted(replaced, reverse=True), "once new, it stays new"
    assert set(fresh) == {"none", "new"}


def training_checkpoint(path: Path, model: LanguageModel, **changes: object) -> Path:
    """What Lightning writes for a PretrainModule, in outline."""
    content = {
        "state_dict": {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
        | {"metrics.total": torch.zeros(1)},
        "hyper_parameters": {
            "model": asdict(model.config),
            "tokenizer": asdict(TOKENIZER),
            "optimizer": {"lr": 1e-3},
        },
        "optimizer_states": [{}],
    }
    torch.save(content | changes, path)
    return path


def test_a_training_checkpoint_loads(tmp_path):
    model = build()
    loaded, tokenizer = load(training_checkpoint(tmp_path / "last.ckpt", model))
    assert same(loaded, model)
    assert (tokenizer, loaded.config) == (TOKENIZER, model.config)


def test_bad_training_checkpoints_are_named(tmp_path):
    path = training_checkpoint(tmp_path / "last.ckpt", build())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"last\.ckpt is truncated or no training checkpoint"):
        load(path)
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 1
    path.write_bytes(broken)
    with pytest.raises(CheckpointError, match=r"does not load.*record .* is damaged"):
        load(path)
    training_checkpoint(path, build(), hyper_parameters={"lr": 3})
    with pytest.raises(
        CheckpointError, match=r"no training checkpoint of dnamamba: it lacks 'model'"
    ):
        load(path)
    training_checkpoint(
        path,
        build(n_layers=1),
        hyper_parameters={"model": asdict(build().config), "tokenizer": asdict(TOKENIZER)},
    )
    with pytest.raises(CheckpointError, match=r"last\.ckpt: .*missing: backbone\.layers\.1"):
        load(path)


class Exploit:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (os.environ["EXPLOIT"],)


def test_nothing_in_a_checkpoint_is_executed(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLOIT", str(tmp_path / "executed"))
    path = training_checkpoint(tmp_path / "last.ckpt", build(), callbacks=Exploit())
    with pytest.raises(CheckpointError, match="does not load"):
        load(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("path", [None, 3, 1.5, b"model", ["model"]])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(CheckpointError, match="expected a path or the name of a model, got"):
        load(path)


def test_a_device_that_is_not_there_is_refused(folder):
    with pytest.raises(ValueError, match=r"device must be auto, cpu, .*got 'gpu'"):
        load(folder, device="gpu")


HUGE = [10**6, 10**9, 10**18, 10**30, 2**63, 10**400]
ODD = [-1, 0, 1.5, 1e9, float("nan"), float("inf"), "16", True, None, [16], {"a": 1}]
SIZES = ["vocab_size", "d_model", "n_layers", "d_state", "d_conv", "expand", "dt_rank"]


@pytest.mark.parametrize("stored", ["folder", "training checkpoint"])
@pytest.mark.parametrize("name", SIZES)
def test_absurd_sizes_end_at_once(folder, tmp_path, name, stored):
    sizes = asdict(build().config)
    path = folder if stored == "folder" else tmp_path / "last.ckpt"
    start = time.process_time()
    for value in [*HUGE, *ODD]:
        if (name, value) == ("dt_rank", None):
            continue
        if stored == "folder":
            edit(**{f"config__{name}": value})(folder)
        else:
            parameters = {"model": sizes | {name: value}, "tokenizer": asdict(TOKENIZER)}
            training_checkpoint(path, build(), hyper_parameters=parameters)
        with pytest.raises(CheckpointError) as error:
            load(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
    assert time.process_time() - start < 5


@pytest.mark.parametrize("name", ["dt_min", "dt_max", "norm_eps"])
def test_absurd_numbers_are_refused(folder, name):
    for value in [10**400, float("nan"), float("inf"), -1.0, 0, "1", None, True]:
        edit(**{f"config__{name}": value})(folder)
        with pytest.raises(CheckpointError):
            load(folder)


def test_all_sizes_too_large_at_once_end_at_once(folder):
    names = [name for name in SIZES if name not in ("vocab_size", "d_state", "d_conv")]
    large = {f"config__{name}": 10**6 for name in names} | {"config__n_layers": 10_000}
    edit(**large)(folder)
    with pytest.raises(CheckpointError, match=r"d_model is 1,000,000, but the largest tensor is"):
        load(folder)


def test_a_configuration_that_nests_or_grows_without_end(folder, monkeypatch):
    (folder / "config.json").write_text("[" * 100_000)
    with pytest.raises(CheckpointError, match="damaged, it is not JSON"):
        load(folder)
    (folder / "config.json").write_text('{"format_version": ' + "1" * 10_000 + "}")
    with pytest.raises(CheckpointError, match="damaged, it is not JSON"):
        load(folder)
    monkeypatch.setattr("dnamamba.checkpoint.description._LONGEST", 1000)
    (folder / "config.json").write_text(" " * 1001)
    with pytest.raises(CheckpointError, match="damaged, it is not JSON: it is longer than"):
        load(folder)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
def test_what_is_no_model_in_a_training_checkpoint_is_named(tmp_path):
    path, model = tmp_path / "last.ckpt", build()
    parameters = {"model": asdict(model.config), "tokenizer": asdict(TOKENIZER)}
    weight = "model.backbone.layers.0.mixer.in_proj.weight"
    lora = {"tuning": {"lora": {"alpha": 1, "rank": 0}}}
    cases = [
        ({"hyper_parameters": [1]}, "it lacks 'hyper_parameters'"),
        ({"state_dict": [1]}, "it lacks 'state_dict'"),
        ({"state_dict": {weight: 1}}, r"in_proj\.weight' is no tensor, but int"),
        ({"state_dict": {weight: torch.ones(1).expand(10**6, 10**6)}}, "more than is stored of it"),
        ({"state_dict": {weight: torch.ones(2, 2).to_sparse()}}, "no dense tensor"),
        ({"hyper_parameters": parameters | lora}, "its adapters do not fit"),
        ({"hyper_parameters": parameters | {"tuning": "x"}}, "its adapters do not fit"),
        ({"hyper_parameters": parameters | {"model": 3}}, "config must be an object, got 3"),
        ({"hyper_parameters": parameters | {"kind": []}}, "model must be one of"),
    ]
    for changes, message in cases:
        training_checkpoint(path, model, **changes)
        with pytest.raises(CheckpointError, match=message) as error:
            load(path)
        assert str(path) in str(error.value)


def test_an_archive_that_unpacks_without_end_is_refused(tmp_path):
    path = training_checkpoint(tmp_path / "last.ckpt", build())
    packed = tmp_path / "packed.ckpt"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name) + bytes(10**6))
    with pytest.raises(CheckpointError, match=r"packed\.ckpt .*its records are compressed"):
        load(packed)
