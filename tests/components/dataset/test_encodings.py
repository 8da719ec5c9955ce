"""What bytes that are no UTF-8 are said to be."""

from __future__ import annotations

import pytest

from components.dataset.encodings import encoding_hint


@pytest.mark.parametrize(
    ("text", "encoding", "said"),
    [
        ("1,Movie é 3 (1963),Drama\n" * 5, "latin-1", "cp1252"),
        ("Straße,Größe\nMünchen,schön\n", "cp1252", "cp1252"),
        ("prix,en €\n3,café\n", "cp1252", "cp1252"),
        ("город,имя\nМосква,Иван\n" * 20, "cp1251", "cp1251"),  # noqa: RUF001
        ("城市,名字\n北京,王\n" * 20, "gb18030", "gb18030"),
    ],
)
def test_hint(text: str, encoding: str, said: str) -> None:
    assert f"looks like {said}: declare `encoding: {said}`" in encoding_hint(text.encode(encoding))
