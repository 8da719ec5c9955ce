"""What the positions along each axis of a model's weights stand for: domains, values of features, columns of `x`.

Weights are carried from one training to the next by meaning, never by position: vocabularies reshuffle, domains come
and go. Which axis of a variable follows the number of domains, and which the columns of the input vector, is found by
building the model twice more with a few domains and one number more: so a model need not declare it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from models.base import DomainModel
from models.features import CategoricalFeature, FeatureLayout
from models.layers.embedding import DOMAIN, FeatureEmbedding
from models.settings import ModelSettings

Labels = tuple[Hashable, ...]
Values = Mapping[str, Sequence[str]]

MISSING = "missing"
UNKNOWN = "out of vocabulary"
INPUT = "input"
DOMAINS = "domains"
VALUES = "values"


@dataclasses.dataclass(frozen=True)
class Axis:
    """One axis of a variable.

    Attributes:
        kind: `DOMAINS`, `INPUT` (columns of x) or `VALUES` (rows of the embedding table).
        labels: what each position stands for; none occurs twice.
    """

    kind: str
    labels: Labels


class WeightAxes:
    """How the axes of a model's variables follow its layout, found by building it with a few domains.

    Args:
        model: built.

    Raises:
        ValueError: the number of variables depends on the number of domains.
    """

    def __init__(self, model: DomainModel) -> None:
        embedding = _embedding(model)
        table = embedding.table if embedding is not None and embedding.table_rows else None
        self._is_table = [variable is table for variable in model.variables]
        self._few, self._one_domain_more, self._one_number_more = (
            _shapes(model, domains, numbers) for domains, numbers in ((2, 0), (3, 0), (2, 1))
        )

    def label(
        self, model: DomainModel, shapes: Sequence[tuple[int, ...]], values: Values
    ) -> list[tuple[Axis | None, ...]]:
        """The axes of every variable; None for one that the layout does not decide.

        Args:
            model: of the same class and settings, with any layout; it need not be built.
            shapes: of its variables, in the order of `variables`.
            values: the known values of each categorical feature, in the order of their ids from 1; features without
                an entry (buckets of numbers) are named by their ids.

        Raises:
            ValueError: an axis grows in a way that is not understood.
        """
        embedding = _embedding(model)
        axes: list[tuple[Axis | None, ...]] = []
        for i, shape in enumerate(shapes):
            if self._is_table[i] and embedding is not None:
                axes.append((Axis(VALUES, table_labels(embedding, values)), None))
            else:
                axes.append(
                    tuple(self._axis(i, n, shape, model.layout, embedding) for n in range(len(shape)))
                )
        return axes

    def _axis(
        self,
        variable: int,
        axis: int,
        shape: tuple[int, ...],
        layout: FeatureLayout,
        embedding: FeatureEmbedding | None,
    ) -> Axis | None:
        size, few = shape[axis], self._few[variable][axis]
        per_domain = self._one_domain_more[variable][axis] - few
        per_number = self._one_number_more[variable][axis] - few
        labels: Labels = ()
        kind = DOMAINS
        if per_number == 1 and embedding is not None:
            columns = column_labels(embedding)
            # What is put beside x stands before it, as an embedding of the domain.
            kind = INPUT
            labels = (*(("beside the input", n) for n in range(size - len(columns))), *columns)
        elif per_number == 0 and per_domain == 0:
            return None
        elif per_number == 0:
            labels = _domain_labels(size, few, per_domain, layout.domains)
        if len(labels) != size:
            raise ValueError(
                f"a weight of shape {shape} has an axis of {size} that grows by {per_domain} with a domain and by "
                f"{per_number} with a number: such a weight can't be carried over"
            )
        return Axis(kind, labels)


def _embedding(model: DomainModel) -> FeatureEmbedding | None:
    return next((part for part in model.submodules if isinstance(part, FeatureEmbedding)), None)


def _shapes(model: DomainModel, domains: int, numbers: int) -> list[tuple[int, ...]]:
    layout = dataclasses.replace(
        model.layout,
        categorical=tuple(CategoricalFeature(f.name, 2, f.width) for f in model.layout.categorical),
        numeric=(*model.layout.numeric, *(f"number {n}" for n in range(numbers))),
        domains=tuple(f"domain {n}" for n in range(domains)),
        domain_rows=(),
    )
    kind: Any = type(model)
    shapes = _shapes_of(kind, layout, model.settings.model_dump_json())
    if len(shapes) != len(model.variables):
        raise ValueError(
            f"{model.name} has {len(model.variables)} variables, but {len(shapes)} with {domains} domains: they "
            "can't be carried over"
        )
    return shapes


# A day has two trainings of one model.
@functools.lru_cache(maxsize=8)
def _shapes_of(kind: type[DomainModel], layout: FeatureLayout, settings: str) -> list[tuple[int, ...]]:
    probe = kind(layout, ModelSettings.model_validate_json(settings))
    probe.ensure_built()
    return [tuple(variable.shape) for variable in probe.variables]


def _domain_labels(size: int, small: int, each: int, domains: Sequence[str]) -> Labels:
    rest = small - 2 * each
    reached = domains
    if size < len(domains) * each + rest:
        # A sum over the largest domains alone, and one more place for the row's own (`layers.peers`).
        reached = (*domains[: (size - rest) // each - 1], "the row's own")
    return (
        *((domain, n) for domain in reached for n in range(each)),
        *(("all domains", n) for n in range(rest)),
    )


def column_labels(embedding: FeatureEmbedding) -> Labels:
    """What each column of `x` is: `FeatureEmbedding`'s outputs, `(kind, name, place)`."""
    layout = embedding.layout
    labels: list[Hashable] = [
        ("embedding", name, n)
        for name, part in embedding.slices.items()
        for n in range(part.stop - part.start)
    ]
    labels += [("numeric", name) for name in layout.numeric]
    if embedding.uses_averages:
        labels += [("average", name) for name in layout.averages]
    if embedding.uses_history:
        labels += [("history", domain, name) for domain in layout.domains for name in layout.history]
    return tuple(labels)


def table_labels(embedding: FeatureEmbedding, values: Values) -> Labels:
    """What each row of the embedding table is: `(feature, MISSING)`, `(feature, "=", value)` or
    `(feature, UNKNOWN, n)`."""
    labels: list[Hashable] = []
    for feature in embedding.layout.categorical:
        if feature.name in embedding.slices:
            labels += feature_labels(feature, values.get(feature.name))
    if DOMAIN in embedding.slices:
        labels += [(DOMAIN, "=", domain) for domain in embedding.layout.domains]
    return tuple(labels)


def feature_labels(feature: CategoricalFeature, known: Sequence[str] | None) -> list[Hashable]:
    """What the ids of a categorical feature stand for, `feature.size` labels."""
    if known is None:
        return [(feature.name, MISSING), *((feature.name, "id", n) for n in range(1, feature.size))]
    # Two values may read alike where one was not UTF-8: the id tells them apart.
    seen: set[str] = set()
    labels: list[Hashable] = [(feature.name, MISSING)]
    for n, value in enumerate(known, 1):
        labels.append((feature.name, "=", value) if value not in seen else (feature.name, "=", value, n))
        seen.add(value)
    return labels + [(feature.name, UNKNOWN, n) for n in range(feature.size - len(labels))]
