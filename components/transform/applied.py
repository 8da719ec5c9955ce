"""A Transform graph that is called from another graph, and exported with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform.saved.saved_transform_io_v2 import SavedModelLoader


class TransformGraph(tf.Module):
    """What `transform_features_layer` of TFT's gives, without Keras, whose layers an export describes at length.

    Args:
      transform_output: what Transform wrote.
    """

    def __init__(self, transform_output: tft.TFTransformOutput) -> None:
        super().__init__(name="transform")
        loader = SavedModelLoader(transform_output.transform_savedmodel_dir)
        self._apply = loader.apply_transform_model
        # Attached to the object that is saved: untracked, the graph loses its tables in serving.
        self.tables = vars(loader)["_imported"]

    def __call__(self, raw: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        """Packed rows from raw columns; of those that no wanted output needs, any may be absent."""
        packed: dict[str, tf.Tensor] = self._apply(raw)
        return packed
