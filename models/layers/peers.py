"""Which other domains a row looks at, in models whose definition is a sum over all domains."""

from __future__ import annotations

import tensorflow as tf

DEFAULT_LIMIT = 32


class Peers:
    """The largest domains, and the column that each domain has in a weighting over them.

    Models such as HMoE, PLE and HiNet send each row through something of every domain, which costs O(D) per
    row. With up to `limit` domains that sum is computed as defined: there are D columns, column j is domain
    j. With more, the sum reaches the `limit` largest domains (index order is size order) and the row's own:
    there are `limit + 1` columns, the last one being the row's own domain where that is not among the
    largest. So the cost per row is bounded by `limit`, whatever D is.

    Args:
        domains: D.
        limit: most domains in a sum besides the row's own.

    Raises:
        ValueError: if the limit is below 1.
    """

    def __init__(self, domains: int, limit: int = DEFAULT_LIMIT) -> None:
        if limit < 1:
            raise ValueError(f"a sum over domains needs to reach at least one, got a limit of {limit}")
        self.domains = domains
        self.count = min(domains, limit)

    @property
    def exact(self) -> bool:
        """Whether the sums run over all domains, as the models define them."""
        return self.count == self.domains

    @property
    def columns(self) -> int:
        """Columns of a weighting: D if exact, else `limit + 1`."""
        return self.count if self.exact else self.count + 1

    def index(self) -> tf.Tensor:
        """`(count,)` int32, the domains that every row looks at."""
        return tf.range(self.count)

    def own(self, domains: tf.Tensor) -> tf.Tensor:
        """`(G, columns)` float32, 1 in the column of each group's own domain."""
        return tf.one_hot(tf.minimum(domains, self.count), self.columns)

    def occupied(self, domains: tf.Tensor) -> tf.Tensor:
        """`(G, columns)` bool, false where a group has no such column: the last one, of a large domain."""
        columns = tf.range(self.columns)[None, :]
        return (columns < self.count) | (domains >= self.count)[:, None]

    def others(self, domains: tf.Tensor) -> tf.Tensor:
        """`(G, count)` bool, the columns of domains other than the group's own."""
        return tf.range(self.count)[None, :] != domains[:, None]

    def of_own(self, every: tf.Tensor, domains: tf.Tensor) -> tf.Tensor:
        """Of what each group was told by every peer, `(count, G, ...)`, what its own domain told it: `(G, ...)`.

        Only where the sums are exact is a group's own domain always a peer.
        """
        return tf.gather_nd(every, tf.stack([domains, tf.range(tf.shape(domains)[0])], axis=-1))

    def over_domains(self, weights: tf.Tensor, domains: tf.Tensor) -> tf.Tensor:
        """Weights over columns `(G, B, count or columns)` to weights over domains `(G, B, D)`."""
        spread = tf.pad(weights[..., : self.count], [[0, 0], [0, 0], [0, self.domains - self.count]])
        if weights.shape[-1] == self.count:
            return spread
        own = tf.one_hot(domains, self.domains) * tf.cast(domains >= self.count, weights.dtype)[:, None]
        return spread + weights[..., self.count :] * own[:, None, :]


def masked_softmax(scores: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Softmax over the entries that the mask lets through; all zeros where it lets none through.

    The mask acts before the softmax, so that the remaining weights sum to 1.
    """
    kept = tf.cast(mask, scores.dtype)
    return tf.nn.softmax(tf.where(mask, scores, scores.dtype.min / 2), axis=-1) * kept
