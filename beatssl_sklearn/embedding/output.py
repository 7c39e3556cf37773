"""Embeddings of records as scikit-learn gives them on: column names, and tables with the names of the records."""

from __future__ import annotations

from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ..inputs.source import Source
from .fitted_encoder import FittedEncoder
from .parts import Parts, record_names


class RecordOutput:
    """Base of the estimators whose `transform` returns an embedding per record."""

    encoder_: FittedEncoder
    device: Any
    precision: str
    # Estimators without this parameter return all parts.
    parts: Parts = None

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the columns, by the parts of the embedding: ``mean_0``, ``beat7_127``.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray (n_dims,) of str objects
            One name per column.
        """
        check_is_fitted(self)
        return record_names(self.encoder_.model(self.device, self.precision), self.parts)

    def _as_output(self, embedded: NDArray[np.float32], source: Source, X: Any) -> NDArray[np.float32]:
        """Return embeddings as a data frame, if pandas output is wanted: its index is X's, or the names of a folder.

        scikit-learn gives the columns their names. From 1.8 on, it would keep the index of a column, too.
        """
        if self._container() != "pandas":
            return embedded
        import pandas as pd

        # Cells of a table have no names of their own.
        names = getattr(getattr(source, "records", None), "names", None)
        index = X.index if isinstance(X, pd.Series | pd.DataFrame) else names
        if index is None:
            return embedded
        table: Any = pd.DataFrame(embedded, index=index if isinstance(index, pd.Index) else pd.Index(index))
        return table

    def _container(self) -> str:
        """Return the container that `set_output`, or else scikit-learn's configuration, asks for."""
        own = getattr(self, "_sklearn_output_config", {})
        return str(own.get("transform", sklearn.get_config()["transform_output"]))
