"""What names and values of public logs say: each of these was taken for something else once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipeline.datasets.proposal.propose import ProposalRequest
from tests.pipeline.datasets.proposed import Written, columns, csv_log, write

ROWS = 3000
COUNT = np.arange(ROWS)


def proposed(folder: Path, log: dict[str, object], **given: object) -> Written:
    path = csv_log(folder, log)
    return write(ProposalRequest([path], output=folder / "a.yaml", yes=True, **given))  # type: ignore[arg-type]


def said(written: Written) -> list[str]:
    return written.proposal.draft.warnings


def test_an_item_may_have_one_user_alone(tmp_path: Path) -> None:
    """As where the user is who wrote what is shown."""
    rng = np.random.default_rng(0)
    item = rng.integers(0, 300, ROWS)
    clicked = rng.random(ROWS) < 0.1 + 0.6 * (item % 7 == 0)
    log = columns(user_id=item % 60, item_id=item, clicked=clicked.astype(int))
    declaration = proposed(tmp_path, log).declaration
    assert (declaration.user, declaration.item) == ("user_id", "item_id")
    assert ["user", "user"] not in [list(key.columns) for key in declaration.moving_average.keys]


def test_hives_separator_is_told_from_those_of_lists_within(tmp_path: Path) -> None:
    names = ["tokens", "user_id", "item_id", "ts", "channel", "clicked"]
    rng = np.random.default_rng(0)
    ts = columns()["ts"]
    rows = [
        "\x01".join(
            [
                "\t".join(map(str, rng.integers(1, 99, rng.integers(3, 9)))),
                f"u{n % 40}",
                f"i{n % 70}",
                str(ts[n]),  # type: ignore[index]
                f"c{n % 3}",
                str(n * 7 % 5 // 4),
            ]
        )
        for n in range(ROWS)
    ]
    (tmp_path / "log.tsv").write_text("\n".join(rows) + "\n")
    request = ProposalRequest(
        [tmp_path / "log.tsv"], output=tmp_path / "a.yaml", yes=True, columns=[",".join(names)]
    )
    written = write(request)
    assert written.declaration.impressions.separator == "\x01"
    assert (written.declaration.user, written.declaration.label) == ("user_id", "clicked")


@pytest.mark.parametrize(
    ("name", "domain", "doubted"),
    [
        ("subdomain", "subdomain", False),
        ("webpage_id", "webpage_id", False),
        ("PAGE_SERIAL", "PAGE_SERIAL", True),
        ("page_no", "page_no", True),
        ("feed_index", "feed_index", True),
    ],
)
def test_what_a_place_is_called_and_how_pages_are_counted(
    tmp_path: Path, name: str, domain: str, doubted: bool
) -> None:
    log = columns(**{name: np.random.default_rng(0).integers(1, 9, ROWS)})
    del log["channel"]
    written = proposed(tmp_path, log)
    assert written.declaration.domain == domain
    assert any(w.startswith(f"domain: {name} is not certain") for w in said(written)) == doubted


def test_a_rank_is_the_last_to_be_a_domain(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    log = columns(rank=rng.integers(0, 24, ROWS), cat0=rng.integers(0, 9, ROWS))
    del log["channel"]
    written = proposed(tmp_path, log)
    assert written.declaration.domain == "cat0"
    assert written.declaration.features["rank"].at_serving is not None


@pytest.mark.parametrize("name", ["city_rank", "city_development_index", "sales_rank"])
def test_ranks_of_something_else_are_no_places(tmp_path: Path, name: str) -> None:
    feature = proposed(tmp_path, columns(**{name: np.random.default_rng(0).integers(1, 6, ROWS)}))
    assert feature.declaration.features[name].at_serving is None


def test_kinds_of_numbers_are_told_by_their_names(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    few = np.minimum((rng.pareto(1.0, ROWS) * 3).astype(int), 300)
    log = columns(
        categorical_3=few,
        hotel_market=few,
        numerical_3=few[::-1] + 400,
        music=few,
        hist_1=few,
        views_per_item=few,
    )
    features = proposed(tmp_path, log).declaration.features
    treatments = {name: features[name].treatment for name in log if name in features}
    assert {treatments[name] for name in ("categorical_3", "hotel_market", "music", "hist_1")} == {
        "vocabulary"
    }
    assert "normalise" in treatments["numerical_3"]
    assert "normalise" in treatments["views_per_item"]


@pytest.mark.parametrize(
    ("label", "other"), [("interested", "invited"), ("is_booking", "is_mobile"), ("finish", "vip")]
)
def test_more_that_users_do(tmp_path: Path, label: str, other: str) -> None:
    log = columns(**{other: COUNT % 3 // 2})
    log[label] = log.pop("clicked")
    written = proposed(tmp_path, log)
    assert written.declaration.label == label
    assert other in written.declaration.features


def test_a_label_that_is_not_predicted_is_no_feature(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    flags = {name: rng.integers(0, 2, ROWS) for name in ("label", "is_trade", "booking", "target_2")}
    written = proposed(tmp_path, columns(**flags), roles={"label": "clicked"})
    assert set(flags).isdisjoint(written.declaration.features)
    assert set(flags) <= set(written.declaration.behaviours)


def test_a_label_that_names_what_was_not_done_is_doubted(tmp_path: Path) -> None:
    log = columns()
    log["not_clicked"] = 1 - np.asarray(log.pop("clicked"))
    written = proposed(tmp_path, log)
    assert any(w.startswith("label: not_clicked is not certain") for w in said(written))
    log["clicked"] = 1 - np.asarray(log["not_clicked"])
    written = proposed(tmp_path, log, force=True)
    assert written.declaration.label == "clicked"


@pytest.mark.parametrize(
    ("ratings", "none"),
    [
        (np.where(COUNT % 3 > 0, -1, COUNT % 11), "-1"),
        (np.where(COUNT % 3 > 0, 0, 1 + COUNT % 10), "0"),
        (np.where(COUNT % 9 > 0, -1.0, 4.5), "-1"),
        (1 + COUNT % 5, None),
        (COUNT % 6, None),
    ],
)
def test_ratings_that_are_none(tmp_path: Path, ratings: object, none: str | None) -> None:
    log = columns(user_id=COUNT % 41, rating=np.random.default_rng(0).permutation(ratings))  # type: ignore[call-overload]
    del log["clicked"]
    written = proposed(tmp_path, log)
    assert written.declaration.label == "rating"
    doubts = [w for w in said(written) if w.startswith("label: rating is not certain")]
    if none is None:
        assert not doubts
    else:
        assert f"; {none} counts as 0, in " in doubts[0]


def test_a_time_in_no_form_that_is_read_is_no_feature(tmp_path: Path) -> None:
    log = columns(user_id=COUNT % 200, time=53_086_000_000 + COUNT * 7919)
    del log["ts"]
    written = proposed(tmp_path, log, no_time=True)
    assert "time" not in written.declaration.features
    assert any("named like a time, in no form that is read" in w for w in said(written))


def test_when_a_reaction_was_is_no_number_to_average(tmp_path: Path) -> None:
    log = columns()
    log["like_timestamp"] = [int(t) + 60 if n % 4 == 0 else None for n, t in enumerate(log["ts"])]  # type: ignore[arg-type, call-overload]
    written = proposed(tmp_path, log)
    assert "like_timestamp" not in {*written.declaration.behaviours, *written.declaration.features}
    assert any(w.startswith("like_timestamp: left out: when a reaction was") for w in said(written))


def test_an_item_is_no_user_though_its_ids_are_texts(tmp_path: Path) -> None:
    written = proposed(tmp_path, columns(product_id=[f"B0{n % 200:08d}" for n in range(ROWS)]))
    assert (written.declaration.user, written.declaration.item) == (None, "product_id")


def test_codes_that_are_named_like_a_label_are_named_beside_a_doubted_one(tmp_path: Path) -> None:
    log = columns(esci_label=[list("ESCI")[n % 4] for n in range(ROWS)])
    log["small_version"] = log.pop("clicked")
    written = proposed(tmp_path, log)
    assert any(
        w.startswith("label: small_version is not certain") and w.endswith("perhaps esci_label")
        for w in said(written)
    )


def test_a_length_of_time_is_said_to_need_its_beginning(tmp_path: Path) -> None:
    log = pl.DataFrame(columns(user_id=COUNT % 90)).with_columns(
        since=pl.Series(COUNT).cast(pl.Duration("ns"))
    )
    log.write_parquet(tmp_path / "log.parquet")
    written = write(ProposalRequest([tmp_path / "log.parquet"], output=tmp_path / "a.yaml", yes=True))
    assert any(w.startswith("since: ") and "add the moment that it counts from" in w for w in said(written))


def test_what_does_not_come_again_is_no_item_and_no_user(tmp_path: Path) -> None:
    """`trackid` may be a song's or a request's: its values tell."""
    requests = [f"p{n // 5:08x}" for n in range(ROWS)]
    log = columns(trackid=requests, mid=np.random.default_rng(0).integers(0, 90, ROWS))
    written = proposed(tmp_path, log)
    assert any(
        w.startswith("item: trackid is not certain") and "do not come again" in w for w in said(written)
    )
    log = columns(pvId=requests, suv=[f"u{n:08x}" for n in np.random.default_rng(0).integers(0, 200, ROWS)])
    written = proposed(tmp_path, log, force=True)
    assert written.declaration.user == "suv"
    assert "pvId" not in written.declaration.features
    songs = np.random.default_rng(0).integers(0, 200, ROWS)
    written = proposed(tmp_path, columns(trackid=songs), force=True)
    assert written.declaration.item == "trackid"
    assert not any(w.startswith("item: ") for w in said(written))


def test_objects_of_parquet_are_said_to_need_rows_or_columns(tmp_path: Path) -> None:
    shown = [[{"note": n % 9, "click": k} for k in range(2)] for n in range(ROWS)]
    log = pl.DataFrame(columns(user_id=COUNT % 90)).with_columns(
        results=pl.Series(shown), place=pl.struct(pl.lit(1).alias("x"))
    )
    log.write_parquet(tmp_path / "log.parquet")
    written = write(ProposalRequest([tmp_path / "log.parquet"], output=tmp_path / "a.yaml", yes=True))
    told = {w.split(":")[0]: w for w in said(written)}
    assert "lists of objects, as a session's events are: write a row for each" in told["results"]
    assert "objects: write what they hold as columns of their own" in told["place"]


def test_what_was_shown_is_named_beside_a_doubted_label(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shown = [
        "|".join(f"{k}?{rng.integers(0, 900)}?{rng.integers(0, 2)}" for k in range(4)) for _ in range(ROWS)
    ]
    log = columns(user_id=COUNT % 90, impressions=shown)
    log["is_mobile"] = log.pop("clicked")
    written = proposed(tmp_path, log)
    assert any(w.startswith("impressions: several values in a row") for w in said(written))
