"""The parts that models are built from; each can be used alone. All work on groups of rows, `(G, B, ...)`."""

from models.layers.domain_embedding import DomainEmbedding
from models.layers.domain_extraction import DomainFeatureExtraction, DomainFeatures
from models.layers.domain_integration import DomainFeatureIntegration, OwnFeatures, attend
from models.layers.dropout import ResumableDropout
from models.layers.embedding import DOMAIN, FeatureEmbedding
from models.layers.experts import ExpertBank
from models.layers.gate import DomainGate, mix
from models.layers.gate_nu import GateNU
from models.layers.head import StackedHead
from models.layers.initializers import StackedGlorotUniform
from models.layers.partitioned_norm import PartitionedNorm
from models.layers.personal_integration import PersonalIntegration
from models.layers.stacked_dense import StackedDense
from models.layers.stacked_experts import StackedExpertBank
from models.layers.stacked_tower import StackedTower
from models.layers.star_dense import StarDense
from models.layers.tower import SharedTower
from models.layers.transfer import AdaptiveTransfer

__all__ = [
    "DOMAIN",
    "AdaptiveTransfer",
    "DomainEmbedding",
    "DomainFeatureExtraction",
    "DomainFeatureIntegration",
    "DomainFeatures",
    "DomainGate",
    "ExpertBank",
    "FeatureEmbedding",
    "GateNU",
    "OwnFeatures",
    "PartitionedNorm",
    "PersonalIntegration",
    "ResumableDropout",
    "SharedTower",
    "StackedDense",
    "StackedExpertBank",
    "StackedGlorotUniform",
    "StackedHead",
    "StackedTower",
    "StarDense",
    "attend",
    "mix",
]
