"""Fine-tuning: from a pretrained backbone to labels of variants."""

from torch import Tensor

from dnamamba.alphabet import Tokenizer
from dnamamba.model.classifier import VariantClassifier
from dnamamba.model.families import Sizes
from dnamamba.model.heads import VariantHeadConfig
from dnamamba.model.recompute import Recompute
from dnamamba.settings import typed
from dnamamba.training.finetune_module import FineTuneModule
from dnamamba.training.module import Batch
from dnamamba.training.optim import OptimizerConfig
from dnamamba.training.tuning import TuningConfig

__all__ = ["VariantModule"]


class VariantModule(FineTuneModule):
    """Fine-tunes a backbone, or trains one from scratch, to label variants.

    A batch holds ``tokens`` (B, 2, L), REF and ALT, ``lengths`` (B, 2), ``position``, ``right``
    and ``index`` (B,), and ``label``, as ``VariantDataModule`` delivers them. The model, kept as
    ``.model``, is a ``VariantClassifier``. Logs, arguments and errors are those of
    ``ClassificationModule``; the head also says from where on to pool.
    """

    kind = VariantClassifier

    def __init__(
        self,
        pretrained: str | None = None,
        model: Sizes | None = None,
        tokenizer: Tokenizer | None = None,
        head: VariantHeadConfig = VariantHeadConfig(),  # noqa: B008 (frozen)
        tuning: TuningConfig = TuningConfig(),  # noqa: B008 (frozen)
        optimizer: OptimizerConfig = OptimizerConfig(),  # noqa: B008 (frozen)
        class_weights: bool = False,
        monitor: str = "loss",
        recompute: Recompute = "nothing",
        hide: float = 0.0,
    ) -> None:
        # The command line and Lightning's loading read the arguments off this signature.
        settings = tuning, optimizer, class_weights, monitor, recompute, hide
        super().__init__(pretrained, model, tokenizer, typed(VariantHeadConfig, head), *settings)

    def _inputs(self, batch: Batch, both_strands: bool = False) -> tuple[Tensor, ...]:
        places = ("position", "right") if both_strands else ("position",)
        return tuple(batch[name] for name in ("tokens", "lengths", *places))
