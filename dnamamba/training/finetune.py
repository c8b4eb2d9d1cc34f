"""Fine-tuning: from a pretrained backbone to labels of sequences."""

from torch import Tensor

from dnamamba.model.classifier import Classifier
from dnamamba.training.finetune_module import FineTuneModule
from dnamamba.training.module import Batch
from dnamamba.training.variant_finetune import VariantModule  # a path of configurations of before

__all__ = ["ClassificationModule", "VariantModule"]


class ClassificationModule(FineTuneModule):
    """Fine-tunes a backbone, or trains one from scratch, to label sequences.

    A batch holds ``tokens`` (B, L), ``lengths`` (B,), ``index`` (B,) and ``label``, as
    ``LabelledSequenceDataModule`` and ``SpeciesDataModule`` deliver them. The model, kept as
    ``.model``, is a ``Classifier``. It logs ``train/loss``; of the whole validation part
    ``validation/loss`` and the metrics of its head; and so for ``test``,
    after which the run's folder holds a table of predictions and plots.

    Args:
        pretrained: a model's folder, training checkpoint, or packaged model's name, whose
            backbone and tokenizer are taken; None: from scratch.
        model: the sizes, from scratch.
        tokenizer: what the ids mean, from scratch; None is the default.
        head: pooling and what else the head is made of; kind and labels are the data's where
            they are not set.
        tuning: which weights move; by default all.
        optimizer: AdamW and its schedule.
        class_weights: weigh losses so that every class counts the same, by the training part.
        monitor: the metric of the validation part that ``best.ckpt`` follows, as ``loss`` or
            ``mcc``.
        recompute: what each block computes again in the backward, for less memory and more time;
            see ``PretrainModule``.
        hide: share of the bases that training hides behind the mask token, others each time that
            a sequence is read; against learning few sequences by heart.

    Raises:
        ValueError: settings that do not fit together; names them.
        CheckpointError: ``pretrained`` holds no model.
    """

    kind = Classifier

    def check_pieces(self) -> None:
        """Nothing: pooling is over all pieces of a sequence."""

    def _inputs(self, batch: Batch, both_strands: bool = False) -> tuple[Tensor, ...]:
        return batch["tokens"], batch["lengths"]
