"""The command line, the typed configuration, and the chaining of the components."""

import os

import components  # noqa: F401 - first of all, for how it has TFX imported

# TFT, TFMA and TFX run on Keras 2; which Keras `tf.keras` is must not depend on the import order.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
