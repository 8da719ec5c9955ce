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
SCHEDULE_TIME = "schedule_time"
TIME_ZONE = "time_zone"
SCHEDULE_TIME_PLACEHOLDER = "{{$.pipeline_job_schedule_time_utc}}"
DAY_TOKEN = "{data_day}"

EXAMPLE_GEN, STATISTICS, SCHEMA = "DeclaredExampleGen", "StatisticsGen", "ImportSchemaGen"
VALIDATOR, TRANSFORM, TRAINER = "StrictExampleValidator", "Transform", "Trainer"
BASELINE, EVALUATOR, SIGNATURES, PUSHER = "baseline", "Evaluator", "SignatureCheck", "AtomicPusher"
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
      recurring: whether only packages for recurring runs have it.
      auto: whether the setting may be `auto`, which is 0 here.
    """

    name: str
    kind: Kind
    tasks: tuple[str, ...]
    description: str
    setting: str | None = None
    recurring: bool = False
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
        "gs:// folder where buckets are mounted below /gcs. {data_day} stands for the run's day.",
    ),
    Parameter(
        "data_version",
        "STRING",
        (EXAMPLE_GEN,),
        "Names the state of the data. A run with another version reads the data again; the same one may come "
        "from the cache.",
    ),
    Parameter(
        "data_day",
        "STRING",
        (EXAMPLE_GEN,),
        "The run's day, YYYY-MM-DD. Empty: the last day that was over, in the data's time zone, when the run "
        "was scheduled.",
        recurring=True,
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


def parameters(recurring: bool) -> tuple[Parameter, ...]:
    """The parameters of a package."""
    return tuple(parameter for parameter in PARAMETERS if recurring or not parameter.recurring)


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
