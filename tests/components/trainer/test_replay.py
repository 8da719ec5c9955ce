"""Rows of an earlier day say the same in today's layout: a literal reading, row by row, is the oracle."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from components.trainer.replay import TranslatedRows, read_values
from components.trainer.row_store import RowStore
from models.features import CategoricalFeature, FeatureLayout


def layout(domains, values, numeric=("age",), averages=("domain.click",)):
    return FeatureLayout(
        categorical=tuple(
            CategoricalFeature(name, 1 + len(known) + unknown, width)
            for name, known, unknown, width in (
                ("user", values["user"], 2, 1),
                ("tags", values["tags"], 0, 2),
                ("price", range(3), 0, 1),
            )
        ),
        numeric=numeric,
        averages=averages,
        history=("user.click",),
        domains=tuple(domains),
    )


def store(of: FeatureLayout, n=9, seed=0) -> RowStore:
    rng = np.random.default_rng(seed)
    ids = [rng.integers(0, f.size, (n, f.width)) for f in of.categorical]
    columns = {
        "domain": rng.integers(0, len(of.domains), n).astype(np.int32),
        "day": np.zeros(n, np.int32),
        "label": rng.integers(0, 2, n).astype(np.float32),
        "categorical": np.concatenate(ids, axis=1).astype(np.int32),
        "numeric": rng.normal(size=(n, len(of.numeric))).astype(np.float32),
        "averages": rng.normal(size=(n, len(of.averages))).astype(np.float32),
        "history": rng.normal(size=(n, len(of.domains) * len(of.history))).astype(np.float32),
    }
    return RowStore(columns, of)


def meaning(feature, known, number):
    """What an id says: its value, that there is none, or in which bucket of unknown values it is."""
    if number == 0:
        return "missing"
    if feature == "price":
        return ("bucket", number)
    return known[number - 1] if number <= len(known) else ("unknown", number - len(known) - 1)


names = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6, unique=True)


@settings(max_examples=60, deadline=None)
@given(names, names, names, names, names, names, st.integers(0, 99))
def test_every_value_says_the_same(users, tags, domains, users_now, tags_now, domains_now, seed):
    then_values, now_values = {"user": users, "tags": tags}, {"user": users_now, "tags": tags_now}
    then = layout(domains, then_values)
    now = layout(domains_now, now_values, numeric=("new", "age"), averages=("x.click", "domain.click"))
    rows = store(then, seed=seed)
    kept = np.array([domains[d] in domains_now for d in rows.domain])
    rows = rows.where(kept)
    if not len(rows):
        return
    seen = TranslatedRows(rows, then, then_values, now, now_values)
    before, after = rows.gather(np.arange(len(rows))), seen.gather(np.arange(len(rows)))
    assert [domains_now[d] for d in seen.domain] == [domains[d] for d in rows.domain]
    np.testing.assert_array_equal(after["numeric"], np.c_[np.zeros(len(rows)), before["numeric"]])
    np.testing.assert_array_equal(after["averages"], np.c_[np.zeros(len(rows)), before["averages"]])
    for n in range(len(rows)):
        for column, feature in enumerate(["user", "tags", "tags", "price"]):
            was = meaning(feature, then_values.get(feature), int(before["categorical"][n, column]))
            now_is = meaning(feature, now_values.get(feature), int(after["categorical"][n, column]))
            if feature != "price" and isinstance(was, str) and was not in (*now_values[feature], "missing"):
                assert now_is == (("unknown", 0) if feature == "user" else "missing")
            else:
                assert now_is == was
        for place, name in enumerate(domains_now):
            expected = before["history"][n, domains.index(name), 0] if name in domains else 0.0
            assert after["history"][n, place, 0] == expected


def test_indices_of_any_shape():
    of = layout("ab", {"user": ["u"], "tags": ["t"]})
    seen = TranslatedRows(store(of), of, {"user": ["u"], "tags": ["t"]}, of, {"user": ["u"], "tags": ["t"]})
    grouped = seen.gather(np.array([[0, 3], [5, 1]]))
    assert grouped["history"].shape == (2, 2, 2, 1)
    np.testing.assert_array_equal(grouped["categorical"][1, 0], seen.gather(np.array([5]))["categorical"][0])


def test_values_are_read_in_the_order_of_their_ids_whatever_is_in_them(tmp_path):
    assets = tmp_path / "transform_fn" / "assets"
    assets.mkdir(parents=True)
    (assets / "vocabulary.csv").write_text(
        'feature,id,count,value\nuser,2,4,"a,""b\n"\nuser,1,9,x\ntags,1,1,\nnone,1,1,z\n',
        encoding="utf-8",
        newline="",
    )
    of = layout("ab", {"user": ["u"], "tags": ["t"]})
    assert read_values(tmp_path, of) == {"user": ["x", 'a,"b\n'], "tags": [""]}
