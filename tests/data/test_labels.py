"""Getting labels out of items."""

from collections import namedtuple
from pathlib import Path

import pandas as pd
import pytest

from laminar.core.errors import ConfigError, DataError
from laminar.core.rebuilding import from_recipe
from laminar.core.recipe import to_recipe
from laminar.data.labels import AttrGetter, ColReader, ItemGetter, RegexLabeller, parent_label


def test_parent_label_is_the_name_of_the_folder() -> None:
    assert parent_label(Path("train/hat/1.jpg")) == "hat"
    assert parent_label("train/hat/1.jpg") == "hat"


def test_regex_labeller_searches_anywhere_or_matches_from_the_beginning() -> None:
    assert RegexLabeller(r"/([^/]+)_\d+.jpg$")(Path("pets/great_dane_12.jpg")) == "great_dane"
    assert RegexLabeller(r"(\w+)/", match=True)("pets/x_1.jpg") == "pets"


def test_regex_labeller_names_path_and_pattern_that_does_not_match() -> None:
    with pytest.raises(DataError, match=r"the pattern '\(.\)_1' does not match the path 'pets/2.jpg'"):
        RegexLabeller("(.)_1")(Path("pets/2.jpg"))


def test_regex_labeller_needs_a_group() -> None:
    with pytest.raises(ConfigError, match="has no group"):
        RegexLabeller("abc")


def test_col_reader_reads_rows_of_every_kind() -> None:
    row = pd.DataFrame({"name": ["a"], "tags": ["x y"]}).iloc[0]
    pair = namedtuple("Pair", ["name", "tags"])("a", "x y")
    for kind in (row, pair, {"name": "a", "tags": "x y"}):
        assert ColReader("name", pref="p/", suff=".jpg")(kind) == "p/a.jpg"
        assert ColReader("tags", label_delim=" ")(kind) == ["x", "y"]
        assert ColReader(["name", "tags"])(kind) == ["a", "x y"]
        assert ColReader(1)(kind) == "x y"
    assert ColReader("name", pref=Path("folder"))(row) == str(Path("folder/a"))


@pytest.mark.parametrize("empty", ["", None, float("nan")])
def test_col_reader_takes_an_empty_cell_as_no_labels(empty: object) -> None:
    assert ColReader("tags", label_delim=" ")({"tags": empty}) == []


def test_col_reader_names_the_nearest_column() -> None:
    with pytest.raises(DataError, match=r"there is no 'lable' .*Did you mean 'label'\? It has: label, file"):
        ColReader("lable")({"label": 1, "file": 2})


def test_item_and_attr_getters_take_a_tuple_whole() -> None:
    assert ItemGetter(1)(("a", ("b", "c"))) == ("b", "c")
    assert AttrGetter("stem")(Path("x/y.jpg")) == "y"
    assert AttrGetter("nothing", default=0)(Path("x")) == 0


def test_labellers_can_be_written_as_data() -> None:
    for labeller in (
        RegexLabeller("(.)x", match=True),
        ColReader(["a"], suff=".jpg"),
        ItemGetter(2),
        AttrGetter("n", 1),
    ):
        again = from_recipe(to_recipe(labeller, {}), {})
        assert repr(again) == repr(labeller)
        assert {**vars(again), "_found": None} == {**vars(labeller), "_found": None}
