"""A draft as YAML: every guess with the reason where it stands."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from components.dataset.sections import Positive
from models.metrics import needed
from pipeline.datasets.proposal.draft import Draft
from pipeline.datasets.proposal.features import Choice
from pipeline.datasets.proposal.figures import highest
from pipeline.datasets.proposal.roles import Column
from pipeline.datasets.proposal.split import DAY_HOURS
from pipeline.datasets.proposal.words import EVENTS, has

_WIDTH = 112
# Numbers of this size are times or ids.
_MOMENT = 1e8
# What both data sets of the project ended with (docs/results.md).
MODEL = {"dropout": 0.2, "id_dropout": 0.5, "common_base": True}
_FEW_ROWS_PER_DOMAIN = 1000
TRAINING = {
    "epochs": "auto",
    "batch_size": "auto",
    "patience": 0,
    "refit": True,
    "schedule": "mixed",
    "shared_lr_scale": 2.0,
    "learning_rate_schedule": "linear",
    "warmup": 0.1,
}


def document(draft: Draft) -> CommentedMap:
    """The declaration with its comments."""
    top = CommentedMap()
    top["name"] = draft.name
    _files(top, draft)
    _roles(top, draft)
    _behaviours(top, draft)
    _features(top, draft)
    _settings(top, draft)
    return top


def to_text(top: CommentedMap) -> str:
    """As it is written to a file; a blank line before each section that begins with a comment."""
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 10_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.allow_unicode = True
    stream = io.StringIO()
    yaml.dump(top, stream)
    lines: list[str] = []
    for line in stream.getvalue().splitlines():
        if line.startswith("#") and lines and lines[-1] and not lines[-1].startswith("#"):
            lines.append("")
        lines.append(line)
    return "\n".join(lines) + "\n"


def plain(node: Any) -> Any:
    """The document without comments."""
    if isinstance(node, Mapping):
        return {str(key): plain(value) for key, value in node.items()}
    return [plain(value) for value in node] if isinstance(node, (list, tuple)) else node


def _say(node: CommentedMap, key: str, text: str, indent: int = 0) -> None:
    """Puts a comment above a key."""
    safe = " ".join(text.split())
    lines = textwrap.wrap(safe, _WIDTH - indent, break_long_words=False, break_on_hyphens=False)
    node.yaml_set_comment_before_after_key(key, before="\n".join(lines), indent=indent)


def _flow(value: Any) -> Any:
    """A value on one line."""
    if isinstance(value, Mapping):
        flow = CommentedMap((_flow(key), _flow(item)) for key, item in value.items())
        flow.fa.set_flow_style()
        return flow
    if isinstance(value, (list, tuple)):
        sequence = CommentedSeq([_flow(item) for item in value])
        sequence.fa.set_flow_style()
        return sequence
    # ruamel leaves a `?` at the beginning bare, which opens a key.
    return DoubleQuotedScalarString(value) if isinstance(value, str) and "?" in value else value


def _files(top: CommentedMap, draft: Draft) -> None:
    sources = draft.sources
    top["time_zone"] = draft.zone
    _say(top, "time_zone", f"Where days begin at midnight: {draft.zone_why}.")
    top["impressions"] = _flow(sources.log.section.model_dump(exclude_defaults=True))
    between = sources.log.section.separator
    separator = f", separated by {between!r}" if between else ""
    rows = f"about {sources.log.rows:,} rows, {len(sources.log.files[0].columns)} columns{separator}"
    _say(top, "impressions", f"{len(sources.log.files)} file(s) below the folder to give as --data: {rows}.")
    if not sources.lookups:
        return
    lookups = CommentedSeq()
    for lookup in sources.lookups:
        same = lookup.left_key == lookup.right_key
        entry: dict[str, Any] = lookup.table.section.model_dump(exclude_defaults=True)
        entry["key"] = lookup.left_key if same else {lookup.left_key: lookup.right_key}
        if lookup.prefix:
            entry["prefix"] = lookup.prefix
        lookups.append(_flow(entry))
    top["lookups"] = lookups
    matched = "; ".join(
        f"{lookup.table.name}: {lookup.table.rows:,} rows, {lookup.matched:.1%} of the impressions have one"
        for lookup in sources.lookups
    )
    _say(top, "lookups", f"Joined by key. {matched}.")


def _roles(top: CommentedMap, draft: Draft) -> None:
    top["label"] = draft.label.column
    _say(top, "label", _guessed(draft, "label"))
    if draft.label.positive is not None:
        top["positive"] = _flow(draft.label.positive.model_dump(exclude_none=True))
        what = "this or more" if draft.label.positive.at_least is not None else "these alone"
        _say(
            top,
            "positive",
            f"Which values of {draft.label.column} count as 1: {what}; change it to move the line.",
        )
    for role in ("domain", "user", "item"):
        column = draft.role(role)
        if column is not None:
            top[role] = column
            _say(top, role, _guessed(draft, role))
    if draft.author is not None:
        top["author"] = draft.author
        _say(top, "author", "Who made the item, by its name; PEPNet personalises by it.")
    top["timestamp"] = _flow({"column": draft.role("timestamp"), "unit": draft.unit})
    _say(top, "timestamp", _guessed(draft, "timestamp"))


def _guessed(draft: Draft, role: str) -> str:
    guess = draft.guesses[role]
    others = [name for name, _ in guess.candidates if name != guess.column]
    text = guess.why if guess.certainty != "weak" else f"NOT CERTAIN: {guess.why}"
    if guess.certainty == "given" and "given" not in text:
        text = f"given; {text}"
    also = f". It might also be {', '.join(others[:5])}" if others and guess.certainty != "given" else ""
    return f"{text}{also}."


def _behaviours(top: CommentedMap, draft: Draft) -> None:
    types = CommentedMap()
    label = draft.columns[draft.label.column]
    rule = draft.label.positive
    if rule is None:
        types[draft.label.column] = "int"
    for choice in draft.of("behaviour"):
        types[choice.column] = "int" if draft.columns[choice.column].values.kind == "int" else "float"
    if types:
        top["columns"] = types
        _say(top, "columns", "Types of columns that are no features.")
    behaviours = CommentedMap()
    if rule is None:
        behaviours[draft.label.column] = _flow({"column": draft.label.column})
        _say(behaviours, draft.label.column, "The label, averaged over the past.", 2)
    else:
        name = f"{draft.label.column}_positive"
        behaviours[name] = _flow(
            {"column": draft.label.column, "positive": rule.model_dump(exclude_none=True)}
        )
        _say(behaviours, name, "The label, averaged over the past.", 2)
        if label.values.kind in ("int", "float") and _is_rating(label, rule):
            behaviours[draft.label.column] = _flow({"column": draft.label.column})
            _say(behaviours, draft.label.column, "And the rating itself.", 2)
    for choice in draft.of("behaviour"):
        behaviours[choice.behaviour] = _flow(choice.settings)
        _say(behaviours, choice.behaviour, choice.why, 2)
    top["behaviours"] = behaviours
    _say(
        top,
        "behaviours",
        "What users do after the exposure. Averages over the past are features, the values of a row never are.",
    )
    later = CommentedMap()
    names = CommentedSeq(
        [draft.label.column, *(choice.column for choice in draft.choices if _is_later(choice))]
    )
    for index, choice in enumerate((choice for choice in draft.choices if _is_later(choice)), 1):
        if choice.place == "after":
            names.yaml_set_comment_before_after_key(index, before=" ".join(choice.why.split()), indent=2)
    later["post_exposure"] = names
    top["post_exposure"] = names
    _say(top, "post_exposure", "Only known after the exposure: set aside, never features.")


def _is_rating(label: Column, rule: Positive) -> bool:
    """Whether a label's numbers are more and less of something: neither codes nor moments."""
    return (
        rule.at_least is not None
        and not has(label.name, EVENTS)
        and highest(label.values.column.drop_nulls()) < _MOMENT
    )


