"""DFEI, the model that this project exists for."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from models.base import DomainModel, GroupedBatch, Rows
from models.features import DOMAIN_KNOWN, FeatureLayout
from models.layers.domain_extraction import DomainFeatureExtraction, DomainFeatures
from models.layers.domain_integration import DomainFeatureIntegration, OwnFeatures
from models.layers.embedding import FeatureEmbedding
from models.layers.head import StackedHead
from models.layers.packing import Packing, one_group
from models.layers.personal_integration import PersonalIntegration
from models.layers.stacked_tower import StackedTower
from models.layers.tower import SharedTower
from models.settings import ModelSettings


class DFEI(DomainModel):
    """Domain feature extraction and personalised integration (Xi et al., arXiv 2404.08361).

        x   = embeddings of the row                                   shared
        s   = S(x)                                                    shared tower
        u_d = U_d(x)                                                  the domain's own tower
        v_d <- a v_d + (1 - a) mean_batch(u_d)                        DFE, a state
        z   = sum_j softmax_j(<h2(x), h3(v_j)> / sqrt(k)) h1(v_j)     DFI, shared
        y_d = sigmoid(O_d([s; u_d; v_d; z]))                          the domain's own head

    Two additions to the paper, both settings:

    * `common_base`: `U_d` and `O_d` are offsets, zero at first, from a common tower and head that all domains
      train, so that a small domain starts from what all have learned instead of from noise. With
      `specific_rank` the offsets have a low rank, and a batch of many domains has less to read. Both are
      the default above 100 domains; `common_base: false` is the paper's form at any number.
    * `history: attention` (or `both`): the row's own averages in every domain are attended over
      (`PersonalIntegration`) and the result joins `x` before the towers. With `flat` they all are part of `x`.

    Ablations are settings. `domain_extraction: false` (or `averages` without the learned ones) has no `v_d`;
    if `domain_integration` stays, it attends over a trained vector per domain instead of extracted features.
    `domain_integration: false` leaves `z` out. `domain_state: frozen_random` is the released code's defect.

    Args:
        layout: what a row has.
        settings: `layers`, `head_hidden`, `decay`, `attention_size` and the switches named above.
    """

    def __init__(self, layout: FeatureLayout, settings: ModelSettings, name: str | None = None) -> None:
        super().__init__(layout, settings, name)
        domains = layout.domain_count
        self.embedding = FeatureEmbedding(layout, settings, attends_history=True, name="embedding")
        self.personal: PersonalIntegration | None = None
        if layout.history and settings.history in ("attention", "both"):
            self.personal = PersonalIntegration(
                domains,
                settings.attention_size or settings.layers[-1],
                settings.personal_heads,
                name="personal_integration",
            )
        self.shared_tower = SharedTower(settings.layers, settings.dropout, name="shared_tower")
        self._base, self._rank = settings.offsets(domains)
        self.specific_tower = StackedTower(
            domains, settings.layers, settings.dropout, self._base, self._rank, name="specific_tower"
        )
        self.extraction: DomainFeatureExtraction | None = None
        self.integration: DomainFeatureIntegration | None = None
        if settings.uses_domain_state:
            self.extraction = DomainFeatureExtraction(
                domains, settings.decay, settings.domain_state == "frozen_random", name="domain_extraction"
            )
        if settings.domain_integration:
            self.integration = DomainFeatureIntegration(
                settings.attention_size or settings.layers[-1], settings.layers[-1], name="domain_integration"
            )
        if self.integration is not None and self.extraction is None:
            self.trained_features = self.add_weight(
                name="trained_domain_features",
                shape=(domains, settings.layers[-1]),
                initializer=keras.initializers.RandomNormal(stddev=0.05),
            )
        self.head = StackedHead(domains, settings.head_hidden, self._base, self._rank, name="specific_head")

    def call(self, inputs: GroupedBatch, training: bool = False) -> tf.Tensor:
        rows, domains, weights = inputs
        index, known = self._known(domains, training)
        packing = Packing(rows, domains, weights)
        packed = one_group(self._embedded(packing.batch, training))
        shared = packing.unpack(self.shared_tower(packed, training=training))
        x = packing.unpack(packed)
        specific = self.specific_tower(x, index, known, training=training)
        parts = [shared, specific]
        features = self._domain_features(specific, domains, weights, training)
        if training:
            if self.extraction is not None:
                parts.append(tf.repeat(features.own[:, None, :], tf.shape(x)[1], axis=1))
            if self.integration is not None:
                own = None if self.extraction is None else OwnFeatures(domains, features.own)
                parts.append(self.integration(x, features.table, features.seen, own))
        else:
            parts += self._inferred(features, x, rows, domains)
        return self.head(tf.concat(parts, axis=-1), index, known)

    def _known(self, domains: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor | None]:
        """An index of a tower and a head for each group, and whether it is the group's own: not so for index D."""
        if training or not self.serves_unknown:
            return domains, None
        known = domains < self.domain_count
        return tf.where(known, domains, 0), tf.cast(known, tf.float32)

    @property
    def serves_unknown(self) -> bool:
        """With a common base that is all there is of the domain: a vector of its own has no base."""
        alone = self.personal is None and not self.embedding.domain_feature
        return self._base and alone

    @property
    def row_by_row(self) -> bool:
        return self._rank is not None

    def row_stage(self, rows: Rows, domain: tf.Tensor) -> Rows:
        """x, and `[s; v_d; z]`, whose parts nothing but the row's own domain chooses: `(N, ...)`."""
        weights = tf.ones([tf.size(domain), 1])
        alone = {key: value[:, None] for key, value in rows.items()}
        x = self._embedded((alone, domain, weights))
        parts = [self.shared_tower(x), *self._inferred(self._inferred_features(domain), x, alone, domain)]
        return {"x": x[:, 0], "context": tf.concat(parts, axis=-1)[:, 0]}

    def group_stage(self, inputs: GroupedBatch) -> tf.Tensor:
        """Logits `(G, B)` from x and `[s; v_d; z]`: the domains' own towers and heads."""
        rows, domains, _ = inputs
        index, known = self._known(domains)
        specific = self.specific_tower(rows["x"], index, known)
        width = self.settings.layers[-1]
        parts = [rows["context"][..., :width], specific, rows["context"][..., width:]]
        return self.from_click_rate(self.head(tf.concat(parts, axis=-1), index, known), domains)

    def _inferred(
        self, features: DomainFeatures, x: tf.Tensor, rows: Rows, domains: tf.Tensor
    ) -> list[tf.Tensor]:
        """v_d and z `(G, B, ...)`, as far as the model has them, without training.

        A domain that no batch was of has no v_d. Where the row's averages know the domain, what DFI takes from all
        domains for such a row stands for it; else the mean of all v.
        """
        z, attended = [], None
        if self.integration is not None:
            if not self.integration.built:
                self.integration(x, features.table, features.seen)
            attended = self.integration.attended(x, features.table, features.seen)
            z = [self.integration.values(attended)]
        if self.extraction is None:
            return z
        own = tf.repeat(features.own[:, None, :], tf.shape(x)[1], axis=1)
        averaged = self._is_averaged(rows)
        if attended is not None and averaged is not None:
            trained = self.extraction.has_feature(domains)
            own = tf.where(averaged & ~trained[:, None, None], attended, own)
        return [own, *z]

    def _is_averaged(self, rows: Rows) -> tf.Tensor | None:
        """Whether each row's averages know its domain, `(G, B, 1)` bool; None where x has no such averages."""
        if not self.embedding.uses_averages or DOMAIN_KNOWN not in self.layout.averages:
            return None
        return rows["averages"][..., self.layout.averages.index(DOMAIN_KNOWN)][..., None] > 0

    def _embedded(self, inputs: GroupedBatch, training: bool = False) -> tf.Tensor:
        rows, domains, weights = inputs
        x = self.embedding(rows, domains, weights, training=training)
        if self.personal is None:
            return x
        return tf.concat([x, self.personal((x, rows["history"]), domains)], axis=-1)

    def _domain_features(
        self, specific: tf.Tensor, domains: tf.Tensor, weights: tf.Tensor, training: bool
    ) -> DomainFeatures:
        if self.extraction is not None:
            features: DomainFeatures = self.extraction(specific, domains, weights, training=training)
            return features
        return self._inferred_features(domains)

    def _inferred_features(self, domains: tf.Tensor) -> DomainFeatures:
        if self.extraction is not None:
            return self.extraction.inferred(domains)
        if self.integration is None:
            return DomainFeatures(tf.zeros([0]), tf.zeros([0]), tf.zeros([0]))
        table = tf.convert_to_tensor(self.trained_features)
        return DomainFeatures(tf.zeros([0]), table, tf.ones([self.domain_count]))

    @property
    def explains(self) -> bool:
        return self.integration is not None

    def explain(self, inputs: GroupedBatch) -> tf.Tensor:
        """DFI's weights `(G, B, D)`: how much each domain's feature counts in each row's prediction.

        Raises:
            ValueError: if the model was built without `domain_integration`.
        """
        if self.integration is None:
            raise ValueError("this DFEI was built with domain_integration: false and has no weights to show")
        _, domains, _ = inputs
        x = self._embedded(inputs)
        features = self._inferred_features(domains)
        return self.integration.weights_over_domains(x, features.table, features.seen)

    @property
    def tells_resemblance(self) -> bool:
        return self.extraction is not None

    def resemblance(self, inputs: GroupedBatch) -> tf.Tensor:
        """Shares `(G, B, D)` of all domains' v in the one that each row is given for its own domain.

        1 for its own where training had rows of it. Else DFI's weights where the row's averages know the domain, and
        equal ones among the domains that have a v where they do not.

        Raises:
            ValueError: if the model was built without `domain_extraction`.
        """
        if self.extraction is None:
            raise ValueError(
                "this DFEI was built with domain_extraction: false and has no features of domains"
            )
        rows, domains, weights = inputs
        seen = tf.convert_to_tensor(self.extraction.seen)
        trained = self.extraction.has_feature(domains)[:, None]
        own = tf.one_hot(domains, self.domain_count)
        shares = tf.where(trained, own, tf.math.divide_no_nan(seen, tf.reduce_sum(seen)))
        shares = tf.repeat(shares[:, None, :], tf.shape(weights)[1], axis=1)
        averaged = self._is_averaged(rows)
        if self.integration is None or averaged is None:
            return shares
        return tf.where(averaged & ~trained[:, None, :], self.explain(inputs), shares)
