"""A simulated multi-domain feed: related domains, drifting interests, and a known best possible AUC."""

from pipeline.simulate.facts import SimulationFacts, read_facts
from pipeline.simulate.feed import simulate
from pipeline.simulate.truth import BestPossible, Score, best_possible_auc, read_day

__all__ = [
    "BestPossible",
    "Score",
    "SimulationFacts",
    "best_possible_auc",
    "read_day",
    "read_facts",
    "simulate",
]
