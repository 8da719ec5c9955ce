"""The parts of the pipeline: ingestion, Transform, Trainer, Evaluator, signature check, Pusher."""

import os

from components.on_demand import import_on_demand
from components.stack import keep_names

# TFT, TFMA and TFX run on Keras 2; which Keras `tf.keras` is must not depend on the import order.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
import_on_demand()
keep_names()
