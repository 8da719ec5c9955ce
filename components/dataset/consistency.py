"""What contradicts what between the blocks of a declaration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from components.dataset.input_names import input_name
from components.dataset.names import BEHAVIOUR_PREFIX, LOCAL_TIME, ROLES, meant, suggest

if TYPE_CHECKING:
    from components.dataset.declaration import Declaration


class InconsistencyError(ValueError):
    """A contradiction between sections. `path` is the place in the document that should change."""

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.path = path


def problems(declaration: Declaration) -> Iterator[InconsistencyError]:
    """What contradicts what in a declaration whose blocks are each valid."""
    forbidden = _forbidden_features(declaration)
    if declaration.label in declaration.features:
        yield InconsistencyError(
            ("label",), f"{declaration.label} is a feature: it cannot be the label as well"
        )
    for name in declaration.features:
        if name in forbidden:
            yield InconsistencyError(
                ("features", name), f"{name} is {forbidden[name]}: it may not be a feature; remove it"
            )
    for section in ("features", "columns"):
        for name in getattr(declaration, section):
            if name == LOCAL_TIME or name.startswith(BEHAVIOUR_PREFIX):
                yield InconsistencyError(
                    (section, name),
                    f"{name} is reserved ({LOCAL_TIME}, {BEHAVIOUR_PREFIX}*): rename the column",
                )
    requested: dict[str, str] = {}
    for name in declaration.serving_columns():
        other = requested.setdefault(input_name(name), name)
        if other != name:
            section = "features" if name in declaration.features else "columns"
            yield InconsistencyError(
                (section, name),
                f"{name!r} and {other!r} would both be called {input_name(name)} in requests: rename one",
            )
    for role in (*ROLES, "author"):
        column = getattr(declaration, role)
        if column is None:
            continue
        if column in declaration.at_serving():
            yield InconsistencyError(
                ("features", column, "at_serving"), f"{column} is the {role}: every request carries it"
            )
        if column in forbidden:
            yield InconsistencyError((role,), f"{column} is {forbidden[column]}: it cannot be the {role} too")
        elif column not in declaration.features and column not in declaration.columns:
            close = meant(column, {*declaration.features, *declaration.columns}, cutoff=0.8)
            yield InconsistencyError(
                (role,),
                f"{column} has no type: make it a feature, or add `columns: {{{column}: int}}`"
                + (f". Did you mean {close}?" if close else ""),
            )
        elif declaration.column_type(column) == "float" or declaration.is_list(column):
            yield InconsistencyError((role,), f"{column} must be one int or string, not a float or a list")
    if declaration.author is not None and declaration.author not in declaration.features:
        yield InconsistencyError(("author",), f"{declaration.author} must be a feature")
    yield from _label_problems(declaration)
    for name, behaviour in declaration.behaviours.items():
        if declaration.timestamp.column in behaviour.columns:
            yield InconsistencyError(
                ("behaviours", name),
                f"{declaration.timestamp.column} is the timestamp: it cannot be averaged",
            )
        texts_count = behaviour.positive is not None and behaviour.positive.one_of is not None
        for column in behaviour.columns:
            if (declaration.column_type(column) == "string" and not texts_count) or declaration.is_list(
                column
            ):
                yield InconsistencyError(("behaviours", name), f"{column} must be a number")
    for lookup_index, lookup in enumerate(declaration.lookups):
        if lookup.left_key in forbidden:
            yield InconsistencyError(
                ("lookups", lookup_index, "key"), f"{lookup.left_key} is only known after the exposure"
            )
        elif declaration.is_list(lookup.left_key):
            yield InconsistencyError(
                ("lookups", lookup_index, "key"),
                f"{lookup.left_key} is a list (it has a separator): a key is a single value",
            )
    yield from _event_problems(declaration)
    yield from _moving_average_problems(declaration)


def _event_problems(declaration: Declaration) -> Iterator[InconsistencyError]:
    known = set(declaration.raw_columns())
    for index, events in enumerate(declaration.events):
        if declaration.user is None and declaration.item is None:
            yield InconsistencyError(("events", index), "events need the role `user` or `item`")
        for name in events.behaviours or ():
            if name not in declaration.behaviours:
                yield InconsistencyError(
                    ("events", index, "behaviours"),
                    f"{name!r} is no behaviour.{suggest(name, declaration.behaviours)}",
                )
        for name in events.columns:
            if name not in known:
                yield InconsistencyError(
                    ("events", index, "columns", name),
                    f"{name!r} is no column of the declaration.{suggest(name, known)}",
                )


def _label_problems(declaration: Declaration) -> Iterator[InconsistencyError]:
    if declaration.label == declaration.timestamp.column:
        yield InconsistencyError(("label",), f"{declaration.label} is the timestamp: it cannot be the label")
    kind = declaration.column_type(declaration.label)
    if declaration.positive is None and kind != "int":
        yield InconsistencyError(
            ("label",),
            f"the label {declaration.label} must be of type int (0 or 1), or have `positive` to say what counts as 1",
        )
    if declaration.positive is not None and declaration.positive.at_least is not None and kind == "string":
        yield InconsistencyError(
            ("positive",), f"{declaration.label} is a text: `at_least` needs a number, texts need `one_of`"
        )


def _moving_average_problems(declaration: Declaration) -> Iterator[InconsistencyError]:
    known = {
        *ROLES,
        *declaration.features,
        *(c for c in (declaration.domain, declaration.user, declaration.item) if c),
    }
    ranges = declaration.moving_average.ranges
    yield from _range_problems(declaration, known)
    for index, key in enumerate(declaration.moving_average.keys):
        where = ("moving_average", "keys", index)
        for name in key.columns:
            if name in ROLES and name not in declaration.features and getattr(declaration, name) is None:
                yield InconsistencyError(where, f"the declaration has no role `{name}`")
            elif name in ranges:
                continue
            elif name not in known:
                yield InconsistencyError(
                    where,
                    f"{name!r} is neither a feature nor a role nor a range.{suggest(name, {*known, *ranges})}",
                )
            elif declaration.column_type(declaration.resolve_role(name)) == "float":
                yield InconsistencyError(
                    where,
                    f"{name} is a float: a key needs an int or a string, or `moving_average.ranges` of it",
                )
    yield from _keys_with_two_decays(declaration)
    for name in declaration.moving_average.history_behaviours or ():
        if name not in declaration.behaviours:
            yield InconsistencyError(
                ("moving_average", "history_behaviours"),
                f"{name!r} is no behaviour.{suggest(name, declaration.behaviours)}",
            )
    history = ("moving_average", "history")
    for name in declaration.moving_average.history_columns:
        column = declaration.resolve_role(name)
        if name in ROLES and name not in declaration.features and getattr(declaration, name) is None:
            yield InconsistencyError(history, f"history needs the role `{name}`")
        elif column == declaration.domain or name not in known:
            yield InconsistencyError(history, f"{name!r} is neither a feature nor the user or the item")
        elif declaration.is_list(column) or declaration.column_type(column) == "float":
            yield InconsistencyError(history, f"{name} must be a single int or string")


def _keys_with_two_decays(declaration: Declaration) -> Iterator[InconsistencyError]:
    """Keys of the same columns are one key, whose averages have one name."""
    settings = declaration.moving_average
    usual = settings.usual_key_decay
    decays: dict[frozenset[str], float] = {}
    for index, key in enumerate(settings.keys):
        decay = usual if key.decay is None else key.decay
        first = decays.setdefault(frozenset(map(declaration.resolve_role, key.columns)), decay)
        if decay != first:
            yield InconsistencyError(
                ("moving_average", "keys", index),
                f"[{', '.join(key.columns)}] is there already, with the decay {first:g}, not {decay:g}: a key has one "
                "decay; remove one of the two",
            )


def _range_problems(declaration: Declaration, taken: set[str]) -> Iterator[InconsistencyError]:
    for name, cut in declaration.moving_average.ranges.items():
        where = ("moving_average", "ranges", name)
        if name in taken:
            yield InconsistencyError(where, f"{name!r} is a feature or a role: give the ranges another name")
        elif cut.column not in declaration.features:
            yield InconsistencyError(
                where, f"{cut.column!r} is not a feature.{suggest(cut.column, declaration.features)}"
            )
        elif declaration.column_type(cut.column) == "string" or declaration.is_list(cut.column):
            yield InconsistencyError(where, f"{cut.column} is not a single number")


def _forbidden_features(declaration: Declaration) -> dict[str, str]:
    forbidden = dict.fromkeys(declaration.post_exposure, "listed under post_exposure")
    for name, behaviour in declaration.behaviours.items():
        forbidden[behaviour.source] = f"the source of the behaviour {name}"
    forbidden[declaration.label] = "the label"
    if not declaration.timestamp.is_random:
        forbidden[declaration.timestamp.column] = "the timestamp, which serving does not know"
    return forbidden
