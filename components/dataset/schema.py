"""The TFMD schema that a data set's examples must fit: the curated one beside the declaration, fitted to a run.

A run may change what the examples hold (`--set label=long_view`, a feature removed): the curated constraints of the
columns that are still there are kept, those of columns that are gone are dropped, and a new column gets what its
declaration implies. Label, behaviours and time are not expected in the environment SERVING.
"""

from __future__ import annotations

from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.dataset.declaration import Declaration
from components.dataset.names import BEHAVIOUR_PREFIX, LOCAL_TIME
from components.errors import InputError

TRAINING, SERVING = "TRAINING", "SERVING"
_TYPES = {"int": schema_pb2.INT, "float": schema_pb2.FLOAT, "string": schema_pb2.BYTES}


def schema_text(declaration: Declaration) -> str:
    """The schema of the run as protobuf text, the same for the same declaration and file.

    Raises:
      InputError: the file beside the declaration is not a schema.
    """
    return text_format.MessageToString(declared_schema(declaration))


def declared_schema(declaration: Declaration) -> schema_pb2.Schema:
    """The curated schema, fitted to the columns that the examples of this declaration have.

    A declaration without a schema file beside it gets what it implies by itself.

    Raises:
      InputError: the file beside the declaration is not a schema.
    """
    path = declaration.schema_path()
    if path is None:
        return draft_schema(declaration)
    try:
        curated = text_format.Parse(path.read_text(encoding="utf-8"), schema_pb2.Schema())
    except text_format.ParseError as error:
        raise InputError(f"{path}:{error.GetLine() or 1}: not a schema: {error}") from None
    except (RecursionError, ValueError) as error:
        raise InputError(f"{path}: not a schema: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    known = {feature.name: feature for feature in curated.feature}
    del curated.feature[:]
    for drafted in draft_schema(declaration).feature:
        feature = known.get(drafted.name, drafted)
        same = feature.type == drafted.type and _is_single(feature) == _is_single(drafted)
        curated.feature.append(feature if same else drafted)
    return curated


def missing_schema(declaration: Declaration) -> str | None:
    """What to know of a data set that has no schema beside its declaration; `None` where it has one."""
    if declaration.schema_path() is not None or not declaration.source:
        return None
    expected = Path(declaration.source).with_suffix(".pbtxt").name
    return (
        f"{expected} is not there beside {Path(declaration.source).name}: the data is held against the declared types "
        "alone, not against how often its columns are usually missing; copy it along with the declaration, or write it "
        "anew with `dfei dataset new`"
    )


def draft_schema(declaration: Declaration) -> schema_pb2.Schema:
    """What the declaration alone implies: types, single values or lists, and which columns every row has."""
    schema = schema_pb2.Schema(default_environment=[TRAINING, SERVING])
    required = {declaration.label, declaration.domain, LOCAL_TIME}
    for name, kind in declaration.example_columns().items():
        feature = schema.feature.add(name=name, type=_TYPES[kind])
        is_list = name in declaration.features and declaration.features[name].is_list
        feature.value_count.min = 1
        if not is_list:
            feature.value_count.max = 1
        if name in required:
            feature.presence.min_fraction = 1.0
            feature.presence.min_count = 1
        if name == declaration.label:
            feature.int_domain.min, feature.int_domain.max = 0, 1
        if name.startswith(BEHAVIOUR_PREFIX):
            clip = declaration.behaviours[name.removeprefix(BEHAVIOUR_PREFIX)].clip
            if clip is not None:
                feature.float_domain.min, feature.float_domain.max = clip
        if name in (declaration.label, LOCAL_TIME) or name.startswith(BEHAVIOUR_PREFIX):
            feature.not_in_environment.append(SERVING)
    return schema


def _is_single(feature: schema_pb2.Feature) -> bool:
    return bool(feature.value_count.max == 1)
