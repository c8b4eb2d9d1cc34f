"""A card as Markdown: first what the hub reads, then what people do."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from dnamamba.cards.facts import Base, DataFile, Facts
from dnamamba.cards.front import METRICS, divided, front, joined
from dnamamba.cards.settings import license_fields
from dnamamba.version import installed_version

__all__ = ["CARD", "HERE", "card", "on_hub"]

CARD = "README.md"
"""The name of a card's file, beside ``config.json``."""
HERE = "path/to/this/folder"
"""What the card's example loads until ``push`` knows the model's name on the hub."""

_OF_LICENSE = ("license", "license_name", "license_link")
_SECTION = re.compile(r"^## License\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
_LIMITS = {
    True: "A base is seen in the light of those before it alone: embed and score both strands. ",
    False: "It reads both ways: what it says of a sequence are pseudo-log-likelihoods, each base "
    "given all others, not to be compared with a causal model's figures. It generates nothing. ",
}


def card(facts: Facts) -> str:
    """The whole card, its head for the hub included.

    Args:
        facts: what it tells; what is not known it passes over.
    """
    sections = {
        "": [_first(facts)],
        "Data": [_files(facts.files), *([f"- {part}" for part in facts.parts])],
        "Recipe": [_recipe(facts)],
        "Figures": [*_figures(facts)],
        "Limits": [_limits(facts)],
        "Base model": [*_base(facts.base)],
    }
    text = [f"# {facts.name}"]
    for title, lines in sections.items():
        if body := "\n".join(line for line in lines if line):
            text.append(f"## {title}\n\n{body}" if title else body)
    text.append(_license(facts.settings.license))
    return joined(front(facts), "\n\n".join(text) + "\n")


def on_hub(text: str, repo: str, license: str | None) -> str:
    """A card whose example loads the model by its name.

    Args:
        text: the card as it lies in the model's folder; its maker may have changed it.
        repo: the model's name on the hub.
        license: under which it is shared from now on; None: as the card says.

    Raises:
        ValueError: the card's head is no YAML.
    """
    fields, body = divided(text)
    body = body.replace(HERE, repo, 1)  # a base model's example stays
    if license is not None:
        aside = {name: value for name, value in fields.items() if name not in _OF_LICENSE}
        fields = {**aside, **license_fields(license)}
        body = _SECTION.sub("", body).rstrip() + f"\n\n{_license(license)}\n"
    return joined(fields, body)


def _license(license: str | None) -> str:
    said = license or (
        "None is given, so nobody but its makers may use it: set `card.license` where it is "
        "trained, or `--license` where it is pushed."
    )
    return f"## License\n\n{said}"


def _first(facts: Facts) -> str:
    about = facts.about
    use = {
        None: 'vectors = model.embed(["ACGTTGCAAGGT"])  # (1, {d_model})\n'
        'scores = model.score(["ACGTTGCAAGGT"])  # log-likelihood, bits per base',
        "sequences": 'labels = model.predict(["ACGTTGCAAGGT"])',
        "variants": 'labels = model.predict_file("new.vcf", genome="ref.fa")',
    }[about.reads if about.head else None].format(**{"d_model": "d_model", **about.sizes})
    sizes = ", ".join(f"{name} {size}" for name, size in about.sizes.items())
    told = f"{facts.settings.about.strip()}\n\n" if facts.settings.about else ""
    return (
        f"{told}A {about.direction} Mamba (`{about.family}`: {sizes}) of {about.parameters:,} "
        f"parameters that predicts {about.gives}. Made with dnamamba {installed_version()}.\n\n"
        f'```python\nimport dnamamba\n\nmodel = dnamamba.load("{HERE}")\n{use}\n```'
    )


def _files(files: tuple[DataFile, ...]) -> str:
    if not files:
        return ""
    rows = [
        f"| {file.part} | {_cell(file.name)} | {file.holds} | "
        + (
            "gone or changed since |  |"
            if file.size is None
            else f"{file.size:,} | `{file.sha256}` |"
        )
        for file in files
    ]
    head = "| read as | file | holds | bytes | SHA-256 of the file |\n|---|---|---|--:|---|"
    return "\n".join([head, *rows]) + "\n"


def _recipe(facts: Facts) -> str:
    if not facts.recipe:
        return ""
    text = yaml.safe_dump(
        dict(facts.recipe), sort_keys=False, default_flow_style=None, width=96, allow_unicode=True
    )
    return f"The settings that matter, as `dnamamba fit` takes them.\n\n```yaml\n{text}```"


def _figures(facts: Facts) -> Iterator[str]:
    if facts.figures:
        yield f"| {facts.figures_of} | |\n|---|--:|"
        for name, value in facts.figures.items():
            metric = METRICS.get(name)
            yield f"| {name if metric is None else metric.shown} | {value:.4f} |"
    if facts.course:
        told = "; ".join(f"{name}: {value}" for name, value in facts.course.items())
        yield f"\n{told[:1].upper()}{told[1:]}."


def _limits(facts: Facts) -> str:
    about, length = facts.about, facts.length
    text = _LIMITS[about.causal] if about.head is None else ""
    if about.head is not None and about.labels:
        text += "It knows the labels above alone, and finds one in whatever it is shown. "
    if length is not None:
        text += f"It was trained on at most {length:,} bases at once; longer ones are new to it. "
    if facts.files:
        text += "How well it does on genomes unlike those above nobody has tried. "
    return text + "What it says of variants is no clinical evidence of anything."


def _base(base: Base | None) -> Iterator[str]:
    if base is None:
        return
    told = f" (SHA-256 of its weights `{base.sha256}`)" if base.sha256 else ""
    yield f"Fine-tuned from `{base.name}`{told}."
    if base.card:
        try:
            _, body = divided(base.card)
        except ValueError:  # a head that somebody spoilt must not cost the end of a training
            body = base.card
        yield "\n<details>\n<summary>The card of the base model</summary>\n"
        yield f"{_lowered(body.strip())}\n\n</details>"


def _lowered(text: str) -> str:
    """With headings below those of the card around it; what stands in code stays."""
    lines, in_code = [], False
    for line in text.splitlines():
        in_code ^= line.startswith("```")
        heading = line.startswith("#") and not in_code
        lines.append(f"##{line}" if heading and not line.startswith("#####") else line)
    return "\n".join(lines)


def _cell(text: Any) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")
