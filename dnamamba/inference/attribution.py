"""How much each base of a sequence adds to what a model says of it.

With f the explained number (see ``explained``), x the sequence's one-hot rows and b the baseline's:

    gradient      sum over ids of (x - b) times the gradient of f at x
    integrated    the same with the mean gradient on the straight way from b to x: contributions
                  add up to f(x) - f(b) (Sundararajan et al. 2017)
    substitution  f(x) minus the mean of f with each of A, C, G and T in the base's place

The first takes one pass, the second one a step, the third four a base. The baseline ``uniform``
has a quarter of each base everywhere: a gradient then counts by how far it stands out from its mean
over the four, which alone means something (Majdandzic et al. 2023). No input at all is no baseline:
the first norm jumps there, and contributions do not add up.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from dnamamba.alphabet import Tokenizer
from dnamamba.arguments import whole
from dnamamba.containers import Sequences
from dnamamba.inference.baselines import BASELINES
from dnamamba.inference.contributions import Contributions, Floats
from dnamamba.inference.explained import Terms, explained_number
from dnamamba.inference.models import backbone_of, evaluating
from dnamamba.inference.settings import MASK_EVERY, METHOD, POINTS, STEPS, Baseline, Method
from dnamamba.inference.sites import base_columns, cased_bases
from dnamamba.inference.sources import named_letters

__all__ = ["METHODS", "attribute", "checked_steps"]


def attribute(
    model: nn.Module,
    tokenizer: Tokenizer,
    sequences: Sequences,
    *,
    method: Method = METHOD,
    label: str | None = None,
    baseline: Baseline = "uniform",
    steps: int | None = None,
    both_strands: bool | None = None,
    mask_every: int | None = MASK_EVERY,
    max_bases: int | None = None,
    device: str | torch.device | None = None,
    advance: Callable[[int], None] | None = None,
) -> list[Contributions]:
    """Explain what a model says of sequences, base by base.

    A fine-tuned model's number is the log-odds or logit of a label, or the value of a regression; a
    language model's the log-likelihood of the sequence, of one that reads both ways the
    pseudo-log-likelihood, of which the bases are input and, each in its turn, what is guessed.

    Args:
        model: a ``Classifier`` or a ``LanguageModel``; its device and mode are given back.
        tokenizer: the model's.
        sequences: see ``embed``.
        method: see above; a row of ``METHODS``.
        label: of a model with labels; None where it gives one number alone, as for two classes,
            whose second is explained.
        baseline: what the sequence is held against: a quarter of each base (``uniform``), or N
            everywhere (``N``). For ``substitution`` the first alone.
        steps: points between baseline and sequence, by Gauss and Legendre, of ``integrated`` alone;
            None: 64, where they are any.
        both_strands: explain the mean over both strands; None: of a fine-tuned model as it was
            validated, of a language model both.
        mask_every: see ``score``; of a language model that reads both ways alone.
        max_bases: side by side, of all points together; bounds the memory, which is that of a
            training step. None: 65,536. A sequence is read whole.
        device: where to run, as ``cuda``; None is where the model is.
        advance: told of the bases of each sequence that is done.

    Returns:
        One item a sequence, in their order.

    Raises:
        ValueError: a model without such a number, a setting out of range or without a meaning for
            model or method, no sequence at all, an empty one, or a letter that the tokenizer
            refuses.
    """
    steps = checked_steps(method, baseline, steps)
    most = POINTS if max_bases is None else whole("max_bases", max_bases, 1)
    terms = explained_number(model, tokenizer, label, both_strands, mask_every)
    named = [(name, bytes(raw)) for name, raw in named_letters(sequences)]
    if not named:
        raise ValueError("expected at least one sequence, got none")
    found = []
    with evaluating(model, tokenizer, device, gradients=True) as target:
        weight = backbone_of(model).embedding.weight
        for name, raw in named:
            task = _Task.of(tokenizer, raw, name, terms, weight, baseline, steps, most, target)
            found.append(METHODS[method](task))
            if advance is not None:
                advance(len(raw))
    return found


def checked_steps(method: Method, baseline: Baseline, steps: int | None) -> int:
    """The points on the way from the baseline, of settings that go together.

    Args:
        method: see ``attribute``.
        baseline: see ``attribute``.
        steps: as they were given; None where they were not.

    Raises:
        ValueError: a setting out of range, or one that has no meaning for the method; names it.
    """
    if method not in METHODS:
        raise ValueError(f"method must be {' or '.join(METHODS)}, got {method!r}")
    if baseline not in BASELINES:
        raise ValueError(f"baseline must be {' or '.join(BASELINES)}, got {baseline!r}")
    if method == "substitution" and baseline != "uniform":
        raise ValueError("baseline has no meaning for method=substitution; leave it out")
    if steps is None:
        return STEPS
    if method != "integrated":
        raise ValueError(
            f"steps has no meaning for method={method}, which goes no way from the baseline to the "
            "sequence; leave it out, or take method=integrated"
        )
    return whole("steps", steps, 1)


class _Task(NamedTuple):
    """A sequence that is explained.

    Attributes:
        ref: its letters, upper case.
        known: (L,) bool, where they are A, C, G or T.
        column: (L,) which of them, 0 elsewhere.
        ids: (L, 4) of A, C, G and T in each letter's case.
        tokens: (L,) uint8, on the device.
        rows: (L, V) one-hot.
        base: (L, V) the baseline; where no base is known it is the sequence itself.
        terms: of the explained number.
        steps: points on the way.
        batch: points side by side.
    """

    ref: str
    known: NDArray[np.bool_]
    column: NDArray[np.int64]
    ids: Tensor
    tokens: Tensor
    rows: Tensor
    base: Tensor
    terms: Terms
    steps: int
    batch: int

    @classmethod
    def of(
        cls,
        tokenizer: Tokenizer,
        raw: bytes,
        name: str,
        terms: Terms,
        weight: Tensor,
        baseline: Baseline,
        steps: int,
        most: int,
        device: torch.device,
    ) -> "_Task":
        column = base_columns(raw)
        known = column >= 0
        ids = torch.from_numpy(cased_bases(tokenizer, raw).astype(np.int64)).to(device)
        tokens = torch.from_numpy(tokenizer.encode(raw, contig=name).copy()).to(device)
        rows = F.one_hot(tokens.long(), len(weight)).to(weight.dtype)
        others = BASELINES[baseline](tokenizer, rows, ids)
        base = torch.where(torch.from_numpy(known).to(device)[:, None], others, rows)
        ref, column = raw.decode("latin-1").upper(), np.where(known, column, 0)
        batch = max(1, most // len(raw))
        return cls(ref, known, column, ids, tokens, rows, base, terms, steps, batch)

    def number(self, rows: Tensor) -> Floats:
        """(B,) the number, of (B, L, V)."""
        total = np.zeros(len(rows))
        with torch.no_grad():
            for term in self.terms(rows, self.tokens):
                total += term.double().cpu().numpy()
        return total

    def gradient(self, points: NDArray[np.float64], weights: NDArray[np.float64]) -> Tensor:
        """(L, V) mean of the gradients at points of the way, from 0 at the baseline to 1."""
        mean = torch.zeros_like(self.rows)
        for first in range(0, len(points), self.batch):
            part = slice(first, first + self.batch)
            at, by = (torch.from_numpy(x[part]).to(self.rows) for x in (points, weights))
            rows = self.base + at[:, None, None] * (self.rows - self.base)
            rows.requires_grad_()
            for term in self.terms(rows, self.tokens):
                if term.requires_grad:
                    (own,) = torch.autograd.grad((term * by).sum(), rows)
                    mean += own.sum(0)
        return mean

    def found(self, values: Floats, each: Floats, baseline: float) -> Contributions:
        output = float(self.number(self.rows[None])[0])
        values = np.where(self.known, values, 0.0)
        each = np.where(self.known[:, None], each, 0.0)
        return Contributions(self.ref, values, each, output, baseline)


def _along(task: _Task, points: Floats, weights: Floats) -> Contributions:
    gradient = task.gradient(points, weights)
    moved = (task.base * gradient).sum(1, keepdim=True)
    values = (task.rows * gradient).sum(1, keepdim=True) - moved
    each = gradient.gather(1, task.ids) - moved
    baseline = float(task.number(task.base[None])[0])
    contributed, would = (x.double().cpu().numpy() for x in (values[:, 0], each))
    return task.found(contributed, would, baseline)


def _gradient(task: _Task) -> Contributions:
    return _along(task, np.ones(1), np.ones(1))


def _integrated(task: _Task) -> Contributions:
    points, weights = np.polynomial.legendre.leggauss(task.steps)
    return _along(task, (points + 1) / 2, weights / 2)


def _substitution(task: _Task) -> Contributions:
    numbers = np.zeros((len(task.ref), 4))
    places = [(at, base) for at in np.flatnonzero(task.known).tolist() for base in range(4)]
    for first in range(0, len(places), task.batch):
        at, base = (torch.tensor(x) for x in zip(*places[first : first + task.batch], strict=True))
        rows = task.rows.repeat(len(at), 1, 1)
        rows[torch.arange(len(at)), at] = F.one_hot(task.ids[at, base], rows.shape[2]).to(rows)
        numbers[at, base] = task.number(rows)
    each = numbers - numbers.mean(1, keepdims=True)
    return task.found(each[np.arange(len(each)), task.column], each, np.nan)


METHODS: dict[str, Callable[[_Task], Contributions]] = {
    "integrated": _integrated,
    "gradient": _gradient,
    "substitution": _substitution,
}
"""What is done with a sequence, by its name."""
