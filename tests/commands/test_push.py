"""``dnamamba push``: what goes to the hub, under which name, and what comes back; no network."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

import huggingface_hub
import numpy as np
import pytest
from published import edited

import dnamamba
from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.checkpoint import hub
from dnamamba.cli import main
from dnamamba.model.language_model import LanguageModel


class Hub:
    """Stands for huggingface_hub: keeps what is committed, under the names of its real calls."""

    CommitOperationAdd = huggingface_hub.CommitOperationAdd

    def __init__(self, folder: Path, error: Exception | None = None) -> None:
        self.folder, self.error = folder, error
        self.asked: list[tuple[str, Any]] = []
        real = create_autospec(huggingface_hub.HfApi, instance=True)  # refuses what it refuses
        real.create_repo.side_effect = self._create
        real.create_commit.side_effect = self._commit
        real.model_info.side_effect = lambda _: SimpleNamespace(private=self.private)
        self.private = True
        self.HfApi = lambda: real

    def _create(self, repo_id: str, **how: Any) -> huggingface_hub.RepoUrl:
        if self.error is not None:
            raise self.error
        self.asked.append((repo_id, how))
        return huggingface_hub.RepoUrl(f"https://huggingface.co/{repo_id}")

    def _commit(self, repo_id: str, operations: list[Any], **how: Any) -> None:
        self.asked.append((repo_id, how))
        for operation in operations:
            place = self.folder / repo_id / operation.path_in_repo
            place.parent.mkdir(parents=True, exist_ok=True)
            with operation.as_file() as file:
                place.write_bytes(file.read())

    def snapshot_download(
        self, name: str, allow_patterns: list[str], revision: str | None = None
    ) -> str:
        self.asked.append((name, revision))
        return str(self.folder / name)


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    stand_in = Hub(tmp_path / "hub")
    monkeypatch.setattr(hub, "library", lambda *_: stand_in)
    monkeypatch.setattr("dnamamba.extras.library", lambda *_: stand_in)
    return stand_in


@pytest.fixture
def folder(tmp_path: Path, model: LanguageModel, tokenizer: Tokenizer) -> Path:
    checkpoint.save(tmp_path / "run" / "model", model, tokenizer)
    (tmp_path / "run" / "model" / "notes.txt").write_text("mine")
    return tmp_path / "run" / "model"


def test_there_and_back(folder: Path, there: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["ACGTTGCA", "GATTACA"]
    assert main(["push", str(folder), "me/tiny", "--license", "MIT", "--private"]) == 0
    assert "pushed to https://huggingface.co/me/tiny" in capsys.readouterr().err
    repo = there.folder / "me" / "tiny"
    assert sorted(path.name for path in repo.iterdir()) == [
        *("README.md", "config.json", "model.safetensors"),
    ]
    text = (repo / "README.md").read_text()
    assert 'dnamamba.load("me/tiny")' in text
    assert huggingface_hub.ModelCard(text).data.license == "mit"
    (_, made), (_, commit) = there.asked
    assert made == {"private": True, "exist_ok": True}
    assert commit["revision"] is None
    assert commit["commit_message"].startswith("Model and card, by dnamamba ")
    back = dnamamba.load("me/tiny@v1")
    assert there.asked[-1] == ("me/tiny", "v1")
    assert repr(back).startswith("Pretrained(me/tiny@v1: mamba, causal; ")
    np.testing.assert_array_equal(back.embed(texts), dnamamba.load(folder).embed(texts))


def test_a_card_that_is_there_goes_along_and_stays_as_it_is(folder: Path, there: Hub) -> None:
    text = '---\nlicense: bsd-3-clause\n---\n\n# Mine\n\ndnamamba.load("path/to/this/folder")\n'
    (folder / "README.md").write_text(text)
    assert dnamamba.push(folder, "me/tiny", branch="dev", message="Hello") == (
        "https://huggingface.co/me/tiny"
    )
    pushed = (there.folder / "me" / "tiny" / "README.md").read_text()
    assert pushed == text.replace("path/to/this/folder", "me/tiny")
    assert (folder / "README.md").read_text() == text
    assert there.asked[-1][1] == {"commit_message": "Hello", "revision": "dev"}


def test_packaged_models_and_those_of_others(tmp_path: Path, there: Hub) -> None:
    dnamamba.push("vertebrate-0.5m", "me/vertebrate")
    text = (there.folder / "me" / "vertebrate" / "README.md").read_text()
    assert "# vertebrate-0.5m" in text
    others = edited(tmp_path / "others", "ph-tiny", file="pytorch_model.bin")
    dnamamba.push(others, "me/others")
    assert sorted(path.name for path in (there.folder / "me" / "others").iterdir()) == [
        *("README.md", "config.json", "pytorch_model.bin"),
    ]
    assert dnamamba.load("me/others").tokenizer.name == "caduceus"


def test_what_cannot_be_pushed_is_refused_before_the_hub_is_asked(
    folder: Path, there: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "last.ckpt").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    refused = {
        ("last.ckpt", "me/x"): "last.ckpt is a file; push a model's folder, as a finished run",
        ("missing", "me/x"): "there is no folder",
        ("empty", "me/x"): "has no config.json",
        ("run", "me/x"): "did you mean",
        ("run/model", "tiny"): "repo must be a name on the hub, owner/name, got 'tiny'",
        ("run/model", "me/tiny@v1"): "repo must be a name on the hub",
    }
    for (model, repo), message in refused.items():
        assert main(["push", str(tmp_path / model), repo]) == 1
        assert message in capsys.readouterr().err
    (folder / "README.md").write_text("---\na: [\n---\n")
    assert main(["push", str(folder), "me/x"]) == 1
    assert "README.md: its head is no YAML" in capsys.readouterr().err
    (folder / "README.md").unlink()
    (folder / "model.safetensors").write_bytes(b"damaged")
    assert main(["push", str(folder), "me/x"]) == 1
    assert "truncated, damaged or of another model" in capsys.readouterr().err
    assert there.asked == []


def test_nothing_private_goes_where_everybody_sees_it(folder: Path, there: Hub) -> None:
    there.private = False
    with pytest.raises(ValueError, match="me/x was there before, and everybody sees it; nothing"):
        dnamamba.push(folder, "me/x", private=True)
    assert not there.folder.exists()
    dnamamba.push(folder, "me/x")
    assert (there.folder / "me" / "x" / "README.md").is_file()


def test_what_the_hub_refuses_is_said_with_what_to_do(folder: Path, there: Hub) -> None:
    there.error = OSError("401 Client\nError: no token.")
    with pytest.raises(
        ValueError, match=r"not pushed to me/x: OSError: 401 Client Error: no token\. .*hf auth"
    ):
        dnamamba.push(folder, "me/x")


def test_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'dnamamba\[hub\]'"):
        dnamamba.push(folder, "me/x")
