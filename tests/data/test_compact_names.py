"""Many names in little memory, the same in the process that trains and in its workers."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laminar.data import DataLoader, Datasets
from laminar.data.compact_names import CompactNames, compacted

NAMES = st.lists(st.text(st.characters(min_codepoint=1), max_size=6), max_size=8)


@given(NAMES)
def test_names_come_back_as_they_were(names: list[str]) -> None:
    compact = pickle.loads(pickle.dumps(CompactNames(names)))
    assert list(compact) == names
    assert compact[1:] == names[1:]
    assert [compact[-1 - i] for i in range(len(names))] == names[::-1]


def test_names_that_are_no_valid_text_and_paths_come_back_too() -> None:
    assert list(CompactNames(["a\udcff", "é", "😀"])) == ["a\udcff", "é", "😀"]
    paths = [Path("a/b.jpg"), Path(), Path("/c")]
    assert list(CompactNames(paths)) == paths


def test_there_are_no_more_names_than_there_were() -> None:
    with pytest.raises(IndexError, match="number 2 of 2"):
        CompactNames(["a", "b"])[2]


def test_a_name_takes_its_characters_and_eight_bytes() -> None:
    names = [f"{i:08}.jpg" for i in range(10_000)]
    assert CompactNames(names).nbytes == 10_000 * (12 + 8) + 8


@pytest.mark.parametrize("items", [["a"] * 10, ["a"] * 1000 + [1], [1] * 2000, ("a",) * 2000])
def test_short_and_mixed_lists_stay_as_they_are(items: Any) -> None:
    assert compacted(items) is items


def test_workers_get_compact_names_once_for_all_members_and_the_data_set_keeps_its_list() -> None:
    files = [Path(f"{i % 3}/{i}.jpg") for i in range(2000)]
    sets = Datasets(files, [[str], [lambda file: int(file.parent.name)]], splits=[range(1500), range(1500, 2000)])
    compact = sets.train.for_workers()
    assert isinstance(compact.items, CompactNames)
    assert compact.tls[0].items is compact.tls[1].items
    assert isinstance(sets.items, list)
    assert list(compact) == list(sets.train)
    with_workers, without = (DataLoader(sets.train, 500, num_workers=n, split_idx=0) for n in (1, 0))
    assert [batch[0] for batch in with_workers] == [batch[0] for batch in without]
    assert len(pickle.dumps(compact.items)) < len(pickle.dumps(list(map(str, files[:1500])))) * 1.5
