"""What a row looks like to a model: the layout that Transform writes and every model reads.

A row is a set of tensors, `...` standing for any leading shape (one row, a batch, groups of batches):

* `categorical` `(..., C)` int64: ids local to each feature. 0 is "missing"; 1 to V the known values, then the
  out-of-vocabulary buckets. A list-valued feature takes `width` neighbouring columns, unused ones 0.
* `numeric` `(..., N)` float32, already normalised.
* `averages` `(..., A)` float32: moving averages of observed behaviour as of the row's time bucket.
* `history` `(..., D, F)` float32, only when declared: the user's own `F` averages in each of the `D` domains.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

DOMAIN_KNOWN = "domain.known"
"""The one of `averages` that is 1 where the row's domain has averages of its own, else 0."""


@dataclass(frozen=True)
class CategoricalFeature:
    """A feature that is looked up in the embedding table.

    Args:
        name: the declared name.
        size: number of ids, missing (0) and out-of-vocabulary buckets included.
        width: columns it takes in `categorical`; above 1 it is a list whose non-missing values are averaged.
    """

    name: str
    size: int
    width: int = 1

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(
                f"feature {self.name!r}: size must be at least 1 (the missing id), got {self.size}"
            )
        if self.width < 1:
            raise ValueError(f"feature {self.name!r}: width must be at least 1, got {self.width}")


@dataclass(frozen=True)
class FeatureLayout:
    """Names and sizes of everything in a row, and the domains in the order of their index.

    Args:
        categorical: in the order of their columns.
        numeric: names of the `N` numeric columns.
        averages: names of the `A` moving averages.
        history: names of the `F` per-domain averages of the user; empty when rows have no `history`.
        domains: the domains' values as text, index 0 first; ordered by training rows, descending.
        domain_rows: training rows of each domain, aligned with `domains`.
        user: categorical feature that identifies the user, if it is one of the features.
        item: same for the item.
        author: same for the item's author.

    Raises:
        ValueError: if names repeat, if there is no domain, or if a role names no categorical feature.
    """

    categorical: tuple[CategoricalFeature, ...]
    numeric: tuple[str, ...] = ()
    averages: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    domain_rows: tuple[int, ...] = ()
    user: str | None = None
    item: str | None = None
    author: str | None = None

    def __post_init__(self) -> None:
        names = [feature.name for feature in self.categorical]
        if len(set(names)) != len(names):
            raise ValueError(
                f"categorical features repeat: {sorted({n for n in names if names.count(n) > 1})}"
            )
        if not self.domains:
            raise ValueError("a layout needs at least one domain")
        if self.domain_rows and len(self.domain_rows) != len(self.domains):
            raise ValueError(f"{len(self.domain_rows)} row counts for {len(self.domains)} domains")
        for role in ("user", "item", "author"):
            value = getattr(self, role)
            if value is not None and value not in names:
                raise ValueError(f"{role} {value!r} is not a categorical feature; there are {names}")

    @property
    def domain_count(self) -> int:
        """D, the number of domains."""
        return len(self.domains)

    @property
    def categorical_columns(self) -> int:
        """C, the columns of `categorical`, lists counted with their width."""
        return sum(feature.width for feature in self.categorical)

    @property
    def id_features(self) -> tuple[str, ...]:
        """The identifying features (user, item, author) that the layout has."""
        return tuple(name for name in (self.user, self.item, self.author) if name is not None)

    def row_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one row's tensors, by key; keys with nothing in them are absent."""
        shapes: dict[str, tuple[int, ...]] = {}
        if self.categorical:
            shapes["categorical"] = (self.categorical_columns,)
        if self.numeric:
            shapes["numeric"] = (len(self.numeric),)
        if self.averages:
            shapes["averages"] = (len(self.averages),)
        if self.history:
            shapes["history"] = (self.domain_count, len(self.history))
        return shapes

    def to_json(self) -> str:
        """The layout as JSON text; `from_json` gives it back equal."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> FeatureLayout:
        """Reads what `to_json` wrote.

        Raises:
            ValueError: if the text is not such a document (unknown or missing keys included).
        """
        document: dict[str, Any] = json.loads(text)
        unknown = set(document) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"unknown keys in a feature layout: {sorted(unknown)}")
        try:
            document["categorical"] = tuple(CategoricalFeature(**entry) for entry in document["categorical"])
            for name in ("numeric", "averages", "history", "domains", "domain_rows"):
                document[name] = tuple(document[name])
            return cls(**document)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a feature layout: {error}") from error
