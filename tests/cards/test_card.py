"""A card is read by people, and its head by the hub's own library."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from dnamamba.cards import Base, CardSettings, Facts, card
from dnamamba.cards.facts import base_of, data_file, public_name, stamp
from dnamamba.cards.front import divided, joined
from dnamamba.cards.page import on_hub
from dnamamba.model.about import About, about
from dnamamba.model.language_model import LanguageModel
from dnamamba.training.callbacks.readable import clock_time

KNOWN = About("mamba", True, {"d_model": 8}, 1234, None, (), "sequences", "float32", "cpu")
FACTS = Facts(
    "tiny",
    KNOWN,
    figures={"bits_per_base": 1.9, "perplexity": 3.7},
    figures_of="validation, step 6",
    base=Base("owner/base", "ab" * 32, "# base\n\n## Data\n\nGenomes.\n\n```\n# code\n```\n"),
)


def head(text: str) -> Any:
    return huggingface_hub.ModelCard(text, ignore_metadata_errors=False).data


def test_the_hub_reads_the_head() -> None:
    told = head(card(replace(FACTS, settings=CardSettings("MIT", ("owner/genomes",)))))
    assert (told.library_name, told.license, told.base_model) == ("dnamamba", "mit", "owner/base")
    assert told.datasets == ["owner/genomes"]
    assert {"dnamamba", "genomics", "mamba", "causal"} <= set(told.tags)
    assert told.metrics == ["bits_per_base", "perplexity"]
    results = [
        (r.task_type, r.dataset_type, r.metric_type, r.metric_value) for r in told.eval_results
    ]
    assert results == [
        ("text-generation", "owner/genomes", "bits_per_base", 1.9),
        ("text-generation", "owner/genomes", "perplexity", 3.7),
    ]


def test_a_model_of_labels_and_one_of_which_little_is_known() -> None:
    labels = KNOWN._replace(head="multiclass", labels=tuple("abcdefghijklmno"), reads="variants")
    text = card(Facts("few", labels))
    assert "predicts labels of variants: a, b, c, d, e, f, g, h, i, j, k, l and 3 more." in text
    assert 'model.predict_file("new.vcf", genome="ref.fa")' in text
    assert not re.search(r"^## (Data|Recipe|Figures|Base model)", text, re.MULTILINE)
    told = head(text)
    assert (told.license, told.eval_results) == ("unknown", None)
    assert {"multiclass", "variant-classification"} <= set(told.tags)
    number = card(Facts("n", KNOWN._replace(head="regression")))
    assert "predicts a number for each of the sequences." in number


def test_the_base_s_card_goes_along_below_the_headings_of_this_one() -> None:
    _, body = divided(card(FACTS))
    assert f"Fine-tuned from `owner/base` (SHA-256 of its weights `{'ab' * 32}`)." in body
    assert "\n### base\n\n#### Data\n" in body
    assert "```\n# code\n```" in body
    assert body.index("</details>") < body.index("\n## License\n")


def test_a_spoilt_head_of_the_base_s_card_does_not_end_a_training() -> None:
    _, body = divided(card(replace(FACTS, base=Base("b", None, "---\na: [\n---\n\n# its words\n"))))
    assert "\n### its words\n" in body


def test_days_are_hours_on_the_clock() -> None:
    assert [clock_time(n) for n in (0, 59.9, 3661, 90_061)] == [
        "00:00:00", "00:00:59", "01:01:01", "25:01:01",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ("apache-2.0", {"license": "apache-2.0"}),
        ("Apache 2.0", {"license": "apache-2.0"}),
        ("Apache License, Version 2.0", {"license": "apache-2.0"}),
        ("CC_BY-4.0", {"license": "cc-by-4.0"}),
        ("GPL-3.0", {"license": "gpl-3.0"}),
        ("Our institute's own", {"license": "other", "license_name": "Our institute's own"}),
        (None, {"license": "unknown"}),
    ],
)
def test_licences(given: str | None, fields: dict[str, str]) -> None:
    text = card(replace(FACTS, settings=CardSettings(given)))
    told = head(text).to_dict()
    assert {name: told[name] for name in fields} == fields
    _, _, last = text.partition("\n## License\n\n")
    assert last.strip() == CardSettings(given).license if given else "None is given" in last


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"license": ""}, "card.license must name a licence, as apache-2.0, got ''"),
        ({"license": "a\nb"}, "must name a licence"),
        ({"license": 3}, "must name a licence, as apache-2.0, got 3"),
        ({"license": "x" * 200}, "a licence's name of at most 80 characters, not its text"),
        ({"datasets": ["my file.fa"]}, "card.datasets must be names on the Hugging Face hub"),
        ({"about": 3}, "card.about must be text, got 3"),
    ],
)
def test_settings_that_are_none_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CardSettings(**settings)


def test_on_the_hub_a_card_loads_by_name_and_keeps_what_its_maker_wrote() -> None:
    base = Base("owner/base", None, card(replace(FACTS, base=None)))
    text = card(replace(FACTS, base=base)).replace(
        "## Limits", "## Mine\n\nOwn words.\n\n## Limits"
    )
    shared = on_hub(text, "me/tiny", "mit")
    assert shared.count('dnamamba.load("me/tiny")') == 1
    assert shared.count('dnamamba.load("path/to/this/folder")') == 1  # the base's own
    assert "Own words." in shared
    assert head(shared).license == "mit"
    assert shared.endswith("## License\n\nmit\n")
    assert shared.count("\n## License") == 1
    fields, body = divided(on_hub(text, "me/tiny", None))
    assert fields == divided(text)[0]
    assert body.endswith(divided(text)[1][-80:])
    assert on_hub("Plain words.\n", "me/tiny", "mit").startswith("---\nlicense: mit\n---\n\nPlain")


def test_a_head_is_divided_from_its_body() -> None:
    assert divided("# no head") == ({}, "# no head")
    assert divided(joined({"a": ["é", "b: c"]}, "# x\n---\n")) == (
        {"a": ["é", "b: c"]},
        "# x\n---\n",
    )
    for bad in ("a: [", "- a", "a: 1\na: 2"):
        with pytest.raises(ValueError, match="its head"):
            divided(f"---\n{bad}\n---\n\n# x")


def test_a_file_is_hashed_as_it_was_read_and_named_without_its_place(tmp_path: Path) -> None:
    file = tmp_path / "a.fa"
    file.write_bytes(b">a\nACGT\n")
    seen = stamp(file)
    told = data_file("genome", file, "4 bases", seen)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert told == ("genome", "a.fa", 8, digest, "4 bases")
    file.write_bytes(b">a\nACGA\n")
    assert data_file("genome", file, "", seen)[2:4] == (None, None)
    file.unlink()
    assert data_file("genome", file)[2:4] == (None, None)
    assert "| genome | a.fa |  | gone or changed" in card(
        Facts("x", KNOWN, files=(data_file("genome", file),))
    )
    assert public_name("data/x.fa") == "data/x.fa"
    assert {public_name(path) for path in ("/home/me/x.fa", "~/x.fa", "../x.fa")} == {"x.fa"}


def test_what_is_known_of_a_base(tmp_path: Path, model: LanguageModel) -> None:
    packaged = base_of("vertebrate-0.5m")
    assert packaged.name == "vertebrate-0.5m"
    assert len(packaged.sha256 or "") == 64
    assert packaged.card.startswith("# vertebrate-0.5m")
    assert base_of("owner/elsewhere") == Base("owner/elsewhere")
    assert base_of(str(tmp_path / "last.ckpt")) == Base("last.ckpt")
    assert about(model).parameters == sum(p.numel() for p in model.parameters())
