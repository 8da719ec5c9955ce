"""What can be compared, by name: the models, gradient-boosted trees, and DFEI with one thing changed.

`dfei compare --models dfei,dfei-without-dfe` trains DFEI and an ablation of it. A variant is a model and settings, as
`--set` takes them; a further one is a line here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from components.dataset.names import meant
from components.errors import InputError
from models.registry import MODELS, TREES

LIGHTGBM = TREES
REFERENCE = "dfei"


@dataclasses.dataclass(frozen=True)
class Variant:
    """A named entry of a comparison.

    Attributes:
      name: as `--models` takes it.
      model: a name of `models.registry.MODELS`, or `lightgbm`.
      settings: `a.b=value`, on top of the declaration's.
      title: in words.
    """

    name: str
    model: str
    settings: tuple[str, ...] = ()
    title: str = ""


_TITLES = {
    "dfei": "DFEI",
    "mlp": "MLP",
    "mmoe": "MMoE",
    "ple": "PLE",
    "aitm": "AITM",
    "hmoe": "HMoE",
    "star": "STAR",
    "pepnet": "PEPNet",
    "hinet": "HiNet",
    LIGHTGBM: "LightGBM",
}

_PAPER = (
    "training.schedule=cyclic",
    "training.shared_lr_scale=1/D",
    "training.loss_weighting=batch",
    "training.batch_size=512",
)

_ABLATIONS = (
    Variant("dfei-without-dfe", "dfei", ("model.domain_extraction=false",), "DFEI without DFE"),
    Variant("dfei-without-dfi", "dfei", ("model.domain_integration=false",), "DFEI without DFI"),
    Variant("dfei-frozen-random", "dfei", ("model.domain_state=frozen_random",), "DFEI, v frozen at random"),
    Variant(
        "dfei-transform-averages", "dfei", ("model.averages=transform",), "DFEI, Transform's averages only"
    ),
    Variant("dfei-learned-averages", "dfei", ("model.averages=learned",), "DFEI, learned averages only"),
    Variant("dfei-no-averages", "dfei", ("model.averages=none",), "DFEI without any averages"),
    Variant("dfei-without-history", "dfei", ("model.history=none",), "DFEI without a row's own history"),
    Variant(
        "dfei-attended-history", "dfei", ("model.history=attention",), "DFEI, attention over its history"
    ),
    Variant(
        "dfei-without-common-base",
        "dfei",
        ("model.common_base=false",),
        "DFEI, domains without a common base",
    ),
    Variant("dfei-with-1-over-d", "dfei", ("training.shared_lr_scale=1/D",), "DFEI with 1/D"),
    Variant("dfei-without-1-over-d", "dfei", ("training.shared_lr_scale=1.0",), "DFEI without 1/D"),
    Variant("dfei-paper", "dfei", _PAPER, "DFEI, the paper's training"),
    Variant(
        "dfei-paper-without-1-over-d",
        "dfei",
        (*_PAPER, "training.shared_lr_scale=1.0"),
        "DFEI, the paper's training without 1/D",
    ),
    Variant("dfei-slow-features", "dfei", ("model.decay=0.99",), "DFEI, v moves slowly"),
    Variant("dfei-fast-features", "dfei", ("model.decay=0.5",), "DFEI, v moves fast"),
    Variant("mlp-with-domain", "mlp", ("model.domain_feature=true",), "MLP with the domain as a feature"),
    Variant("mlp-without-domain", "mlp", ("model.domain_feature=false",), "MLP without the domain"),
)

VARIANTS: Mapping[str, Variant] = {
    **{name: Variant(name, name, (), _TITLES.get(name, name)) for name in (*MODELS, LIGHTGBM)},
    **{variant.name: variant for variant in _ABLATIONS},
}
# What is compared when nothing is named: the systems, without variants.
SYSTEMS = (*MODELS, LIGHTGBM)


def chosen(names: Sequence[str]) -> list[Variant]:
    """The variants of these names, each once, in their order.

    Args:
      names: as given; each may hold several, separated by commas. None: the nine systems and the trees.

    Raises:
      InputError: a name is unknown, or texts were given and there is no name in them.
    """
    split = [name.strip() for text in names for name in text.split(",") if name.strip()]
    if names and not split:
        raise InputError(
            f"--models {','.join(names)!r} names no model: name some, as in --models dfei,mlp, or leave the option out "
            "to compare all"
        )
    found = []
    for name in dict.fromkeys(split or SYSTEMS):
        if name not in VARIANTS:
            close = meant(name, VARIANTS)
            hint = f" Did you mean {close}?" if close else ""
            raise InputError(
                f"--models {name}: there is no such model or variant.{hint} Choose from {', '.join(VARIANTS)}"
            )
        found.append(VARIANTS[name])
    return found
