"""The notebooks: without outputs, and one of them run, as the site's build runs all."""

import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.md"))


CELL = re.compile(r"```\{code-cell\}\n(?::tags:[^\n]*\n)?(.*?)```", re.DOTALL)


def code(notebook: Path) -> str:
    return "\n".join(CELL.findall(notebook.read_text()))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_is_code_and_words(notebook: Path) -> None:
    text = notebook.read_text()
    assert text.startswith("---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n")
    assert "{code-cell-output}" not in text
    compile(code(notebook), str(notebook), "exec")


def test_the_model_knows_the_alu_and_not_the_fly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(FOLDER)
    names: dict[str, Any] = {}
    with mpl.rc_context({"backend": "agg"}):
        exec(code(FOLDER / "mutagenesis.md"), names)
        names["plt"].close("all")
    effects, inside, outside = (names[name] for name in ("effects", "inside", "outside"))
    assert effects.mean[inside].mean() < -2
    assert abs(effects.mean[outside].mean()) < 0.5
    np.testing.assert_allclose(names["p"].sum(1), 1)
    assert names["same"] > 0.9
    assert "the model expects the consensus" in capsys.readouterr().out
    assert not names["out"].exists()
