"""What is proposed for several tables, lists and odd names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from components.dataset import Declaration
from components.dataset.unread import file_notes
from components.errors import InputError
from pipeline.datasets.checking.check import check
from pipeline.datasets.proposal.propose import ProposalRequest, propose
from tests.components.example_gen.small import read_examples, run_ingest
from tests.pipeline.datasets.proposed import columns, csv_log, write


def test_another_table_among_the_files_is_not_an_impression_log(tmp_path: Path) -> None:
    log = csv_log(tmp_path, columns())
    users = csv_log(tmp_path, {"user": [1], "age": [2]}, "users.csv")
    with pytest.raises(InputError, match=r"users.csv: has other columns .* --lookup users.csv=KEY"):
        propose(ProposalRequest([log, users], output=tmp_path / "a.yaml"), None)


def test_a_key_of_another_name_is_told_how_it_is_given(tmp_path: Path) -> None:
    log = csv_log(tmp_path, columns(user=np.arange(3000) % 80))
    users = csv_log(tmp_path, {"zip": np.arange(80), "age": np.arange(80)}, "users.csv")
    for key, form in (("user", "user:THEIRS"), ("zip", "OURS:zip")):
        with pytest.raises(InputError, match=rf"has no column {key}.*It has: .* --lookup {users}={form}$"):
            propose(ProposalRequest([log], [f"{users}={key}"], tmp_path / "a.yaml"), None)


def test_lookups_with_other_key_names_and_the_same_columns(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    log = csv_log(tmp_path, columns(customer=rng.integers(0, 80, 3000), product=rng.integers(0, 60, 3000)))
    csv_log(tmp_path, {"id": np.arange(80), "kind": [f"k{n % 5}" for n in range(80)]}, "customers.csv")
    csv_log(tmp_path, {"id": np.arange(60), "kind": [f"p{n % 7}" for n in range(60)]}, "products.csv")
    written = write(
        ProposalRequest(
            [log],
            [f"{tmp_path}/customers.csv=customer:id", f"{tmp_path}/products.csv=product:id"],
            tmp_path / "a.yaml",
        )
    )
    declared = written.declaration
    assert (declared.user, declared.item) == ("customer", "product")
    assert {"kind", "products_kind"} <= set(declared.features)
    [example, *_] = read_after_ingest(declared, tmp_path)
    assert example["kind"][0].startswith(b"k")
    assert example["products_kind"][0].startswith(b"p")


def test_a_table_with_a_column_of_the_logs_name_is_told_apart_and_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shop, age = rng.integers(0, 40, 3000), np.arange(40) % 9 + 20
    log = csv_log(tmp_path, columns(shop=shop, stock=rng.integers(1, 6, 3000), age=age[shop]))
    business = {"shop": np.arange(40), "stock": np.arange(40) % 5 + 0.5, "age": age}
    csv_log(tmp_path, business, "business.csv")
    written = write(ProposalRequest([log], [f"{tmp_path}/business.csv=shop"], tmp_path / "a.yaml"))
    declared = written.declaration
    assert {"stock", "business_stock", "age"} <= set(declared.features)
    # A copy of the log's own column tells nothing more.
    assert "business_age" not in declared.features
    said = "business.csv and the log both have stock, with other values: the table's columns are named business_stock"
    assert any(note.startswith(said) for note in written.proposal.draft.warnings)
    shops = {7: 2.5, 8: 3.5}
    for example in read_after_ingest(declared, tmp_path):
        if (key := int(example["shop"][0])) in shops:
            assert example["business_stock"][0] == shops[key]


def test_a_prefixed_column_is_what_its_own_name_means(tmp_path: Path) -> None:
    log = csv_log(tmp_path, columns(shop=np.arange(3000) % 40, stars=np.arange(3000) % 5))
    business = {"shop": np.arange(40), "stars": np.arange(40) % 5 + 0.5, "city": np.arange(40) % 3}
    csv_log(tmp_path, business, "business.csv")
    given = ProposalRequest(
        [log], [f"{tmp_path}/business.csv=shop"], tmp_path / "a.yaml", roles={"domain": "city"}
    )
    with pytest.raises(InputError, match=r"--domain city: no such column; did you mean business_city\?"):
        propose(given, None)


def test_of_two_columns_of_one_name_it_is_said_which_is_read(tmp_path: Path) -> None:
    log = csv_log(tmp_path, columns(shop=np.arange(3000) % 40, stars=np.arange(3000) % 5))
    csv_log(tmp_path, {"shop": np.arange(40), "stars": np.arange(40) % 5 + 0.5}, "business.csv")
    declared = write(
        ProposalRequest([log], [f"{tmp_path}/business.csv=shop"], tmp_path / "a.yaml")
    ).declaration
    [lookup] = declared.lookups
    by_hand = declared.model_copy(
        update={
            "lookups": [lookup.model_copy(update={"prefix": ""})],
            "features": {n: f for n, f in declared.features.items() if n != "business_stars"},
        }
    )
    [note] = file_notes(by_hand, str(tmp_path))
    assert note.startswith("stars of business.csv: the log has a column of that name, and it is the one read")
    assert file_notes(declared, str(tmp_path)) == []


def read_after_ingest(declaration: Declaration, data: Path) -> list[dict[str, list[object]]]:
    run_ingest(declaration, data, data / "out")
    return read_examples(data / "out", "train")


def test_odd_names_survive(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    odd = {
        "": np.arange(3000),
        "größe (cm)": rng.normal(170, 10, 3000),
        "yes": rng.integers(0, 5, 3000),
        "123": rng.integers(0, 5, 3000),
        "a: b #c": rng.choice(["x", "y"], 3000),
        "local_time_ms": rng.integers(0, 5, 3000),
    }
    path = csv_log(tmp_path, columns(**odd), "one\nlabel: two.csv")
    written = write(ProposalRequest([path], output=tmp_path / "a.yaml"))
    assert {"größe (cm)", "yes", "123", "a: b #c"} <= set(written.declaration.features)
    assert {"", "local_time_ms"}.isdisjoint(written.declaration.features)
    assert "the name is reserved" in written.text
    assert run_ingest(written.declaration, tmp_path, tmp_path / "out")["rejected"] == 0


def test_parquet_lists(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(columns()).with_columns(
        pl.Series("tags", [[f"t{v}" for v in rng.choice(9, n % 4, replace=False)] for n in range(3000)]),
        pl.Series("vector", [[0.5, 1.0]] * 3000),
    )
    frame.write_parquet(tmp_path / "log.parquet")
    written = write(ProposalRequest([tmp_path / "log.parquet"], output=tmp_path / "a.yaml"))
    assert written.declaration.features["tags"].is_list
    assert "vector" not in written.declaration.features
    assert {
        len(row["tags"]) for row in read_after_ingest(written.declaration, tmp_path) if "tags" in row
    } == {1, 2, 3}


@pytest.mark.parametrize("nothing", [[], [None], [""], None])
def test_lists_without_values_are_missing_in_the_schema_as_they_are_in_examples(
    tmp_path: Path, nothing: list[str | None] | None
) -> None:
    rng = np.random.default_rng(0)
    tags = [nothing if n % 4 == 0 else [f"t{v}" for v in rng.choice(9, 2)] for n in range(3000)]
    frame = pl.DataFrame(columns(), strict=False).with_columns(pl.Series("tags", tags, pl.List(pl.String)))
    frame.write_parquet(tmp_path / "log.parquet")
    written = write(ProposalRequest([tmp_path / "log.parquet"], output=tmp_path / "a.yaml"))
    result = check(written.declaration, tmp_path)
    assert [finding.found for finding in result.findings if finding.topic == "schema"] == [
        "the examples fit a.pbtxt"
    ]


def test_many_files_become_a_pattern(tmp_path: Path) -> None:
    whole = pl.DataFrame(columns())
    for part in range(4):
        whole[part * 750 : (part + 1) * 750].write_csv(tmp_path / f"part-{part}.csv")
    written = write(ProposalRequest(sorted(tmp_path.glob("part-*.csv")), output=tmp_path / "a.yaml"))
    assert written.declaration.impressions.files == ["part-*.csv"]
    assert written.proposal.rows == 3000


def test_lines_of_a_lookup_that_cannot_be_used_are_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    log = csv_log(tmp_path, columns(customer=rng.integers(0, 2000, 3000)))
    lines = ["id,kind,note"] + [
        f'{n:04},k{n % 5},"a\nb"' if n < 3 else f"{n:04},k{n % 5},c" for n in range(2000)
    ]

    def warned(lines: list[str]) -> list[str]:
        (tmp_path / "customers.csv").write_text("\n".join(lines) + "\n")
        request = ProposalRequest(
            [log], [f"{tmp_path}/customers.csv=customer:id"], tmp_path / "a.yaml", force=True
        )
        return [said for said in propose(request, None).draft.warnings if said.startswith("customers.csv")]

    assert warned(lines[:1] + lines[4:] + ["2000,k1"]) == [
        f"customers.csv: 1 of 1,998 lines cannot be used (the first is {tmp_path}/customers.csv:1999: expected 3 "
        "values, found 2): they are left out, and their keys have no row"
    ]
    [said] = warned(lines)
    assert f"6 of 2,003 lines cannot be used (the first is {tmp_path}/customers.csv:2: " in said
    assert said.endswith(
        "a run would refuse the table (max_rejected_share is 0.001): mend them, or give it as Parquet"
    )
