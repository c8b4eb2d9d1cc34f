"""``dnamamba push``: a model's folder, with its card, to the Hugging Face hub."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnamamba.checkpoint import Opened

__all__ = ["push"]


class _PublicError(ValueError):
    """What was to be private is not."""


def push(
    model: str | Path,
    repo: str,
    license: str | None = None,
    private: bool = False,
    branch: str | None = None,
    message: str | None = None,
) -> str:
    """Upload a model's folder to the Hugging Face hub, from where its name loads it.

    One commit holds config.json, the weights and the card, README.md, whose example then loads the
    model by its name; nothing else of the folder goes along. A folder without a card gets one that
    says what its files do. Needs the extra hub, and to be logged in: hf auth login, or HF_TOKEN.

    Args:
        model: a model's folder, as runs/quickstart/model, or the name of a packaged model.
        repo: its name there, owner/name; made if missing.
        license: what the card is to say of its licence, as apache-2.0; null: what it says already.
        private: make a new repository private; one that is there and public is refused.
        branch: of the repository, which must be there; null: its main one.
        message: of the commit; null: one that names dnamamba's version.

    Returns:
        The address of the repository.

    Raises:
        ValueError: no model's folder, a card whose head is no YAML, a name that is none, or
            whatever the hub or the network refuse; says what to do.
        ModuleNotFoundError: huggingface_hub is missing; names the extra.
    """
    from dnamamba.cards.settings import CardSettings
    from dnamamba.checkpoint import open_model
    from dnamamba.checkpoint.hub import HUB_NAME, hub_files
    from dnamamba.extras import library
    from dnamamba.version import installed_version

    if not isinstance(repo, str) or HUB_NAME.fullmatch(repo) is None:
        raise ValueError(f"repo must be a name on the hub, owner/name, got {repo!r:.80}")
    licence = None if license is None else CardSettings(license=license).license
    hub = library("huggingface_hub", "hub", "pushing a model")
    folder = _folder(model)
    text = _card(folder, open_model(folder), repo, licence)  # whole, and its checksum is right
    said = message or f"Model and card, by dnamamba {installed_version()}"
    operations = [hub.CommitOperationAdd("README.md", text.encode())]
    operations += [hub.CommitOperationAdd(path.name, str(path)) for path in hub_files(folder)]
    try:
        address = _commit(hub, repo, private, operations, said, branch)
    except _PublicError:
        raise
    except Exception as error:  # whatever a network can raise
        why = " ".join(str(error).split()).rstrip(".")
        raise ValueError(
            f"{folder} was not pushed to {repo}: {type(error).__name__}: {why:.300}. Is there a "
            "network, and are you logged in (hf auth login, or HF_TOKEN) with a token that may "
            f"write to {repo.partition('/')[0]}?"
        ) from error
    print(f"pushed to {address}", file=sys.stderr)
    return address


def _folder(model: str | Path) -> Path:
    from dnamamba.arguments import path
    from dnamamba.checkpoint.packaged import packaged_folder

    folder = path("model", model)
    if folder.is_file():
        raise ValueError(
            f"{folder} is a file; push a model's folder, as a finished run leaves it "
            "(RUN/model), or that `dnamamba convert` makes of a checkpoint"
        )
    folder = folder if folder.is_dir() else packaged_folder(str(model)) or folder
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}; push a model's folder, as RUN/model")
    return folder


def _card(folder: Path, opened: "Opened", repo: str, license: str | None) -> str:
    """The folder's card, or a new one, as it stands on the hub."""
    from dnamamba.cards import CARD, CardSettings, Facts, card
    from dnamamba.cards.page import on_hub
    from dnamamba.model.about import about

    where = folder / CARD
    try:
        text = where.read_text(encoding="utf-8")
    except FileNotFoundError:
        settings = CardSettings(license=license)
        text = card(Facts(repo.partition("/")[2], about(opened.model), settings))
    except UnicodeDecodeError as error:
        raise ValueError(f"{where} is no text in UTF-8: {error}; mend it") from error
    try:
        return on_hub(text, repo, license)
    except ValueError as error:
        raise ValueError(f"{where}: {error}; mend it") from error


def _commit(
    hub: Any, repo: str, private: bool, operations: list[Any], message: str, branch: str | None
) -> str:
    api = hub.HfApi()
    address = api.create_repo(repo, private=private or None, exist_ok=True)
    if private and not api.model_info(repo).private:
        raise _PublicError(
            f"{repo} was there before, and everybody sees it; nothing was pushed. Make it private "
            "in its settings on the hub first, name another, or leave out --private"
        )
    api.create_commit(repo, operations, commit_message=message, revision=branch)
    return str(address)
