"""``split: null``: nothing is held out unless a file says so."""

from pathlib import Path

import pytest

from dnamamba.data.labelled import Split
from dnamamba.data.modules import LabelledSequenceDataModule
from dnamamba.data.modules.sequences import LabelledFiles


def _table(path: Path, rows: range) -> str:
    lines = [f"{'ACGT'[i % 4] * 5}{'ACGT'[i // 4 % 4] * 9}{'C' * i},{i % 2}\n" for i in rows]
    path.write_text("sequence,label\n" + "".join(lines))
    return str(path)


@pytest.mark.parametrize("given", [False, True])
def test_every_training_example_is_trained_on(given: bool, tmp_path: Path) -> None:
    train = _table(tmp_path / "train.csv", range(20))
    test = _table(tmp_path / "test.csv", range(20, 26)) if given else None
    data = LabelledSequenceDataModule(LabelledFiles(train, test=test), split=None)
    data.setup("fit")
    sizes = {part: len(data.dataset(part)) for part in ("train", "validation", "test")}
    assert sizes == {"train": 20, "validation": 0, "test": 6 if given else 0}
    assert data.split == Split.none()
    again = LabelledSequenceDataModule(**data.hparams)
    assert again.split == data.split
