"""Models by their names on the Hugging Face hub; no test asks it."""

from pathlib import Path

import pytest
from published import edited

import dnamamba
from dnamamba.checkpoint import CheckpointError, hub


class Hub:
    """Stands for huggingface_hub: a folder a name, and what was asked for."""

    def __init__(self, folder: Path | Exception) -> None:
        self.folder, self.asked = folder, []

    def snapshot_download(self, name: str, allow_patterns: list[str]) -> str:
        self.asked.append((name, allow_patterns))
        if isinstance(self.folder, Exception):
            raise self.folder
        return str(self.folder)


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_a_name_on_the_hub(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = Hub(edited(tmp_path / "cache", "ph-tiny", file=file))
    monkeypatch.setattr(hub, "library", lambda *_: fetched)
    model = dnamamba.load("kuleshov-group/caduceus-ph_seqlen-131k_d_model-256_n_layer-16")
    assert model.tokenizer.name == "caduceus"
    assert len(fetched.asked) == (1 if file == "model.safetensors" else 2)
    patterns = {pattern for _, patterns in fetched.asked for pattern in patterns}
    assert not any(pattern.endswith((".py", "*")) for pattern in patterns)


def test_a_name_on_the_hub_that_is_not_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "library", lambda *_: Hub(OSError("no network\nat all")))
    with pytest.raises(CheckpointError, match=r"there is no owner/name, nor .*no network at all"):
        dnamamba.load("owner/name")
    monkeypatch.undo()
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(CheckpointError, match=r"pip install 'dnamamba\[hub\]'"):
        dnamamba.load("owner/name")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    for path in ("runs/x", "a/b/c", "a/last.ckpt", "/x/y", "./x", "~/x", "x"):
        assert not hub.is_hub_name(path)
        with pytest.raises(CheckpointError, match=r"there is no .*; expected a folder with config"):
            dnamamba.load(path)
