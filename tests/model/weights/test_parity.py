"""The numbers that the published code gives, from the files that it wrote.

``tests/model/foreign`` holds tiny models in every published format, their float64 outputs, and how
they were made.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch
from published import FOREIGN, NAMES, edited, expected, tensors_in
from torch import Tensor
from torch.nn import functional as F

import dnamamba
from dnamamba.model import LanguageModel
from dnamamba.model.weights import FORMATS, recognised

LENGTHS = (1, 7, 100)
BOTH_FILES = [(n, f) for n in NAMES for f in ("model.safetensors", "pytorch_model.bin")]
BOTH_FILES = [(name, file) for name, file in BOTH_FILES if (FOREIGN / name / file).exists()]
SYMMETRIC = ("ps-tiny", "ps-odd", "plant-tiny")


def model_of(folder: Path) -> LanguageModel:
    model = dnamamba.load(folder).model
    assert isinstance(model, LanguageModel)
    return model


def gap(got: Tensor, wanted: Tensor) -> float:
    return (got.double().cpu() - wanted).abs().max().item()


@torch.no_grad()
@pytest.mark.parametrize(("name", "file"), BOTH_FILES)
def test_logits_and_hidden_states_in_float64(name: str, file: str, tmp_path: Path) -> None:
    model = model_of(edited(tmp_path / "model", name, file=file)).double()
    wanted = expected(name)
    for length in LENGTHS:
        ids = wanted[f"input_ids_{length}"]
        assert gap(model(ids)[0], wanted[f"logits_{length}"]) <= 1e-11
        assert gap(model.backbone(ids)[0], wanted[f"last_hidden_{length}"]) <= 1e-11


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_logits_and_hidden_states_in_float32(name: str) -> None:
    model, wanted = model_of(FOREIGN / name), expected(name)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    for length in LENGTHS:
        ids = wanted[f"input_ids_{length}"]
        assert gap(model(ids)[0], wanted[f"logits_{length}"]) <= 5e-4
        assert gap(model.backbone(ids)[0], wanted[f"last_hidden_{length}"]) <= 2e-4


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_the_stream_of_every_layer_but_the_last(name: str) -> None:
    """Theirs is the sum of a mixer's output and the residual before it; transformers gives it.

    Of a symmetric model the halves change places in every block of the published code.
    """
    model, wanted = model_of(FOREIGN / name).double(), expected(name)
    layers = model.config.n_layers
    for layer in range(layers - 1):
        stream = model.backbone(wanted["input_ids_7"], layer=layer)[0]
        if name == "hf-mamba-tiny":
            theirs = wanted["hidden_states_7"][layer]
        else:
            theirs = wanted["residuals_7"][layer] + wanted["hidden_states_7"][layer + 1]
        if name in SYMMETRIC and (layers - layer) % 2 == 0:
            theirs = torch.cat(theirs.chunk(2, -1)[::-1], -1)
        assert gap(stream, theirs) <= 1e-11


@torch.no_grad()
@pytest.mark.parametrize("name", SYMMETRIC)
def test_the_unfused_path_is_another_function(name: str, tmp_path: Path) -> None:
    wrong = expected(name)["wrong_logits_unfused_7"]
    ids = expected(name)["input_ids_7"]
    assert gap(model_of(FOREIGN / name).double()(ids)[0], wrong) > 1

    def unfused(tensor_name: str) -> str:
        renamed = tensor_name.replace("norm.weight", "norm.submodule.weight")
        return renamed.replace("norm_f.weight", "norm_f.submodule.weight")

    stored = tensors_in(FOREIGN / name)
    renamed = dict.fromkeys(stored) | {unfused(key): tensor for key, tensor in stored.items()}
    folder = edited(tmp_path / "unfused", name, {"fused_add_norm": False}, renamed)
    model = model_of(folder).double()
    # In that path residual_in_fp32 rounds what was computed in float64.
    assert gap(model(ids)[0], wrong) <= (1e-5 if name == "plant-tiny" else 1e-11)
    assert model.config.tie_embeddings


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", ["ph-tiny", "ps-tiny"])
def test_gradients_by_the_published_names(name: str, dtype: torch.dtype) -> None:
    wanted = expected(name, "gradients")
    model = model_of(FOREIGN / name).to(dtype)
    logits, _ = model(wanted["input_ids"])
    loss = F.cross_entropy(logits.flatten(0, 1), wanted["labels"].flatten().long())
    loss.backward()
    bound = 1e-11 if dtype == torch.float64 else 2e-4
    assert abs(loss.item() - wanted["loss"].item()) <= bound
    values = json.loads((FOREIGN / name / "config.json").read_text())
    layout = FORMATS[recognised(values) or ""].layout(values, {})
    gradients = {key: p.grad for key, p in model.named_parameters() if p.grad is not None}
    turned = {layout.name(key): gradient for key, gradient in layout.turn(gradients).items()}
    published = {k.removeprefix("grad."): v for k, v in wanted.items() if k.startswith("grad.")}
    assert turned.keys() == published.keys()
    for key, gradient in published.items():
        assert gap(turned[key], gradient) <= bound, key


@torch.no_grad()
@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
def test_on_a_gpu_in_float32(name: str) -> None:
    model, wanted = model_of(FOREIGN / name).cuda(), expected(name)
    for length in LENGTHS:
        logits = wanted[f"logits_{length}"]
        got, _ = model(wanted[f"input_ids_{length}"].cuda())
        assert gap(got, logits) <= 1e-3 * logits.abs().max().item()


@torch.no_grad()
@pytest.mark.parametrize("name", SYMMETRIC)
def test_a_configuration_saved_again_by_others_is_read_by_its_keys(
    name: str, tmp_path: Path
) -> None:
    """Their program sorts the keys of the complement map as text."""
    folder = tmp_path / "again"
    shutil.copytree(FOREIGN / name, folder)
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values, sort_keys=True))
    stored = tensors_in(folder)
    bare = {key: None for key in stored if key.endswith("complement_map")}
    bare_folder = edited(
        tmp_path / "bare", name, {"complement_map": values["complement_map"]}, bare
    )
    ids = expected(name)["input_ids_7"]
    for path in (folder, bare_folder):
        assert gap(model_of(path).double()(ids)[0], expected(name)["logits_7"]) <= 1e-11
