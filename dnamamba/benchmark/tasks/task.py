"""``Task``: what is to be told apart, in which files, and by which figure."""

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from dnamamba.arguments import whole
from dnamamba.benchmark.tasks.grouped import GROUPS_VERSION, with_groups
from dnamamba.benchmark.tasks.layout import content_digest, joined, named_files, stored
from dnamamba.model.heads.table import HIGHER_IS_BETTER

__all__ = ["Task", "changed"]

Section = dict[str, Any]

_SAID = ("title", "files", "aliases", "published", "note", "root")  # fields that decide no figure
_VALIDATION = 0.15
_MODULES = (
    "dnamamba.data.modules.sequences.LabelledSequenceDataModule",
    "dnamamba.data.modules.variants.VariantDataModule",
)


@dataclass(frozen=True)
class Task:
    """A task, in plain values alone, so that JSON and pickle take it.

    Attributes:
        suite: what it belongs to; ``own`` for a user's own table.
        name: within the suite, such as ``tf/0``.
        title: for a table's reader.
        data: ``class_path`` and ``init_args`` of the data module, as in a configuration; files are
            relative to a folder, the root.
        metric: the figure that is reported and chosen by, as the model's head names it.
        folds: of a cross-validation; 1: the split is fixed.
        test: dotted keys of ``init_args`` -> value, for held-out parts alone.
        files: path -> ``address`` to fetch it from and ``sha256`` of what is fetched.
        aliases: beginning of a path -> another one, under which the files may lie, too.
        published: who -> figure, by other protocols.
        note: a sentence on the data.
        apart: keep relatives in one part of the split (see ``relatives``); else the data's own
            groups are, if it names any.
        root: where the files of a user's own task lie; empty: wherever they are found.

    Raises:
        ValueError: data of another kind, without files to train on, or an unknown metric.
    """

    suite: str
    name: str
    title: str
    data: Section
    metric: str
    folds: int = 1
    test: dict[str, Any] = field(default_factory=dict)
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    published: dict[str, float] = field(default_factory=dict)
    note: str = ""
    apart: bool = False
    root: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.data, Mapping) or "init_args" not in self.data:
            raise ValueError(f"{self.key}: data has no class_path and init_args")
        module = self.data.get("class_path")
        if module not in _MODULES:
            raise ValueError(f"{self.key}: data.class_path must be {' or '.join(_MODULES)}")
        if "train" not in (self.data["init_args"].get("files") or {}):
            raise ValueError(f"{self.key}: data.init_args.files names no train")
        if self.metric not in HIGHER_IS_BETTER:
            raise ValueError(
                f"{self.key}: metric must be one of {', '.join(HIGHER_IS_BETTER)}, got "
                f"{self.metric!r}"
            )
        if whole("folds", self.folds, 1) > 1 and module != _MODULES[0]:
            raise ValueError(f"{self.key}: folds are for sequences, not for variants")

    @property
    def key(self) -> str:
        """The suite and the name."""
        return f"{self.suite}/{self.name}"

    @property
    def paths(self) -> list[str]:
        """The files that it reads, relative to the root."""
        return list(dict.fromkeys(named_files(self.data["init_args"]["files"])))

    def stored(self, root: Path) -> list[Path]:
        """The files that it reads, as they lie below the root; those that do not are left out."""
        found = (stored(root, name, self.aliases) for name in self.paths)
        return [path for path in found if path is not None]

    def lacks_training(self, root: Path) -> bool:
        """Whether the root holds the held-out parts alone.

        The validation part is then what is trained on: nothing but the frozen columns and k-mers
        can be compared with others' figures.
        """
        files = self.data["init_args"]["files"]
        if not (files.get("validation") and files.get("test")):
            return False
        there = {
            part: all(stored(root, name, self.aliases) for name in named_files({part: value}))
            for part, value in files.items()
        }
        return not there["train"] and there["validation"] and there["test"]

    def section(self, root: Path, fold: int = 0, test: bool = False) -> Section:
        """``class_path`` and ``init_args`` with files joined to the root.

        Where relatives are to be kept apart, a table with their groups takes the files' place.

        Args:
            root: folder of the files.
            fold: of a cross-validation.
            test: as held-out parts are to be read (see ``test``).
        """
        section = deepcopy(self.data)
        settings: Section = section["init_args"]
        if self.lacks_training(root):
            files = settings["files"]
            settings["files"] = {"train": files["validation"], "test": files["test"]}
            settings["split"] = {"validation": _VALIDATION}
        settings["files"] = joined(settings["files"], root, self.aliases)
        if self.apart:
            settings = section["init_args"] = with_groups(settings)
        if self.folds > 1:
            changed(settings, {"split.folds": self.folds, "split.fold": fold})
        if test:
            changed(settings, self.test)
        return section

    def module(
        self, root: Path, fold: int = 0, seed: int = 0, test: bool = False, **settings: Any
    ) -> Any:
        """The data module, whose files have not been read.

        Args:
            root: folder of the files.
            fold: of a cross-validation, from 0.
            seed: of order, strands and pieces in training.
            test: as held-out parts are to be read.
            settings: further arguments of the data module, such as ``tokenizer``.
        """
        section = self.section(root, fold, test)
        home, _, name = section["class_path"].rpartition(".")
        return getattr(import_module(home), name)(
            **{**section["init_args"], "seed": seed, **settings}
        )

    def digest(self, root: Path) -> str:
        """Hex digits of all that decides the samples: the declaration and what the files hold.

        Raises:
            ValueError: a damaged file; names it.
        """
        said = {key: value for key, value in asdict(self).items() if key not in _SAID}
        contents = [
            [name, content_digest(path)]
            for name in self.paths
            if (path := stored(root, name, self.aliases)) is not None
        ]
        by = GROUPS_VERSION if self.apart else 0
        text = json.dumps([said, contents, by], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def changed(settings: Section, changes: Mapping[str, Any]) -> Section:
    """Set dotted keys, in place; sections that are not there are made."""
    for key, value in changes.items():
        *sections, last = key.split(".")
        section = settings
        for name in sections:
            section = section.setdefault(name, {})
        section[last] = value
    return settings
