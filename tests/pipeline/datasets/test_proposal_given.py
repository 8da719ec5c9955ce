"""What the user says counts, and is refused where the files say otherwise."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from components.dataset.sections import Positive
from components.errors import InputError
from pipeline.datasets.proposal.guess import Guess
from pipeline.datasets.proposal.propose import ProposalRequest, propose
from tests.pipeline.datasets.proposed import columns, csv_log, write


@pytest.mark.parametrize(
    ("texts", "positive"),
    [(["yes", "no"], ["yes"]), (["view", "purchase", "cart"], ["purchase"]), (["True", "False"], ["True"])],
)
def test_labels_of_text(tmp_path: Path, texts: list[str], positive: list[str]) -> None:
    given = {**columns(), "clicked": np.random.default_rng(0).choice(texts, 3000)}
    written = write(ProposalRequest([csv_log(tmp_path, given)], output=tmp_path / "a.yaml"))
    assert written.declaration.label == "clicked"
    assert written.declaration.positive == Positive(one_of=positive)
    assert "count as 1" in written.text


def news(rows: int = 3000) -> dict[str, object]:
    """A log whose label is J or N, and whose user has a name that no vocabulary knows."""
    rng = np.random.default_rng(1)
    log = columns(rows, opened=rng.choice(["J", "N"], rows), session_reads=rng.integers(0, 9, rows))
    del log["clicked"]
    return {**log, "rdr": [f"r{number:05d}" for number in rng.integers(0, 400, rows)]}


def test_a_label_in_another_language_and_a_user_by_its_values(tmp_path: Path) -> None:
    written = write(ProposalRequest([csv_log(tmp_path, news())], output=tmp_path / "a.yaml", yes=True))
    assert (written.declaration.label, written.declaration.user) == ("opened", "rdr")
    assert written.declaration.positive == Positive(one_of=["J"])
    assert any("user: rdr is not certain" in warning for warning in written.proposal.draft.warnings)


def test_columns_that_were_set_aside_by_their_names_are_said(tmp_path: Path) -> None:
    log = {
        **news(),
        "dwell_s": np.random.default_rng(2).random(3000) * 60,
        "req": [f"{n}q" for n in range(3000)],
    }
    places = write(
        ProposalRequest([csv_log(tmp_path, log)], output=tmp_path / "a.yaml", yes=True)
    ).proposal.draft.places()
    assert places == [
        "only known after the exposure, so averaged over the past and never features: session_reads, dwell_s",
        "left out, as they tell nothing more: req",
    ]


def test_of_a_label_whose_texts_tell_nothing_a_terminal_asks_which_counts(tmp_path: Path) -> None:
    asked: dict[str, list[str]] = {}

    def ask(guess: Guess, names: list[str]) -> str | None:
        asked[guess.role] = names
        return {"label": "channel", "positive": "mail", "domain": "opened"}.get(guess.role, guess.column)

    written = write(ProposalRequest([csv_log(tmp_path, news())], output=tmp_path / "a.yaml"), ask)
    assert sorted(asked["positive"]) == ["app", "mail", "web"]
    assert written.declaration.positive == Positive(one_of=["mail"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"roles": {"label": "clickd"}}, "--label clickd: no such column; did you mean clicked"),
        ({"roles": {"label": "price"}}, "the label price has"),
        ({"roles": {"label": "channel"}}, "nothing tells which count as 1: give --positive"),
        (
            {"roles": {"label": "channel"}, "positive": "fax"},
            "channel has no value fax; it has app, mail, web",
        ),
        ({"roles": {"label": "price"}, "positive": "dear"}, "price holds numbers"),
        (
            {"roles": {"label": "clicked"}, "positive": "3"},
            "--positive 3: none of clicked's values (0, 1) counts as 1, and a model needs both classes",
        ),
        (
            {"roles": {"label": "clicked"}, "positive": "0"},
            "--positive 0: every one of clicked's values (0, 1) counts as 1",
        ),
        (
            {"roles": {"label": "channel"}, "positive": "app, mail, web"},
            "every one of channel's values (app, mail, web) counts as 1",
        ),
        ({"roles": {"timestamp": "channel"}}, "--timestamp channel: expected seconds"),
        ({"roles": {"timestamp": "channel"}}, "in nearly every row of the impressions; found '"),
        ({"roles": {"timestamp": "clicked"}}, "in nearly every row of the impressions; found 0 to 1"),
        ({"output": Path("a.txt")}, "expected a name that ends in .yaml"),
        ({"zone": "CET+1"}, "--time-zone: 'CET+1' is not an IANA time zone such as UTC"),
        ({"zone": "Europe/Pari"}, "--time-zone: 'Europe/Pari' is not an IANA time zone"),
        ({"separator": ";;;;;"}, "--separator ';;;;;': expected an ASCII character, such as ';' or '\\t'"),
        ({"separator": ""}, "--separator '': expected an ASCII character"),
        ({"lookups": ["users.csv"]}, "expected FILE=key"),
        ({"lookups": ["nowhere.csv=channel"]}, "nowhere.csv: no such file"),
    ],
)
def test_what_is_given_wrongly(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    request = ProposalRequest([csv_log(tmp_path, columns())], output=tmp_path / "a.yaml")
    with pytest.raises(InputError, match=re.escape(message)):
        propose(dataclasses.replace(request, **changes), None)  # type: ignore[arg-type]
    assert not (tmp_path / "a.yaml").exists()


def test_given_positives(tmp_path: Path) -> None:
    log = csv_log(tmp_path, columns())
    written = write(
        ProposalRequest(
            [log], output=tmp_path / "a.yaml", roles={"label": "price", "domain": "channel"}, positive="15"
        )
    )
    assert written.declaration.positive == Positive(at_least=15)
    assert written.declaration.post_exposure == ["price", "clicked"]


def test_files_that_are_there_are_kept(tmp_path: Path) -> None:
    log = csv_log(tmp_path, columns())
    (tmp_path / "a.pbtxt").write_text("mine")
    with pytest.raises(InputError, match=r"a.pbtxt: is there already; .* --force"):
        propose(ProposalRequest([log], output=tmp_path / "a.yaml"), None)
    assert (tmp_path / "a.pbtxt").read_text() == "mine"


def test_what_is_set_aside_is_neither_feature_nor_key_and_takes_no_role(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    offer = rng.integers(0, 90, 3000)
    log = csv_log(
        tmp_path, columns(offer=offer, member=rng.integers(0, 300, 3000), sku=rng.integers(0, 99, 3000))
    )
    request = ProposalRequest([log], output=tmp_path / "a.yaml", yes=True)
    assert "offer" in write(request).declaration.features
    aside = dataclasses.replace(request, set_aside=["offer"], force=True)
    written = write(aside)
    assert "offer" not in written.declaration.features
    assert "offer" in written.declaration.post_exposure
    for column, said in (
        ("clicked", "it is the label"),
        ("channel", "it is the domain"),
        ("offre", "no such column"),
    ):
        with pytest.raises(InputError, match=f"--set-aside {column}: {said}"):
            propose(dataclasses.replace(aside, set_aside=[column], roles={"domain": "channel"}), None)


def test_domains_that_are_alike_but_for_case_are_said(tmp_path: Path) -> None:
    log = columns()
    log["channel"] = ["App" if number % 100 == 0 else name for number, name in enumerate(log["channel"])]  # type: ignore[arg-type,var-annotated]
    request = ProposalRequest([csv_log(tmp_path, log)], output=tmp_path / "a.yaml", yes=True)
    warnings = write(request).proposal.draft.warnings
    assert any("'App' in 30 rows, alike but for case or spaces" in warning for warning in warnings)
