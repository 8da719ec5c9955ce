"""What a compiled pipeline can be told when a run starts, and which tasks each parameter reaches.

A component gets its settings as one declaration in JSON, a constant of the compiled package. A runtime parameter
is handed to a task as one more input, under its name with `PREFIX`; the entry point of the image applies it to the
declaration as `--set` does, before the component sees it (`kubeflow.overrides`). The pipeline's components know
nothing of it. A parameter reaches only the tasks that it concerns, so that Kubeflow's cache keeps the others.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from components.dataset.declaration import Declaration

PREFIX = "runtime_"
# Constants that the compiler adds to a task for the entry point, beside the parameters.
VIEW = "view"
BASE_DECLARATION = "base_declaration"
SCHEMA_TEXT = "schema_text"
TRAINING_JOB = "training_job"

EXAMPLE_GEN, STATISTICS, SCHEMA = "DeclaredExampleGen", "StatisticsGen", "ImportSchemaGen"
VALIDATOR, TRANSFORM, TRAINER = "StrictExampleValidator", "Transform", "Trainer"
BASELINE, EVALUATOR, SIGNATURES, PUSHER = "baseline", "Evaluator", "SignatureCheck", "AtomicPusher"
CLOSE_RUN = "CloseRun"
BEAM_TASKS = (EXAMPLE_GEN, STATISTICS, TRANSFORM, EVALUATOR)
# The part of the declaration that a task needs, by name; see `kubeflow.overrides.VIEWS`.
DECLARED_TASKS = {
    EXAMPLE_GEN: "ingestion",
    SCHEMA: "schema",
    TRANSFORM: "transform",
    TRAINER: "trainer",
    EVALUATOR: "evaluation",
    SIGNATURES: "signatures",
}

# Of a day (`kubeflow.day`): what the tasks are told, which task it is, which of its inputs may be absent, whose refusal
# ends it and what else it needs; and whether it looks at what is absent.
DAY, TASK, OPTIONAL = PREFIX + "day", PREFIX + "task", PREFIX + "optional"
AFTER, NEEDS, KEEPS_ABSENT = PREFIX + "after_", PREFIX + "needs_", PREFIX + "keeps_absent"
RESOLVE, CLOSE = "ResolveDay", "CloseDay"
DATA_GATES, PROGRESSIVE, PROGRESSIVE_GATE, CANDIDATE = (
    "DataGates",
    "Progressive",
    "ProgressiveGate",
    "Candidate",
)

AUTO = "auto"
Kind = Literal["STRING", "NUMBER_INTEGER", "NUMBER_DOUBLE"]


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A runtime parameter.

    Attributes:
      name: as a run is told it.
      kind: its type in Kubeflow's terms.
      tasks: the tasks that get it.
      description: shown by Kubeflow's form.
      setting: the dotted name of the setting that it sets; `None` for a parameter that is no setting.
      auto: whether the setting may be `auto`, which is 0 here.
    """

    name: str
    kind: Kind
    tasks: tuple[str, ...]
    description: str
    setting: str | None = None
    auto: bool = False

    @property
    def input_name(self) -> str:
        """The name of the task input."""
        return PREFIX + self.name


PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "data_dir",
        "STRING",
        (EXAMPLE_GEN,),
        "Folder with the impression files and lookup tables, as the containers see it: a mounted volume, or a "
        "gs:// folder where buckets are mounted below /gcs.",
    ),
    Parameter(
        "data_version",
        "STRING",
        (EXAMPLE_GEN,),
        "Names the state of the data. A run with another version reads the data again; the same one may come "
        "from the cache.",
    ),
    Parameter(
        "declaration",
        "STRING",
        tuple(DECLARED_TASKS),
        "Empty: the data set that was compiled. Else another one: a name that the image knows, or the address "
        "of a .yaml with its .pbtxt beside it.",
    ),
    Parameter("model", "STRING", (TRAINER, BASELINE, PUSHER), "The model to train.", "model.name"),
    Parameter(
        "epochs",
        "NUMBER_INTEGER",
        (TRAINER,),
        "Most passes over the rows; 0: auto.",
        "training.epochs",
        auto=True,
    ),
    Parameter(
        "batch_size",
        "NUMBER_INTEGER",
        (TRAINER,),
        "Rows per mini-batch; 0: auto.",
        "training.batch_size",
        auto=True,
    ),
    Parameter(
        "learning_rate", "NUMBER_DOUBLE", (TRAINER,), "Rate of the specific part.", "training.learning_rate"
    ),
    Parameter("decay", "NUMBER_DOUBLE", (TRAINER,), "Decay of the learned domain state.", "model.decay"),
    Parameter(
        "moving_average_decay",
        "NUMBER_DOUBLE",
        (TRANSFORM, TRAINER, SIGNATURES),
        "Decay of Transform's moving averages.",
        "moving_average.decay",
    ),
    Parameter("seed", "NUMBER_INTEGER", (TRAINER,), "Seed of initial weights and orders.", "seed"),
    Parameter(
        "settings",
        "STRING",
        tuple(DECLARED_TASKS),
        "Any other setting: a.b=value, several separated by ';' or line breaks. Reruns every step that reads "
        "the declaration.",
    ),
    Parameter(
        "push_destination",
        "STRING",
        (BASELINE, PUSHER),
        "Folder of served models, a gs:// address or a mounted volume; versions go to <it>/<model>.",
    ),
    Parameter(
        "beam_args",
        "STRING",
        BEAM_TASKS,
        "Further options for Beam, as on a command line; a later one wins over the compiled ones.",
    ),
)


_OF_A_DAY = (
    Parameter(
        "root",
        "STRING",
        (RESOLVE,),
        "The feed's root, as `dfei daily --root`: a folder of a volume that every task mounts, with the ledger and "
        "what each day hands to the next.",
    ),
    Parameter(
        "accept",
        "STRING",
        (RESOLVE,),
        "Refused days (2026-03-14,2026-03-15) whose data are taken as they are.",
    ),
    Parameter(
        "first_day",
        "STRING",
        (RESOLVE,),
        "Make this day and those after it again; on a new root, begin with it.",
    ),
)


def of_a_day() -> tuple[Parameter, ...]:
    """The parameters of a feed's package: its first task gets all but those of Beam, and tells the others."""
    told = [
        dataclasses.replace(parameter, tasks=(RESOLVE,))
        for parameter in PARAMETERS
        if parameter.name not in ("beam_args", "data_version")
    ]
    beam = [
        dataclasses.replace(parameter, tasks=(*BEAM_TASKS, PROGRESSIVE))
        for parameter in PARAMETERS
        if parameter.name == "beam_args"
    ]
    return (*told, *_OF_A_DAY, *beam)


def by_name(name: str) -> Parameter | None:
    """A parameter, or `None`."""
    return next((parameter for parameter in PARAMETERS if parameter.name == name), None)


def declared_value(declaration: Declaration, setting: str) -> str | int | float:
    """The value of a dotted setting in a declaration."""
    value: object = declaration
    for part in setting.split("."):
        value = getattr(value, part)
    if not isinstance(value, (str, int, float)):
        raise TypeError(f"{setting} is a {type(value).__name__}: a runtime parameter is a text or a number")
    return 0 if value == AUTO else value
