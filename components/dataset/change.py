"""A declaration with some settings changed, after it has been loaded."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import ValidationError

from components.dataset.declaration import Declaration
from components.dataset.overrides import apply_overrides
from components.errors import InputError


def changed(declaration: Declaration, settings: Sequence[str]) -> Declaration:
    """The declaration with settings changed as `--set` changes them.

    Args:
      declaration: validated.
      settings: `a.b=value` texts.

    Raises:
      InputError: a setting is unknown, or the result is not valid.
    """
    if not settings:
        return declaration
    document = json.loads(declaration.to_json())
    apply_overrides(document, Declaration, settings)
    try:
        return Declaration.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InputError(f"{', '.join(settings)}: {problems}") from None
