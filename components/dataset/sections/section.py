"""What every block of a declaration is."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

ColumnType = Literal["int", "float", "string"]


class Section(BaseModel):
    """Base of every block: an unknown key is an error, numbers are finite, values do not change after validation."""

    # JSON, in which components get a declaration, has no infinite numbers.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _keys_as_text(value: Any) -> Any:
    return {str(name): of_domain for name, of_domain in value.items()} if isinstance(value, dict) else value


BY_DOMAIN = BeforeValidator(_keys_as_text)
"""Of a dictionary by the domain's value, which YAML reads as a number where it is one."""
Names = Annotated[list[str], BeforeValidator(_one_or_many)]
FileList = Annotated[Names, Field(min_length=1)]
