"""Dataset declarations: what the files are, who is who in them, what may be a feature.

Imports neither TensorFlow nor Beam, so that the command line validates in a moment.
"""

from components.dataset.declaration import DAY_MS, Declaration
from components.dataset.loader import dataset_names, load_declaration
from components.dataset.names import BEHAVIOUR_PREFIX, LOCAL_TIME, ROLES
from components.dataset.sections import (
    Behaviour,
    ColumnType,
    Evaluation,
    Feature,
    Impressions,
    Lookup,
    MovingAverageSettings,
    Split,
    Threshold,
    Timestamp,
)

__all__ = [
    "BEHAVIOUR_PREFIX",
    "DAY_MS",
    "LOCAL_TIME",
    "ROLES",
    "Behaviour",
    "ColumnType",
    "Declaration",
    "Evaluation",
    "Feature",
    "Impressions",
    "Lookup",
    "MovingAverageSettings",
    "Split",
    "Threshold",
    "Timestamp",
    "dataset_names",
    "load_declaration",
]
