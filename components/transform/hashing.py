"""64-bit keys from hashed columns, by arithmetic that NumPy and TensorFlow carry out alike.

A column's value becomes `h`, the FarmHash fingerprint of its text modulo 2^62 (`tf.strings.to_hash_bucket_fast`).
A combination of columns becomes `sum_i h_i * a_i + b` modulo 2^64, with odd random constants `a_i` of its own. Two
given combinations meet with probability 2^-62; a table of a million keys has a collision with probability 1e-7.
"""

from __future__ import annotations

import numpy as np

HASH_BUCKETS = 1 << 62
MISSING = -1
_MASK = (1 << 64) - 1


def _splitmix64(state: int) -> int:
    """One value of the SplitMix64 generator (Steele, Lea, Flood, OOPSLA 2014)."""
    z = (state * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def _signed(value: int) -> np.int64:
    return np.int64(value - (1 << 64) if value >> 63 else value)


def multiplier(family: int, position: int) -> np.int64:
    """The odd constant of a column at `position` in key family `family`.

    >>> bool(multiplier(0, 0) % 2), bool(multiplier(0, 0) == multiplier(0, 1))
    (True, False)
    """
    return _signed(_splitmix64(1 + family * 64 + position) | 1)


def offset(family: int) -> np.int64:
    """The constant that is added to the keys of a family.

    >>> bool(offset(0) == offset(1))
    False
    """
    return _signed(_splitmix64((1 << 32) + family))


def combine_numpy(family: int, parts: list[np.ndarray]) -> np.ndarray:
    """Keys int64 of a family, of the parts' common shape. The same as `serving_graph.combine` in a graph.

    >>> user, tab = np.array([[7], [8]]), np.array([[1], [1]])
    >>> keys = combine_numpy(average_family(0), [user, tab])
    >>> bool(keys[0, 0] == keys[1, 0]), bool(keys[0, 0] == combine_numpy(average_family(1), [user, tab])[0, 0])
    (False, False)
    """
    key = np.full(np.broadcast_shapes(*(part.shape for part in parts)), offset(family), np.int64)
    for position, part in enumerate(parts):
        key += part * multiplier(family, position)
    return key


def vocabulary_family(index: int) -> int:
    """The family of a plan's vocabulary.

    >>> vocabulary_family(0), vocabulary_family(3)
    (1000, 1003)
    """
    return 1_000 + index


def average_family(index: int) -> int:
    """The family of a plan's key of averages; -1 is the domain's.

    >>> average_family(-1), average_family(0)
    (999999, 1000000)
    """
    return 1_000_000 + index
