"""What a model wants to be asked, in words."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from components.dataset.input_names import SEVERAL_VALUES
from components.dataset.names import is_date
from pipeline.client import Signature, TensorSpec, tensors
from pipeline.example_curl import example_curl
from pipeline.predict.targets import open_target, version_directory
from pipeline.report.numbers import plural
from pipeline.screen import Screen, as_is

_SHOWN_DOMAINS = 12
_MISSING = {"int64": "-1", "float32": "NaN", "string": '""'}
_WHAT = {
    "serving_default": "rows, a value of each input for each",
    "rank": "r requests of one user each: c candidates in d domains; 1 in the place of c: the same for all candidates",
    "examples": "serialized tf.Examples",
    "explain": "rows: how much each of the domains weighs in each prediction",
}


@dataclasses.dataclass(frozen=True)
class Described:
    """A model and what it can be asked.

    Attributes:
      name: of the version, for people.
      signatures: by name.
      domain: the input of the domain; empty where it is not known.
      domains: values that were in training; none where they are not known.
      lists: inputs whose several values are one text, each with U+001F behind it.
      separators: of these, what separates values in the logs' texts, too, where something does.
      dates: inputs that are days since 1970.
      curl: a request that is answered; None where none is known.
      real: whether its row is one of the evaluation, or has the domain alone.
      noted: whether lists, domains and dates are known.
    """

    name: str
    signatures: dict[str, Signature]
    domain: str = ""
    domains: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    separators: Mapping[str, str] = dataclasses.field(default_factory=dict)
    dates: tuple[str, ...] = ()
    curl: str | None = None
    real: bool = False
    noted: bool = True

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "signatures": {
                name: {
                    "inputs": {
                        key: {**_spec(port), "optional": port.optional} for key, port in found.inputs.items()
                    },
                    "outputs": {key: _spec(port) for key, port in found.outputs.items()},
                }
                for name, found in self.signatures.items()
            },
            "domain": self.domain,
            "domains": list(self.domains),
            "lists": list(self.lists),
            "separators": dict(self.separators),
            "dates": list(self.dates),
            "curl": self.curl,
        }


def describe(model_dir: Path | None, url: str | None) -> Described:
    """Looks at a pushed model or a served one.

    Args:
      model_dir: the folder of versions, or one version.
      url: or a server with the model's name.

    Raises:
      InputError: both or neither are named, or there is no such model.
    """
    with open_target(url, model_dir) as target:
        # TensorFlow notes an operation of its own among them, which nobody asks.
        asked = {
            name: port for name, port in target.signatures.items() if not name.startswith("__saved_model")
        }
        notes = target.notes
    domain, lists = notes.get("domain") or {}, notes.get("lists") or {}
    found = Described(
        target.name,
        asked,
        domain=str(domain.get("input", "")),
        domains=tuple(domain.get("values", ())),
        lists=tuple(lists),
        separators={name: separator for name, separator in lists.items() if separator},
        dates=tuple(name for name, written in (notes.get("written") or {}).items() if is_date(written)),
        noted=bool(notes),
    )
    if model_dir is None:
        return dataclasses.replace(found, curl=_least_curl(found, str(url)))
    version = version_directory(model_dir)
    curl = example_curl(version, version.resolve().parent.name)
    return dataclasses.replace(found, curl=curl, real=curl is not None)


def _least_curl(found: Described, url: str) -> str | None:
    """A request with a domain and nothing else: all other inputs may be left out."""
    if not found.domains or not url.startswith("http"):
        return None
    base, _, model = url.rstrip("/").rpartition("/")
    body = json.dumps({"instances": [{found.domain: found.domains[0]}]}, ensure_ascii=False)
    address = f"{base.removesuffix('/v1/models')}/v1/models/{model}:predict"
    return f"curl -s {shlex.quote(address)} -d {shlex.quote(body)}"


def print_signature(told: Described) -> None:
    """Prints one table for each signature, then the domains and a request."""
    screen = Screen(soft_wrap=True)
    screen.print(f"[bold]{as_is(told.name)}[/]", highlight=False)
    for name, found in told.signatures.items():
        what = f": {_WHAT[name]}" if name in _WHAT else ""
        screen.print(f"\n[bold]{as_is(name)}[/]{what}", highlight=False)
        screen.print(_inputs(name, found))
        axes = "rdc" if name == "rank" else "n"
        outputs = ", ".join(
            f"{key} {_type(port)} {_shape(port, axes)}" for key, port in found.outputs.items()
        )
        screen.print(f"→ {as_is(outputs)}", highlight=False)
    if told.domains:
        more = f" and {len(told.domains) - _SHOWN_DOMAINS} more" if len(told.domains) > _SHOWN_DOMAINS else ""
        shown = ", ".join(told.domains[:_SHOWN_DOMAINS])
        screen.print(
            f"\n{as_is(told.domain)}: {plural(len(told.domains), 'value')} in training, {as_is(shown)}{more}",
            highlight=False,
        )
    if told.lists:
        screen.print(
            f"\n{as_is(', '.join(told.lists))}: {as_is(SEVERAL_VALUES)}{as_is(_separated(told))}",
            highlight=False,
        )
    if told.dates:
        screen.print(
            f"\n{as_is(', '.join(told.dates))}: dates, as days since 1970: 2024-03-01 is 19783",
            highlight=False,
        )
    if not told.noted:
        screen.print(
            "\nLists, dates and the domains of training: `dfei serve` tells them over REST (--url http://...), and the "
            "model's folder; this server does not.",
            highlight=False,
        )
    if told.curl is not None:
        what = (
            "a real row, once it is served"
            if told.real
            else "a row with the domain alone (a real one, of a user, lies in the model's folder)"
        )
        screen.print(f"\n{what}:\n  {as_is(told.curl)}", highlight=False)


def _separated(told: Described) -> str:
    """ "; or with | between them (topics)"; empty where nothing but U+001F separates values."""
    if not told.separators:
        return ""
    named = [f"with {separator} between them ({name})" for name, separator in told.separators.items()]
    return f"; or {', '.join(named)}"


def _inputs(name: str, found: Signature) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("input", "type", "shape", "no value"):
        table.add_column(title, no_wrap=True)
    for key, port in sorted(found.inputs.items(), key=lambda entry: (entry[1].optional, entry[0])):
        missing = f"{_MISSING.get(_type(port), '')}, or left out" if port.optional else "every request has it"
        # Of a ranking the domain alone is no candidate's.
        axes = "n" if name != "rank" else "rc" if port.optional else "rd"
        table.add_row(as_is(key), _type(port), as_is(_shape(port, axes)), missing)
    return table


def _spec(port: TensorSpec) -> dict[str, Any]:
    return {"type": _type(port), "shape": port.shape}


def _type(port: TensorSpec) -> str:
    return tensors.dtype_name(port.dtype)


def _shape(port: TensorSpec, axes: str) -> str:
    """Sizes, and a letter of `axes` (the last one for all that follow) where any will do."""
    if port.shape is None:
        return "any"
    letters = axes.ljust(len(port.shape), axes[-1])
    sizes = (letter if size < 0 else str(size) for letter, size in zip(letters, port.shape, strict=False))
    return f"[{', '.join(sizes)}]"
