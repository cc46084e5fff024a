"""Loaders: addressed randomness, workers, errors."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import RandomSampler, TensorDataset

from laminar.core.errors import ConfigError, DataError
from laminar.core.random import rand_per_item
from laminar.core.transform import RandTransform, Transform
from laminar.core.types import TensorCategory, TensorImage
from laminar.data.datasets import Datasets
from laminar.data.fetching import SkipItemException
from laminar.data.lists import TfmdLists
from laminar.data.loader import DataLoader, TfmdDL
from laminar.data.normalize import Normalize
from laminar.data.transforms import Categorize, IntToFloatTensor


class Noisy(Transform):
    """Draws from all three global generators, as users' transforms do."""

    def encodes(self, x: torch.Tensor) -> torch.Tensor:
        return x + random.random() + np.random.rand() + torch.rand(1)


class BatchNoise(RandTransform):
    def encodes(self, x: torch.Tensor) -> torch.Tensor:
        return x + rand_per_item(len(x))[:, None]


class Doubled(Transform):
    deterministic = True

    def encodes(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2

    def decodes(self, x: torch.Tensor) -> torch.Tensor:
        return x / 2


def vectors(n: int = 10) -> list[torch.Tensor]:
    return [torch.full((2,), float(i)) for i in range(n)]


def noisy(**options: Any) -> DataLoader:
    return DataLoader(
        vectors(), **{"bs": 4, "after_item": Noisy(), "after_batch": BatchNoise(), "split_idx": 0, "seed": 7, **options}
    )


def rows(loader: Any) -> torch.Tensor:
    return torch.cat(list(loader))


def by_item(loader: DataLoader) -> dict[int, list[float]]:
    """Each item's values, whatever the order."""
    return {round(float(row[0]) // 10): row.tolist() for row in rows(loader)}


def random_states() -> tuple[Any, ...]:
    numpy_state = np.random.get_state()
    return random.getstate(), numpy_state[1].tobytes(), numpy_state[2], torch.get_rng_state().tolist()


def test_batches_are_the_same_for_0_1_and_2_workers() -> None:
    expected = [rows(loader := noisy(shuffle=True)), rows(loader)]
    for workers in (1, 2):
        for persistent in (False, True):
            loader = noisy(shuffle=True, num_workers=workers, persistent_workers=persistent)
            assert torch.equal(rows(loader), expected[0])
            assert torch.equal(rows(loader), expected[1])
    assert not torch.equal(*expected)


def test_an_item_does_not_depend_on_its_batch() -> None:
    wide = {"after_item": [lambda x: x * 10, Noisy()]}
    assert by_item(noisy(bs=4, **wide)) == by_item(noisy(bs=3, **wide)) == by_item(noisy(bs=10, **wide))


def test_item_k_alone_equals_item_k_in_its_epoch() -> None:
    loader = noisy(shuffle=True, after_batch=None, num_workers=1, sampler=None)
    epochs = [list(loader), list(loader)]
    order = DataLoader(range(10), bs=4, shuffle=True, seed=7)
    for epoch, batches in enumerate(epochs):
        order.start_at(epoch)
        for numbers, batch in zip(order, batches, strict=True):
            for number, row in zip(numbers.tolist(), batch, strict=True):
                assert torch.equal(loader.item(number, epoch), row)


def test_the_users_random_state_is_untouched() -> None:
    for workers in (0, 1):
        loader = noisy(shuffle=True, num_workers=workers)
        before = random_states()
        rows(loader)
        loader.one_batch()
        loader.item(3)
        loader.peek([1, 2])
        assert random_states() == before


def test_a_sampler_of_torch_is_addressed_too() -> None:
    before = random_states()
    loader = DataLoader(range(20), bs=20, sampler=RandomSampler(range(20)), seed=1)
    first, second = rows(loader), rows(loader)
    assert random_states() == before
    assert not torch.equal(first, second)
    loader.start_at(0)
    assert torch.equal(rows(loader), first)


def test_without_a_seed_the_seed_of_the_run_is_taken_when_an_epoch_begins() -> None:
    loader = noisy(seed=None)
    torch.manual_seed(3)
    first = rows(loader)
    loader.start_at(0)
    torch.rand(5)
    assert torch.equal(rows(loader), first)
    loader.start_at(0)
    torch.manual_seed(4)
    assert not torch.equal(rows(loader), first)


@given(epoch=st.integers(0, 3), batch=st.integers(0, 3))
def test_starting_in_the_middle_gives_what_never_stopping_gives(epoch: int, batch: int) -> None:
    straight = noisy(shuffle=True)
    all_batches = [list(straight) for _ in range(epoch + 1)][-1]
    resumed = noisy(shuffle=True)
    resumed.start_at(epoch, batch)
    rest = list(resumed)
    assert len(rest) == max(0, 3 - batch)
    assert all(map(torch.equal, rest, all_batches[batch:]))
    assert resumed.epoch == epoch + 1


def test_the_state_of_a_loader_carries_on_in_another() -> None:
    torch.manual_seed(11)
    straight, left = noisy(shuffle=True, seed=None), noisy(shuffle=True, seed=None)
    expected = [*straight, *straight]
    left.one_batch()
    got = []
    for batch in left:
        got.append(batch)
        if len(got) == 2:
            break
    state = left.state_dict()
    torch.manual_seed(99)
    resumed = noisy(shuffle=True, seed=None, num_workers=1)
    resumed.load_state_dict(state)
    got += [*resumed, *resumed]
    assert all(map(torch.equal, got, expected))
    assert len(got) == len(expected)
    left.load_state_dict(state)
    assert torch.equal(left.one_batch(), resumed.one_batch())


def test_an_epoch_left_in_the_middle_is_over() -> None:
    loader = noisy(shuffle=True)
    for _ in loader:
        break
    assert loader.epoch == 0
    second = rows(loader)
    fresh = noisy(shuffle=True)
    fresh.start_at(1)
    assert torch.equal(second, rows(fresh))
    assert loader.epoch == 2


def test_peeks_differ_repeat_themselves_and_do_not_advance_the_epoch() -> None:
    loader, again = noisy(shuffle=True, num_workers=2), noisy(shuffle=True)
    first, second = loader.one_batch(), loader.one_batch()
    assert not torch.equal(first, second)
    assert torch.equal(again.one_batch(), first)
    assert torch.equal(again.one_batch(), second)
    assert loader.epoch == 0
    assert loader._kept_workers is None


def test_random_batches_are_of_other_items_each_time_and_repeat_themselves() -> None:
    loader, again = DataLoader(range(50), bs=4), DataLoader(range(50), bs=4)
    drawn = [loader.random_batch(6).tolist() for _ in range(3)]
    assert all(len(set(batch)) == 6 for batch in drawn)
    assert len({tuple(batch) for batch in drawn}) == 3
    assert [again.random_batch(6).tolist() for _ in range(3)] == drawn
    assert loader.eval_loader().random_batch(6).tolist() not in drawn  # it counts on
    assert len(DataLoader(range(3), bs=4).random_batch(6)) == 3
    whole = DataLoader([torch.arange(4), torch.arange(4)], bs=None).random_batch(6)
    assert whole.tolist() == [0, 1, 2, 3]
    with pytest.raises(DataError, match="holds no items"):
        DataLoader([], bs=4).random_batch(6)


def test_shuffled_epochs_hold_every_item_once_in_another_order() -> None:
    loader = DataLoader(range(50), bs=7, shuffle=True)
    first, second = rows(loader).tolist(), rows(loader).tolist()
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second


def test_drop_last_n_and_sampler_decide_what_is_gone_through() -> None:
    assert [batch.tolist() for batch in DataLoader(range(5), 2, drop_last=True)] == [[0, 1], [2, 3]]
    assert rows(DataLoader(range(5), 2, n=3)).tolist() == [0, 1, 2]
    assert rows(DataLoader(range(5), 2, sampler=[4, 0])).tolist() == [4, 0]
    assert rows(DataLoader(range(5), 2, sampler=[4, 0, 1, 2], n=3)).tolist() == [4, 0, 1]
    assert sorted(rows(DataLoader(range(5), 2, n=3, shuffle=True)).tolist()) == [0, 1, 2]
    assert len(DataLoader(range(5), 2)) == 3
    assert len(DataLoader(range(5), 2, drop_last=True)) == 2


def test_num_workers_tells_the_truth() -> None:
    loader = DataLoader(range(5), num_workers=2)
    loader.one_batch()
    assert loader.num_workers == 2
    assert loader.new(num_workers=1).num_workers == 1


class Squares:
    """A data set that processes started anew can find."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.tensor(index**2)


def test_workers_can_be_spawned() -> None:
    loader = DataLoader(
        TensorDataset(torch.arange(4), torch.arange(4)), bs=2, num_workers=1, multiprocessing_context="spawn"
    )
    assert [batch[0].tolist() for batch in loader] == [[0, 1], [2, 3]]


def test_stages_can_be_replaced() -> None:
    loader = DataLoader(
        [0] * 4,
        bs=2,
        create_item=lambda index: index * 10,
        before_batch=lambda samples: sorted(samples, reverse=True),
        create_batch=lambda samples: torch.tensor(samples) + 1,
    )
    assert [batch.tolist() for batch in loader] == [[11, 1], [31, 21]]


def test_an_item_can_be_left_out_of_its_batch() -> None:
    def odd_only(x: int) -> int:
        if x % 2 == 0 or x > 5:
            raise SkipItemException
        return x

    for workers in (0, 1):
        loader = DataLoader(range(8), bs=2, after_item=odd_only, num_workers=workers)
        assert [batch.tolist() for batch in loader] == [[1], [3], [5]]
    assert loader.one_batch().tolist() == [1]


def test_in_memory_tensors_come_as_whole_batches() -> None:
    x, y = torch.arange(12).view(6, 2), np.arange(6)
    for data in (TensorDataset(x, torch.as_tensor(y)), Datasets(tls=[TfmdLists(x), TfmdLists(y)])):
        loader = DataLoader(data, bs=4)
        batches = list(loader)
        assert batches[0][0].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
        assert batches[1][1].tolist() == [4, 5]
        assert loader._fetcher_now()._whole_batches() is not None
    assert rows(DataLoader(x, bs=4)).tolist() == x.tolist()


def test_getitems_of_a_data_set_is_used() -> None:
    class Many(Squares):
        deterministic = True

        def __getitems__(self, indices: list[int]) -> list[int]:
            return [-index for index in indices]

    assert rows(DataLoader(Many(), bs=3)).tolist() == [0, -1, -2, -3]


# ---- errors


def failing(path: Path) -> int:
    if path.name == "2.jpg":
        raise KeyError("broken")
    return 1


@pytest.mark.parametrize("workers", [0, 1])
def test_an_items_error_names_split_number_file_and_transform(workers: int) -> None:
    dsets = Datasets([Path(f"{i}.jpg") for i in range(4)], [[failing]])
    loader = DataLoader(dsets, bs=2, num_workers=workers, split_idx=0)
    with pytest.raises(KeyError, match="broken") as caught:
        list(loader)
    notes = "\n".join(caught.value.__notes__)
    assert "in failing, encoding PosixPath PosixPath('2.jpg')" in notes
    assert "while making item 2 of the training split: 2.jpg" in notes
    assert ("Where it happened, in a worker process" in notes) == bool(workers)


class Unpicklable(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} and {b}")


def test_an_error_that_cannot_travel_comes_as_text() -> None:
    def fail(x: int) -> int:
        raise Unpicklable(1, 2)

    with pytest.raises(
        RuntimeError, match=r"(?s)Unpicklable in a worker process.*1 and 2.*while making item 0 of the data"
    ):
        list(DataLoader(range(3), after_item=fail, num_workers=1))


def test_a_collation_error_names_the_items_in_workers_too() -> None:
    dsets = Datasets([Path("a.jpg"), Path("b.jpg")], [[lambda path: torch.zeros(3 + (path.name == "b.jpg"))]])
    for workers in (0, 1):
        with pytest.raises(DataError, match=r"\(3,\) in a.jpg, \(4,\) in b.jpg") as caught:
            list(DataLoader(dsets, num_workers=workers))
        assert "while making a batch of 2 items" in "\n".join(caught.value.__notes__)


@pytest.mark.parametrize("call", [lambda **k: DataLoader(range(3), **k), lambda **k: DataLoader(range(3)).new(**k)])
def test_an_unknown_keyword_is_an_error_with_the_nearest(call: Any) -> None:
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'shuffel'. Did you mean 'shuffle'\?"):
        call(shuffel=True)


def test_more_items_in_a_batch_than_there_are_is_an_error_if_it_leaves_no_batch() -> None:
    with pytest.raises(ConfigError, match=r"there are 10 items, a batch takes bs=64, and drop_last=True"):
        DataLoader(range(10), bs=64, drop_last=True)
    assert len(DataLoader(range(10), bs=64)) == 1


def test_a_loader_without_items_says_so() -> None:
    with pytest.raises(DataError, match="this loader has no batch: its list holds no items"):
        DataLoader([]).one_batch()
    assert list(DataLoader([])) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bs": 0}, "bs must be at least 1"),
        ({"shuffle": True, "sampler": [0]}, "shuffle=True and a sampler"),
        ({"sampler": iter([0])}, "must have a length"),
    ],
)
def test_contradicting_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DataLoader(range(3), **options)


def test_what_holds_no_items_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="or one to be iterated over, got int"):
        DataLoader(3)


# ---- decoding, showing, relatives


def pictures(split_idx: int | None = None, **options: Any) -> DataLoader:
    dsets = Datasets(
        list(range(6)),
        [
            [lambda i: TensorImage(torch.full((3, 4, 4), i * 20, dtype=torch.uint8))],
            [lambda i: "ab"[i % 2], Categorize()],
        ],
    )
    return DataLoader(dsets, bs=4, after_batch=[IntToFloatTensor(), Normalize()], split_idx=split_idx, **options)


def test_normalize_measures_a_batch_when_nothing_is_given() -> None:
    loader = pictures()
    batch = loader.one_batch()[0]
    assert abs(float(batch.mean())) < 0.1
    assert abs(float(batch.std()) - 1) < 0.1


def test_a_batch_decodes_to_what_went_in() -> None:
    loader = pictures()
    samples = loader.decode_batch(next(iter(loader)))
    assert [str(label) for _, label in samples] == ["a", "b", "a", "b"]
    assert torch.allclose(samples[3][0], TensorImage(torch.full((3, 4, 4), 60 / 255)), atol=1e-5)
    assert len(loader.decode_batch(next(iter(loader)), max_n=2)) == 2


def test_outputs_decode_as_targets() -> None:
    loader = pictures()
    assert loader.decode_outputs(loader.one_batch(), torch.tensor([1, 1, 0, 1])) == [("b",), ("b",), ("a",), ("b",)]


def test_a_loader_knows_the_types_of_its_batches() -> None:
    loader = pictures()
    assert loader.types == (TensorImage, TensorCategory)
    assert (loader.n_inp, loader.target_types) == (1, (TensorCategory,))
    assert loader.vocab == ["a", "b"]


def test_show_batch_and_show_results_draw_every_item() -> None:
    import matplotlib.pyplot as plt

    loader = pictures()
    batch = loader.one_batch()
    loader.show_batch(batch, max_n=4)
    assert sum(bool(ax.images) for ax in plt.gcf().axes) == 4
    loader.show_results(batch, torch.tensor([0, 1, 0, 1]), max_n=4)
    assert sum(bool(ax.images) for ax in plt.gcf().axes) == 4


def test_show_batch_unique_shows_one_item_drawn_anew() -> None:
    loader = DataLoader(
        Datasets([0, 1], [[lambda i: TensorImage(torch.full((3, 4, 4), float(i)))], [str, Categorize()]]),
        after_item=lambda sample: sample,
        after_batch=BatchNoiseOnPictures(),
        split_idx=0,
    )
    _, _, samples = loader.show_batch(unique=True, max_n=3, show=False)
    assert len({float(picture.mean()) for picture, _ in samples}) == 3
    assert {str(label) for _, label in samples} == {"0"}


class BatchNoiseOnPictures(RandTransform):
    def encodes(self, x: TensorImage) -> TensorImage:
        return x + rand_per_item(len(x)).view(-1, 1, 1, 1)


def test_eval_loader_gives_all_items_in_order_with_the_transforms_of_validation() -> None:
    loader = noisy(shuffle=True, drop_last=True, after_item=None, after_batch=[Doubled(), BatchNoise()])
    expected = [[2.0 * i, 2.0 * i] for i in range(10)]
    assert rows(loader.eval_loader()).tolist() == expected
    assert rows(loader.eval_loader()).tolist() == expected
    assert loader.epoch == 0


def test_new_keeps_settings_and_changes_what_is_asked() -> None:
    loader = noisy(shuffle=True)
    other = loader.new(bs=5, shuffle=False)
    assert (other.bs, other.shuffle, other.seed) == (5, False, 7)
    assert other.after_item.transforms == loader.after_item.transforms
    assert (loader.bs, loader.shuffle) == (4, True)


def test_dicts_come_as_dicts() -> None:
    loader = DataLoader([{"x": torch.tensor([float(i)]), "y": i} for i in range(4)], bs=2)
    batch = next(iter(loader))
    assert batch["y"].tolist() == [0, 1]
    assert loader.decode_batch(batch)[1]["y"] == 1


def test_tfmd_dl_is_the_loaders_other_name() -> None:
    assert TfmdDL is DataLoader


def test_two_iterations_over_one_loader_with_kept_workers_do_not_disturb_each_other() -> None:
    loader = DataLoader(range(8), 2, num_workers=1, persistent_workers=True)
    whole = [batch.tolist() for batch in loader]
    first, second = iter(loader), iter(loader)
    next(first)
    assert [batch.tolist() for batch in second] == whole
    assert [batch.tolist() for batch in first] == whole[1:]
    assert [batch.tolist() for batch in loader] == whole


def test_the_name_that_torch_has_for_the_size_of_a_batch_is_taken_too() -> None:
    loader = DataLoader(range(6), batch_size=4)
    assert loader.bs == 4
    assert loader.new(bs=3).bs == 3


@pytest.mark.parametrize("workers", [0, 1])
def test_a_data_set_of_batches_is_given_as_it_is(workers: int) -> None:
    batches = [(torch.zeros(3, 2), torch.tensor([0, 1, 1])), (torch.ones(2, 2), torch.tensor([1, 0]))]
    loader = DataLoader(batches, bs=None, num_workers=workers, after_batch=[lambda x: x + 1])
    assert len(loader) == 2
    assert [len(x) for x, _ in loader] == [3, 2]
    assert loader.one_batch()[0].tolist() == [[1, 1]] * 3
