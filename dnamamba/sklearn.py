"""A model's vectors as a step of scikit-learn's pipelines.

    from dnamamba.sklearn import DnaEmbedder

    pipeline = make_pipeline(DnaEmbedder("vertebrate-0.5m"), StandardScaler(), LogisticRegression())
    pipeline.fit(sequences, labels)

scikit-learn comes with the extra ``benchmark``.
"""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from dnamamba import arguments
from dnamamba.extras import library

library("sklearn.base", "benchmark", "DnaEmbedder")

from sklearn.base import (  # noqa: E402
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_array, check_is_fitted, validate_data  # noqa: E402

if TYPE_CHECKING:
    from dnamamba.checkpoint import Opened

__all__ = ["DnaEmbedder"]


class DnaEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Sequences to the pooled hidden states of a frozen model.

    Nothing is learned: ``fit`` checks model, parameters and sequences. The model is known by its
    name or folder and read once in a process, so that clones and pickles are small; where they are
    used, the model has to be at hand.

    Args:
        model: what ``dnamamba.load`` takes: a folder, a ``.ckpt`` file or a name.
        layer: the hidden states to take: behind this block, counted from 0; -1 stands for those
            behind the final norm.
        pooling: over a sequence's bases: ``mean``, ``max`` or ``last``.
        both_strands: the mean of a sequence's and of its reverse complement's vector.
        device: where to run, as ``cuda``; ``auto`` takes a GPU if there is one.

    Attributes:
        n_features_in_: 1, the column of sequences.
        feature_names_in_: its name, where ``fit`` saw a table.
    """

    def __init__(
        self,
        model: str = "vertebrate-0.5m",
        layer: int = -1,
        pooling: str = "mean",
        both_strands: bool = True,
        device: str = "auto",
    ) -> None:
        self.model = model
        self.layer = layer
        self.pooling = pooling
        self.both_strands = both_strands
        self.device = device

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check that the model is there and reads the sequences.

        Args:
            X: n sequences: a list, an array (n,) or (n, 1), a Series, or a table of one column.
            y: not used.

        Raises:
            CheckpointError: a ValueError: no such model; names the remedy.
            ValueError: a parameter out of range, or what is no sequence; names it.
        """
        from dnamamba.inference.models import backbone_of
        from dnamamba.inference.sources import encode_all

        read = self._opened()
        backbone = backbone_of(read.model)
        if not -1 <= arguments.whole("layer", self.layer) < len(backbone.layers):
            raise ValueError(
                f"layer must be 0 to {len(backbone.layers) - 1}, the blocks of {self.model}, or -1 "
                f"for what leaves its final norm; got {self.layer}"
            )
        if self.pooling not in ("mean", "max", "last"):
            raise ValueError(f"pooling must be 'mean', 'max' or 'last', got {self.pooling!r}")
        arguments.switch("both_strands", self.both_strands)
        encode_all(read.tokenizer, _column(X))
        validate_data(self, X, reset=True, skip_check_array=True, ensure_2d=False)
        self.n_features_in_ = 1
        self._n_features_out = backbone.config.d_model
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """The vectors.

        Args:
            X: as ``fit`` takes it.

        Returns:
            (n, d_model) float32, or the container that ``set_output`` asks for.

        Raises:
            NotFittedError: ``fit`` comes first.
            ValueError: what is no sequence; names it by its number.
        """
        from dnamamba.inference.embedding import embed

        check_is_fitted(self)
        sequences = _column(X)
        validate_data(self, X, reset=False, skip_check_array=True, ensure_2d=False)
        read = self._opened()
        how: Any = {"pooling": self.pooling, "layer": self.layer}
        vectors: NDArray[np.float32] = embed(
            read.model, read.tokenizer, sequences, both_strands=self.both_strands, **how
        )
        return vectors

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _opened(self) -> "Opened":
        from dnamamba.checkpoint.once import opened
        from dnamamba.device import best_device

        return opened(arguments.path_text("model", self.model), best_device(self.device))


def _column(X: Any) -> Any:
    """The one column of X.

    Raises:
        ValueError: it has several, or holds numbers.
        TypeError: it is sparse.
    """
    if hasattr(X, "tocsr") or (isinstance(X, np.ndarray) and X.dtype.kind in "biufc"):
        check_array(X)  # what is wrong with it as numbers is said in scikit-learn's words
        raise ValueError(f"X must hold sequences as text, got an array of {X.dtype}")
    if hasattr(X, "columns") and hasattr(X, "__getitem__"):
        _check_width(len(X.columns))
        return X[X.columns[0]]
    if isinstance(X, np.ndarray) and X.ndim == 2:
        _check_width(X.shape[1])
        return X[:, 0]
    if isinstance(X, list | tuple) and X and all(isinstance(x, list | tuple) for x in X):
        for row in X:
            _check_width(len(row))
        return [row[0] for row in X]
    return X


def _check_width(width: int) -> None:
    if width != 1:
        raise ValueError(
            f"X has {width} features, but DnaEmbedder is expecting 1 feature as input, the column "
            "of sequences; choose it, as X[['sequence']], or by a ColumnTransformer"
        )
