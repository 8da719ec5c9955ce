"""The sections of a dataset declaration: each class is one block of the YAML document."""

from __future__ import annotations

from components.dataset.sections.averages import AverageKey, MovingAverageSettings, Range
from components.dataset.sections.behaviour import Behaviour, Positive
from components.dataset.sections.daily import Daily, DriftGates
from components.dataset.sections.evaluation import Evaluation, MetricName, Report, Threshold
from components.dataset.sections.feature import CATEGORICAL_TREATMENTS, Feature, Treatment
from components.dataset.sections.section import ColumnType, FileList, Section
from components.dataset.sections.split import Moment, Split
from components.dataset.sections.tables import (
    UTF_8,
    Events,
    Impressions,
    Lookup,
    Timestamp,
    TimeUnit,
    known_encoding,
)

__all__ = [
    "CATEGORICAL_TREATMENTS",
    "UTF_8",
    "AverageKey",
    "Behaviour",
    "ColumnType",
    "Daily",
    "DriftGates",
    "Evaluation",
    "Events",
    "Feature",
    "FileList",
    "Impressions",
    "Lookup",
    "MetricName",
    "Moment",
    "MovingAverageSettings",
    "Positive",
    "Range",
    "Report",
    "Section",
    "Split",
    "Threshold",
    "TimeUnit",
    "Timestamp",
    "Treatment",
    "known_encoding",
]
