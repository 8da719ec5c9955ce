"""What each component needs to know of a declaration, so that a change reruns only what it touches.

A component's parameters are part of its cache key. ExampleGen that is handed the whole declaration would run
again because a learning rate changed; so every component gets the declaration with the sections that do not
concern it at their defaults.
"""

from __future__ import annotations

from components.dataset.declaration import Declaration
from components.dataset.sections import Feature, MovingAverageSettings, Split

_INGESTION_IGNORES = ("model", "training", "evaluation", "report", "daily", "moving_average", "seed")
_TRANSFORM_IGNORES = (
    "model",
    "training",
    "evaluation",
    "report",
    "daily",
    "split",
    "seed",
    "max_rejected_share",
)
# Of a feature, what becomes of its values once they are read.
_TREATMENT = ("max_size", "min_count", "oov_buckets", "buckets", "at_serving")
_TRAINER_IGNORES = ("evaluation", "daily", "max_rejected_share")


def _without(declaration: Declaration, sections: tuple[str, ...]) -> str:
    defaults = {
        section: Declaration.model_fields[section].get_default(call_default_factory=True)
        for section in (*sections, "description", "licence", "source")
    }
    return declaration.model_copy(update=defaults).to_json()


def _as_read(feature: Feature) -> Feature:
    """A feature without what becomes of its values; a setting that is not named here is one of their reading."""
    fields = Feature.model_fields
    ignored = {name: fields[name].get_default() for name in _TREATMENT}
    return feature.model_copy(
        update={**ignored, "treatment": "as_is" if feature.type == "float" else "vocabulary"}
    )


def for_ingestion(declaration: Declaration) -> str:
    """Files, columns with their types, and the split: treatments and settings do not matter, but for the keys of the
    averages where there are events."""
    features = {name: _as_read(feature) for name, feature in declaration.features.items()}
    declaration = declaration.model_copy(update={"features": features})
    if not declaration.events:
        return _without(declaration, _INGESTION_IGNORES)
    # Of events only what the averages are made of is read.
    averages = declaration.moving_average
    kept = MovingAverageSettings(keys=averages.keys, ranges=averages.ranges, history=averages.history)
    ignored = tuple(section for section in _INGESTION_IGNORES if section != "moving_average")
    return _without(declaration.model_copy(update={"moving_average": kept}), ignored)


def for_transform(declaration: Declaration) -> str:
    """Features, behaviours and moving averages; of the split, what counts as a day, and with a daily state which
    days are evaluated."""
    split = Split(day_hours=declaration.split.day_hours)
    if declaration.moving_average.eval_state == "daily":
        split = split.model_copy(update={"eval_days": declaration.split.eval_days})
    kept = tuple(section for section in _TRANSFORM_IGNORES if section != "split")
    return _without(declaration.model_copy(update={"split": split}), kept)


def for_trainer(declaration: Declaration) -> str:
    """All but the evaluation."""
    return _without(declaration, _TRAINER_IGNORES)


def for_gates(declaration: Declaration) -> str:
    """What is measured of a day, and what is refused."""
    kept = tuple(section for section in _TRANSFORM_IGNORES if section != "daily")
    return _without(declaration, (*kept, "moving_average"))


def for_signatures(declaration: Declaration) -> str:
    """The request's features."""
    return _without(declaration, _TRANSFORM_IGNORES)
