"""The least memory that the training of a declaration takes, whatever its data: what it says of sizes is enough."""

from __future__ import annotations

from itertools import pairwise

from components.dataset.declaration import Declaration
from components.errors import InputError

# A weight of 4 bytes, and Adam's two moments of it.
_BYTES_OF_A_WEIGHT = 12
_BYTES_OF_A_VALUE = 4
_MOST = 1 << 40


def least_memory(declaration: Declaration) -> dict[str, int]:
    """Bytes by what takes them: a lower bound, without vocabularies and domains, which only the data tell."""
    model, training = declaration.model, declaration.training
    categorical = [feature for feature in declaration.features.values() if feature.is_categorical]
    entries = sum(
        feature.oov_buckets if feature.treatment == "vocabulary" else feature.buckets
        for feature in categorical
    )
    width = len(categorical) * model.embedding_size
    towers = width * model.layers[0] + sum(below * above for below, above in pairwise(model.layers))
    batch = 1 if training.batch_size == "auto" else training.batch_size
    rows = batch * (training.domains_per_step if training.schedule in ("fused", "mixed") else 1)
    return {
        "embeddings (features.*.oov_buckets, model.embedding_size)": entries
        * model.embedding_size
        * _BYTES_OF_A_WEIGHT,
        "a tower (model.layers)": towers * _BYTES_OF_A_WEIGHT,
        "a step (training.batch_size, training.domains_per_step)": rows
        * (width + sum(model.layers))
        * _BYTES_OF_A_VALUE,
    }


def require_memory(declaration: Declaration, available: int = _MOST, where: str = "a large machine") -> None:
    """Refuses a declaration that asks for more memory than there is.

    Args:
      declaration: the data set and its settings.
      available: bytes.
      where: there are so many, as the message says it.
    Raises:
      InputError: with both figures, and the settings that ask for most.
    """
    parts = least_memory(declaration)
    total = sum(parts.values())
    if total > available:
        largest = max(parts, key=lambda part: parts[part])
        raise InputError(
            f"{declaration.source or declaration.name}: training would take at least {_shown(total)} of memory, and "
            f"{where} has {_shown(available)}; {largest} alone takes {_shown(parts[largest])}: make it smaller"
        )


def _shown(size: int) -> str:
    return f"{size / (1 << 30):,.1f} GiB"