def _is_later(choice: Choice) -> bool:
    return choice.place in ("behaviour", "after")


def _features(top: CommentedMap, draft: Draft) -> None:
    features = CommentedMap()
    previous = ""
    for choice in draft.of("feature"):
        origin = draft.sources.origin(choice.column)
        place = "the impressions" if origin is None else origin.table.name
        features[choice.column] = _flow(choice.settings)
        # A heading where the file changes, then the reason.
        heading = f"From {place}." if place != previous else ""
        before = "\n".join(part for part in (heading, _wrapped(choice.why)) if part)
        features.yaml_set_comment_before_after_key(choice.column, before=before, indent=2)
        previous = place
    top["features"] = features
    left = [f"{choice.column or '(no name)'}: {choice.why}" for choice in draft.of("none")]
    _say_lines(top, "features", ["What the model may use.", *(["Left out:"] if left else []), *left])


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(" ".join(text.split()), _WIDTH - 2, break_long_words=False))


def _say_lines(node: CommentedMap, key: str, lines: Sequence[str]) -> None:
    wrapped = [part for line in lines for part in _wrapped(line).split("\n")]
    node.yaml_set_comment_before_after_key(key, before="\n".join(wrapped))


def _settings(top: CommentedMap, draft: Draft) -> None:
    bucket = draft.split.bucket_hours if draft.split is not None else 24.0
    averages = CommentedMap()
    averages["decay"] = 0.9
    averages["bucket_hours"] = _number(bucket)
    keys = draft.usual_keys() if draft.keys is None else draft.keys
    listed = CommentedSeq(_flow(list(key.names)) for key in keys)
    averages["keys"] = listed if listed else _flow([])
    for place, key in enumerate(keys):
        if key.why:
            listed.yaml_add_eol_comment(key.why, place)
    top["moving_average"] = averages
    chosen = (
        "there are too few clicks to choose by: the usual ones. Propose anew when the log has grown"
        if draft.keys is None
        else "each says by its click rate as of the day before what those above it, and features of few values, do not"
    )
    _say(
        top,
        "moving_average",
        f"Averages of the behaviours over past stretches of time, beside the domain's, for these keys: {chosen}.",
    )
    split: dict[str, Any] = {"eval_days": 1, "validation_days": 1}
    if draft.split is not None:
        split = {"eval_days": draft.split.eval_days, "validation_days": draft.split.validation_days}
    if draft.hours != DAY_HOURS:
        split["day_hours"] = _number(draft.hours)
    top["split"] = _flow(split)
    if draft.split is not None:
        how = "At random by user, for there is no time" if draft.unit == "random" else "Forward in time"
        _say(top, "split", f"{how}: {draft.split.why}.")
    model = model_settings(draft.train_rows_per_domain)
    top["model"] = _flow(model)
    _say(
        top,
        "model",
        "Ids are hidden from half of the rows, or a small log is memorised; domains start from what all learn."
        + (
            " With few rows per domain its own part is narrow (specific_rank): take that away when the log has grown."
            if "specific_rank" in model
            else ""
        ),
    )
    training = CommentedMap(TRAINING)
    if draft.validation_min_rows != 100:
        training["validation_min_rows"] = draft.validation_min_rows
    top["training"] = training
    _say(
        top,
        "training",
        "Ends with as many epochs on all training rows, the validation days included, as validated best. Batches and "
        "epochs follow the number of rows (auto).",
    )
    ranked = ("average_auc", "overall_auc") if draft.deciding != 0 else ("overall_auc",)
    thresholds = {name: _flow({"min": 0.55, "max_drop": 0.01}) for name in ranked}
    thresholds["normalized_entropy"] = _flow({"max": 1.0})
    thresholds["calibration"] = _flow({"min": 0.5, "max": 2.0})
    top["evaluation"] = CommentedMap({"min_rows": draft.min_rows, "thresholds": CommentedMap(thresholds)})
    _say(
        top,
        "evaluation",
        f"A domain decides with {needed(draft.min_rows)} in the evaluation. The gates ask for little more than chance, "
        "for a log loss no worse than that of one constant click rate, and for predictions that sum to the clicks "
        "within a factor of two: tighten them once you know what is usual.",
    )
    top["max_rejected_share"] = 0.001
    _say(top, "max_rejected_share", "More unreadable rows than this stop a run.")
    top["seed"] = 1


def model_settings(rows_per_domain: float | None) -> dict[str, Any]:
    """Of a log with so many training rows per domain; None where that is not known."""
    few = rows_per_domain is not None and rows_per_domain < _FEW_ROWS_PER_DOMAIN
    return {**MODEL, "specific_rank": 2} if few else MODEL


def _number(value: float) -> float:
    return int(value) if value == int(value) else round(value, 6)
