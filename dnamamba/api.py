"""The Python face: a trained model and its tokenizer, ready to use."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import torch

from dnamamba import checkpoint
from dnamamba.alphabet import Tokenizer
from dnamamba.arguments import path, switch
from dnamamba.containers import Sequences
from dnamamba.device import best_device
from dnamamba.framed import RowLabels, row_labels
from dnamamba.frames import column_of
from dnamamba.inference.embedding import Pooling, Vectors, embed
from dnamamba.inference.generation import generate
from dnamamba.inference.prediction import Predictions, predict
from dnamamba.inference.scoring import Scores, score
from dnamamba.model.about import about

if TYPE_CHECKING:
    from pandas import DataFrame

    from dnamamba.data.variants import VariantChecks
    from dnamamba.inference.contributions import Contributions
    from dnamamba.inference.variant_scores import VariantScore

__all__ = ["Pretrained", "load"]


class Pretrained:
    """What ``dnamamba.load`` returns; unpacks as ``model, tokenizer = dnamamba.load(path)``.

    Attributes:
        model: a ``LanguageModel``, ``Classifier`` or ``VariantClassifier``, in evaluation mode.
        tokenizer: the one it was trained with.
        report: of a model that others published how it was read; else None.
        name: what it was loaded by; empty where it was made of its parts.
    """

    def __init__(
        self,
        model: checkpoint.Model,
        tokenizer: Tokenizer,
        report: checkpoint.Report | None = None,
        name: str = "",
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.report = report
        self.name = name

    def __iter__(self) -> Iterator[Any]:
        """The model and its tokenizer, in this order."""
        return iter((self.model, self.tokenizer))

    def __repr__(self) -> str:
        """Name, family, sizes, what it predicts, parameters, dtype and device, in a few words."""
        known = about(self.model)
        sizes = ", ".join(f"{name} {size}" for name, size in known.sizes.items())
        return (
            f"Pretrained({self.name + ': ' if self.name else ''}{known.family}, {known.direction}; "
            f"{sizes}; {known.parameters:,} parameters, {known.dtype} on {known.device}; "
            f"predicts {known.gives})"
        )

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return next(self.model.parameters()).dtype

    def to(
        self,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
    ) -> Self:
        """Move the model, or turn its weights into another type, in place.

        Args:
            device: as ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; ``auto`` takes a GPU if there is
                one; None: where it is.
            dtype: of floating point, as ``bfloat16`` or ``torch.float32``; None: as it is. What
                goes from float32 to a half does not come back.

        Returns:
            This object, so that ``dnamamba.load(path).to("cuda")`` is one line.

        Raises:
            ValueError: no such device here, or no such type; names it.
        """
        target, kind = None if device is None else best_device(device), _dtype(dtype)
        self.model.to(device=target, dtype=kind)
        return self

    @overload
    def embed(
        self, sequences: Sequences, *, as_frame: Literal[True], **how: Any
    ) -> "DataFrame": ...
    @overload
    def embed(self, sequences: Sequences, *, pooling: Pooling = ..., **how: Any) -> Vectors: ...
    @overload
    def embed(self, sequences: Sequences, *, pooling: None, **how: Any) -> list[Vectors]: ...
    def embed(
        self,
        sequences: Sequences,
        *,
        pooling: Pooling | None = "mean",
        column: str | None = None,
        as_frame: bool = False,
        **settings: Any,
    ) -> "Vectors | list[Vectors] | DataFrame":
        """``dnamamba.embed`` with this model: (n, d_model) float32, or one array a sequence.

        Any family of models; ``both_strands=True`` gives one vector for both strands.

        Args:
            sequences: see ``dnamamba.embed``; a list or another container, or a table.
            pooling: see ``dnamamba.embed``.
            column: of a table, the column of sequences; None: that which is called sequence, seq,
                sequences, dna or dna_sequence, in either case.
            as_frame: give a ``DataFrame`` of pandas (extra ``io``) with columns e0, e1 and so on.
                It has the index of a table or column of pandas, the names of a mapping, and the
                column ``id`` of a table that has one; one row a base also ``start`` and ``end``
                (0-based, half-open, within the sequence).
            **settings: others of ``dnamamba.embed``.

        Raises:
            ValueError: see ``dnamamba.embed``; or a table without such a column.
            ModuleNotFoundError: ``as_frame`` without pandas; names the extra.
        """
        rows = _rows(sequences, as_frame)
        chosen = _chosen(sequences, column)
        vectors = embed(self.model, self.tokenizer, chosen, pooling=pooling, **settings)
        return vectors if rows is None else rows.of_vectors(vectors)

    @overload
    def score(
        self, sequences: Sequences, *, as_frame: Literal[True], **how: Any
    ) -> "DataFrame": ...
    @overload
    def score(self, sequences: Sequences, **how: Any) -> Scores: ...
    def score(
        self,
        sequences: Sequences,
        *,
        column: str | None = None,
        as_frame: bool = False,
        **settings: Any,
    ) -> "Scores | DataFrame":
        """``dnamamba.score`` with this model: log-likelihoods and numbers of scored bases.

        Of a model that reads both ways they are pseudo-log-likelihoods, of ``mask_every``.

        Args:
            sequences: n of them, in any form that ``embed`` takes.
            column: of a table, the column of sequences, as ``embed`` has it.
            as_frame: give a ``DataFrame``, as ``embed`` does, with ``log_likelihood`` (nats),
                ``bases`` and ``bits_per_base``.
            **settings: others of ``dnamamba.score``.

        Returns:
            ``log_likelihood`` (n,) float64 in nats, ``bases`` (n,) int64; or the frame.

        Raises:
            ValueError: see ``dnamamba.score``; or a table without such a column.
            ModuleNotFoundError: ``as_frame`` without pandas; names the extra.
        """
        rows = _rows(sequences, as_frame)
        scores = score(self.model, self.tokenizer, _chosen(sequences, column), **settings)
        if rows is None:
            return scores
        return rows.frame({**scores._asdict(), "bits_per_base": scores.bits_per_base})

    def score_variants(
        self,
        vcf: str | Path,
        genome: str | Path,
        checks: "VariantChecks | None" = None,
        **settings: Any,
    ) -> "list[VariantScore]":
        """Effects of a VCF's alleles, in its order, without training for them.

        A causal model compares the likelihoods of both alleles; one that reads both ways guesses
        the masked site, and leaves out indels and N, which a warning counts.

        Args:
            vcf: plain, bgzip or gzip.
            genome: the reference, a FASTA.
            checks: what to do with records that cannot be used; None for the defaults.
            **settings: ``context``, ``flank`` and others of ``variant_scores.score_variants``.

        Raises:
            ValueError: a bad record, named by file and line, or a model that predicts no bases.
        """
        # Whoever embeds strings should not wait for the readers of genomes to be imported.
        from dnamamba.data.genome.fasta import Genome
        from dnamamba.data.variants import VariantChecks
        from dnamamba.inference.variant_scores import scorable_variants, score_variants

        if not isinstance(checks, VariantChecks | None):
            raise ValueError(f"checks must be VariantChecks or None, got {checks!r:.60}")
        vcf = path("vcf", vcf)
        reference = Genome(path("genome", genome))
        variants = scorable_variants(self.model, self.tokenizer, vcf, reference, checks)
        how = self.model, self.tokenizer, reference, variants
        return list(score_variants(*how, **settings))

    @overload
    def predict(self, inputs: Sequences, *, as_frame: Literal[True], **how: Any) -> "DataFrame": ...
    @overload
    def predict(self, inputs: Sequences, **how: Any) -> Predictions: ...
    def predict(
        self,
        inputs: Sequences,
        *,
        column: str | None = None,
        as_frame: bool = False,
        **settings: Any,
    ) -> "Predictions | DataFrame":
        """``dnamamba.predict`` with this model, a fine-tuned one: labels and probabilities.

        Args:
            inputs: n sequences, in any form that ``embed`` takes; of a model of variants
                (bases left of it, reference allele, alternative allele, bases right of it).
            column: of a table, the column of sequences, as ``embed`` has it.
            as_frame: give a ``DataFrame``, as ``embed`` does, with ``predicted`` and the
                probability of each label, as the table that ``dnamamba predict`` writes.
            **settings: others of ``dnamamba.predict``.

        Returns:
            ``labels`` (n items), ``probabilities`` (n, C) float32 and ``classes``; or the frame.

        Raises:
            ValueError: see ``dnamamba.predict``; or a table without such a column.
            ModuleNotFoundError: ``as_frame`` without pandas; names the extra.
        """
        rows = _rows(inputs, as_frame)
        predictions = predict(self.model, self.tokenizer, _chosen(inputs, column), **settings)
        return predictions if rows is None else rows.frame(predictions.columns())

    def predict_file(self, input: str | Path, **settings: Any) -> dict[str, list[Any]]:
        """What ``dnamamba predict`` writes with this model, a fine-tuned one: name -> column.

        Args:
            input: a FASTA or a table, or for a model of variants a VCF.
            **settings: of a FASTA ``bed`` or ``window``; of a table ``column`` and ``keep``; of a
                VCF its reference ``genome``, and
                ``checks``; and others of ``commands.predict.predict_table``.

        Raises:
            ValueError: bad input, named by file and record, or a model that was not fine-tuned.
        """
        from dnamamba.commands.predict import predict_table

        file = str(path("input", input))
        if (genome := settings.pop("genome", None)) is not None:
            reference = str(path("genome", genome))
            return predict_table(self.model, self.tokenizer, reference, vcf=file, **settings)
        return predict_table(self.model, self.tokenizer, file, **settings)

    def attribute(
        self, sequences: Sequences, *, column: str | None = None, **settings: Any
    ) -> "list[Contributions]":
        """``dnamamba.attribute`` with this model: what each base adds to what it says.

        To the log-odds or logit of a label, or a language model's log-likelihood.

        Args:
            sequences: see ``embed``.
            column: see ``embed``.
            **settings: ``method``, ``label`` and others of ``dnamamba.attribute``.

        Raises:
            ValueError: see ``dnamamba.attribute``; or a table without such a column.
        """
        from dnamamba.inference.attribution import attribute

        chosen = _chosen(sequences, column)
        return attribute(self.model, self.tokenizer, chosen, **settings)

    @overload
    def generate(
        self, prompt: str = ..., *, length: int, n: None = None, **settings: Any
    ) -> str: ...
    @overload
    def generate(self, prompt: str = ..., *, length: int, n: int, **settings: Any) -> list[str]: ...
    def generate(
        self, prompt: str = "", *, length: int, n: int | None = None, **settings: Any
    ) -> str | list[str]:
        """``dnamamba.generate`` with this model, a causal one: the bases drawn after the prompt.

        Args:
            prompt: bases to go on from; empty: from a sequence's start.
            length: bases to draw.
            n: how many continuations; None: one, as text.
            **settings: others of ``dnamamba.generate``, as ``temperature``, ``top_k`` and ``seed``.

        Returns:
            ``length`` bases, without the prompt; with ``n`` a list of so many.

        Raises:
            ValueError: see ``dnamamba.generate``; a model that reads both ways generates nothing.
        """
        return generate(self.model, self.tokenizer, prompt, length=length, n=n, **settings)


def load(
    path: str | Path,
    device: str | torch.device = "cpu",
    tokens: Mapping[str, int] | None = None,
) -> Pretrained:
    """Open a trained model.

    Args:
        path: a shared folder (``config.json`` and ``model.safetensors``), a training
            checkpoint (``.ckpt``), or the name of a model that comes with the package. Of others'
            models a folder of Caduceus, PlantCaduceus, mamba-ssm or transformers' Mamba, or a name
            on the Hugging Face hub (``owner/model``).
        device: where the weights go, as ``cuda``.
        tokens: which letters the ids of a model of others stand for, ``{"A": 7, "C": 8, ...}``,
            and ``mask`` and ``bos`` where it has them; None: as the model says, if it does.

    Raises:
        CheckpointError: a ValueError: no model there, or a damaged one; names file and remedy.
        ValueError: no such device.
    """
    opened = checkpoint.open_model(path, device, tokens)
    return Pretrained(opened.model, opened.tokenizer, opened.report, str(path))


def _dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    kind = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if kind is None and dtype is None:
        return None
    if not isinstance(kind, torch.dtype) or not kind.is_floating_point or kind.itemsize < 2:
        raise ValueError(
            f"dtype must be float32, float64, bfloat16 or float16, as text or torch's own, got "
            f"{dtype!r:.60}"
        )
    return kind


def _chosen(inputs: Sequences, column: str | None) -> Sequences:
    return inputs if column is None else column_of(inputs, column)


def _rows(inputs: Sequences, as_frame: bool) -> RowLabels | None:
    return row_labels(inputs) if switch("as_frame", as_frame) else None
