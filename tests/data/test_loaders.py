"""Loaders of all splits, of our own data sets and of others'."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import BatchSampler, RandomSampler, SubsetRandomSampler, TensorDataset, WeightedRandomSampler
from torch.utils.data import DataLoader as TorchLoader

from laminar.core.errors import ConfigError, DataError
from laminar.core.types import TensorCategory, TensorFloat, TensorImage
from laminar.data.datasets import Datasets
from laminar.data.labels import parent_label
from laminar.data.lists import TfmdLists
from laminar.data.loader import DataLoader
from laminar.data.loaders import DataLoaders
from laminar.data.normalize import Normalize
from laminar.data.outputs import get_c
from laminar.data.transforms import Categorize, Getter, IntToFloatTensor, RegressionSetup

FILES = [Path(f"train/{kind}/{i}.jpg") for i in range(5) for kind in "ab"]


def open_picture(file: Path | str | bytes | np.ndarray) -> TensorImage:
    value = (
        torch.as_tensor(file)
        if isinstance(file, np.ndarray)
        else torch.full((3, 4, 4), len(str(file)), dtype=torch.uint8)
    )
    return TensorImage(value)


def picture_loaders(**options: Any) -> DataLoaders:
    steps = [[open_picture], [Getter(parent_label, "get_y"), Categorize()]]
    dsets = Datasets(FILES, steps, splits=[list(range(8)), [8, 9]])
    return dsets.dataloaders(**{"bs": 4, "device": "cpu", "after_batch": [IntToFloatTensor()], **options})


def test_training_is_shuffled_and_whole_batches_only_and_validation_in_order() -> None:
    dls = Datasets(list(range(10)), [[float]], splits=[list(range(7)), [7, 8, 9]]).dataloaders(bs=2, device="cpu")
    assert len(dls.train) == 3
    assert torch.cat([batch[0] for batch in dls.valid]).tolist() == [7, 8, 9]
    orders = [torch.cat([batch[0] for batch in dls.train]).tolist() for _ in range(2)]
    assert orders[0] != orders[1]


def test_few_items_make_one_incomplete_batch_rather_than_none() -> None:
    dls = Datasets([1, 2, 3], [[float]], splits=[[0, 1], [2]]).dataloaders(bs=64, device="cpu")
    assert len(dls.train) == 1
    with pytest.raises(ConfigError, match=r"there are 2 items, a batch takes bs=64, and drop_last=True"):
        Datasets([1, 2, 3], [[float]], splits=[[0, 1], [2]]).dataloaders(bs=64, drop_last=True, device="cpu")


def test_each_loader_has_its_own_settings() -> None:
    dls = picture_loaders(val_bs=1, dl_kwargs=[{"n": 4}, {"shuffle": True}], num_workers=0)
    assert [loader.bs for loader in dls.loaders] == [4, 1]
    assert dls.train.n_items == 4
    assert dls.valid.shuffle
    assert dls.train.num_workers == 0


def test_splits_share_transforms_but_never_a_pipeline() -> None:
    dls = picture_loaders()
    assert dls.train.after_batch is not dls.valid.after_batch
    assert dls.train.after_batch.transforms == dls.valid.after_batch.transforms
    assert (dls.train.after_batch.split_idx, dls.valid.after_batch.split_idx) == (0, 1)


def test_what_training_batches_teach_a_transform_holds_for_validation() -> None:
    dls = picture_loaders(after_batch=[IntToFloatTensor(), Normalize()])
    assert dls.valid.after_batch.find(Normalize).mean is dls.train.after_batch.find(Normalize).mean


def test_loaders_know_classes_outputs_and_types() -> None:
    dls = picture_loaders()
    assert (dls.vocab, dls.c, dls.n_inp, dls.target_types) == (["a", "b"], 2, 1, (TensorCategory,))
    assert len(dls.train_ds) == 8
    assert len(dls.valid_ds) == 2
    regression = Datasets([1, 2, 3], [[float], [lambda x: (x, x), RegressionSetup()]], splits=[[0, 1], [2]])
    dls = regression.dataloaders(bs=1, device="cpu")
    assert (get_c(dls), dls.target_types) == (2, (TensorFloat,))


def test_outputs_that_nobody_counts_are_asked_for() -> None:
    with pytest.raises(ConfigError, match="pass n_out="):
        get_c(DataLoaders([torch.zeros(1)], device="cpu"))


def test_a_list_makes_loaders_too() -> None:
    dls = TfmdLists([1, 2, 3], float, splits=[[0, 1], [2]]).dataloaders(bs=1, device="cpu")
    assert dls.valid.one_batch().tolist() == [3.0]


def test_without_splits_there_is_no_validation_and_asking_for_it_explains() -> None:
    dls = Datasets([1, 2, 3], [[float]]).dataloaders(bs=1, device="cpu")
    assert len(dls) == 1
    with pytest.raises(DataError, match=r"there is no loader validation: .*splitter=RandomSplitter"):
        _ = dls.valid


def test_with_tfms_gives_new_loaders_and_leaves_the_old() -> None:
    dls = picture_loaders()
    one, other = (dls.with_tfms(Normalize.from_stats([m] * 3, [1.0] * 3)) for m in (0.0, 1.0))
    assert dls.train.after_batch.find(Normalize) is None
    value = float(dls.valid.one_batch()[0].mean())
    assert float(one.valid.one_batch()[0].mean()) == pytest.approx(value)
    assert float(other.valid.one_batch()[0].mean()) == pytest.approx(value - 1)
    assert one.train_ds is dls.train_ds
    assert type(one.valid.decode_batch(one.valid.one_batch())[0][0]) is TensorImage


def test_with_tfms_lets_the_new_transforms_learn() -> None:
    measured = picture_loaders().with_tfms(Normalize())
    assert measured.train.after_batch.find(Normalize).mean.shape == (1, 3, 1, 1)
    assert abs(float(measured.one_batch()[0].mean())) < 1


def test_add_tfms_changes_these_loaders() -> None:
    dls = picture_loaders()
    dls.add_tfms([Normalize.from_stats([0.0] * 3, [1.0] * 3)], loaders=[1])
    assert dls.train.after_batch.find(Normalize) is None
    assert dls.valid.after_batch.find(Normalize) is not None
    with pytest.raises(ConfigError, match="event is one of"):
        dls.add_tfms([], event="after_everything")


def test_test_dl_takes_items_of_every_kind() -> None:
    dls = picture_loaders()
    array = np.full((3, 4, 4), 51, dtype=np.uint8)
    loader = dls.test_dl(
        [Path("x.jpg"), "x.jpg", b"123", array, TensorImage(torch.full((3, 4, 4), 102, dtype=torch.uint8))], bs=5
    )
    (pictures,) = loader.one_batch()
    assert type(pictures) is TensorImage
    assert pictures.shape == (5, 3, 4, 4)
    assert pictures[3].max() == pytest.approx(0.2)
    assert (loader.bs, loader.num_workers, loader.shuffle) == (5, 0, False)


def test_test_dl_with_labels_gives_them() -> None:
    loader = picture_loaders().test_dl([Path("test/b/1.jpg"), Path("test/a/1.jpg")], with_labels=True, bs=2)
    assert loader.one_batch()[1].tolist() == [1, 0]


def test_test_dl_takes_rows_of_a_data_frame() -> None:
    table = pd.DataFrame({"name": ["a", "bb"], "label": ["x", "y"]})
    steps = [
        [Getter(lambda row: Path(row["name"]), "get_x"), open_picture],
        [Getter(lambda row: row.label), Categorize()],
    ]
    dls = Datasets(table, steps, splits=[[0], [1]]).dataloaders(bs=1, check=False, device="cpu")
    (pictures,) = dls.test_dl(table.iloc[:2], bs=2).one_batch()
    assert pictures[:, 0, 0, 0].tolist() == [1, 2]


def test_emptied_loaders_still_make_batches_of_new_items() -> None:
    empty = picture_loaders().new_empty()
    assert [len(loader) for loader in empty.loaders] == [0, 0]
    assert empty.test_dl(["x.jpg"]).one_batch()[0].shape == (1, 3, 4, 4)
    assert empty.target_types == (TensorCategory,)
    assert empty.vocab == ["a", "b"]


@pytest.mark.parametrize(
    "call",
    [
        lambda **k: picture_loaders(**k),
        lambda **k: DataLoaders.from_dsets([1, 2], [3], **k),
        lambda **k: TfmdLists([1, 2], float).dataloaders(**k),
    ],
)
def test_a_misspelt_keyword_is_an_error_with_the_nearest(call: Any) -> None:
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'shuffel'. Did you mean 'shuffle'\?"):
        call(shuffel=True)


def test_loaders_of_plain_data_sets() -> None:
    data = TensorDataset(torch.arange(6.0)[:, None], torch.arange(6))
    dls = DataLoaders.from_dsets(data, data, bs=3, device="cpu")
    assert torch.cat([y for _, y in dls.valid]).tolist() == list(range(6))
    assert sorted(torch.cat([y for _, y in dls.train]).tolist()) == list(range(6))
    assert dls.n_inp == 1


# ---- batches that come from elsewhere


class Stream:
    """Batches without a length."""

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return iter([(torch.zeros(2, 3), torch.tensor([0, 1])), (torch.ones(2, 3), torch.tensor([1, 1]))])


def torch_loaders(**options: Any) -> DataLoaders:
    data = TensorDataset(torch.rand(6, 3, 4, 4), torch.tensor([0, 1, 1, 0, 1, 0]))
    return DataLoaders(
        TorchLoader(data, batch_size=4, shuffle=True), TorchLoader(data, batch_size=4), device="cpu", **options
    )


@pytest.mark.parametrize("source", [Stream(), list(Stream())])
def test_any_iterable_of_batches_will_do(source: Any) -> None:
    dls = DataLoaders(source, source, device="cpu")
    assert [y.tolist() for _, y in dls.train] == [[0, 1], [1, 1]]
    assert [y.tolist() for _, y in dls.train] == [[0, 1], [1, 1]]
    assert dls.one_batch()[0].shape == (2, 3)
    assert (dls.n_inp, dls.target_types) == (1, (torch.Tensor,))


def test_the_length_of_a_stream_is_not_known() -> None:
    assert len(DataLoaders([1, 2], device="cpu").train) == 2
    with pytest.raises(TypeError, match="Stream does not know how many batches it has"):
        len(DataLoaders(Stream(), device="cpu").train)


def test_batches_are_moved_to_the_device() -> None:
    dls = DataLoaders(list(Stream()), device="meta")
    assert next(iter(dls.train))[0].device.type == "meta"


def test_what_can_be_gone_through_once_is_refused() -> None:
    with pytest.raises(ConfigError, match="a generator can be gone through only once"):
        DataLoaders(batch for batch in Stream())


def test_batches_without_types_say_how_to_give_them() -> None:
    dls = torch_loaders()
    with pytest.raises(ConfigError, match=r"cannot decode or show .*types=\(TensorImage, TensorCategory\)"):
        dls.show_batch()
    with pytest.raises(ConfigError, match="nothing says what their parts mean"):
        dls.add_tfms(Normalize())


def test_batches_with_types_are_decoded_shown_and_transformed() -> None:
    dls = torch_loaders(types=(TensorImage, TensorCategory), vocab=["cat", "dog"])
    samples = dls.valid.decode_batch(dls.valid.one_batch())
    assert [str(label) for _, label in samples] == ["cat", "dog", "dog", "cat"]
    assert dls.target_types == (TensorCategory,)
    assert dls.c == 2
    dls.show_batch(max_n=2)
    dls.valid.show_results(dls.valid.one_batch(), torch.tensor([0, 0, 1, 1]), max_n=2)
    normalised = dls.with_tfms(Normalize.from_stats([1.0] * 3, [1.0] * 3))
    assert float(normalised.valid.one_batch()[0].max()) <= 0
    assert float(dls.valid.one_batch()[0].max()) > 0


def test_a_torch_loader_is_put_in_order_for_predictions() -> None:
    dls = torch_loaders()
    labels = torch.cat([y for _, y in dls.train.eval_loader()])
    assert labels.tolist() == [0, 1, 1, 0, 1, 0]


TEN = TensorDataset(torch.arange(10))


def items_of(loader: Any) -> list[list[int]]:
    return [(batch[0] if isinstance(batch, list | tuple) else batch).tolist() for batch in loader]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"batch_size": 4, "sampler": SubsetRandomSampler([7, 2, 5, 3, 9])}, [[2, 3, 5, 7], [9]]),
        ({"batch_size": 4, "sampler": WeightedRandomSampler([1.0] * 10, 10)}, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]),
        ({"batch_sampler": [[8, 1], [4], [6, 0]]}, [[0, 1], [4, 6], [8]]),
        ({"batch_sampler": BatchSampler(RandomSampler(range(10)), 5, True)}, [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]),
        ({"batch_size": None, "shuffle": True}, [*range(10)]),
    ],
)
def test_predictions_see_the_items_that_a_torch_loader_chose_in_order(options: dict, expected: list) -> None:
    dls = DataLoaders(TorchLoader(TEN, **options), device="cpu")
    before = torch.get_rng_state()
    assert items_of(dls.train.eval_loader()) == expected
    assert torch.equal(before, torch.get_rng_state())


def test_predictions_see_the_items_that_a_sampler_of_a_loader_of_ours_chose() -> None:
    def items(sampler: Any) -> list[list[int]]:
        return items_of(DataLoader(range(10), 4, sampler=sampler).eval_loader())

    assert items([9, 2, 5]) == [[2, 5, 9]]
    assert items(SubsetRandomSampler([7, 3])) == [[3, 7]]
    assert items([1, 1, 2]) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def announce(worker: int) -> None:
    Path(f"worker-{worker}").touch()


def test_a_torch_loader_keeps_its_workers_beginning_when_put_in_order() -> None:
    dls = DataLoaders(TorchLoader(TEN, batch_size=5, num_workers=1, worker_init_fn=announce), device="cpu")
    list(dls.train.eval_loader())
    assert Path("worker-0").exists()


def test_with_tfms_keeps_the_class_and_what_was_set() -> None:
    class Loaders(DataLoaders):
        pass

    dls = Loaders([(TensorImage(torch.rand(2, 3, 4, 4)), torch.tensor([0, 1]))], types=(TensorImage, TensorCategory))
    dls.loss_func = torch.nn.functional.nll_loss
    other = dls.with_tfms(Normalize.from_stats([0.5] * 3, [0.5] * 3))
    assert type(other) is Loaders
    assert other.loss_func is dls.loss_func
    assert other.train is not dls.train


def test_loaders_that_are_given_are_not_sent_elsewhere() -> None:
    ours, theirs = DataLoader(range(4), 2, device="cpu"), DataLoaders([torch.zeros(2)], device="cpu").train
    dls = DataLoaders(ours, theirs, device="meta")
    assert [loader.one_batch().device.type for loader in dls.loaders] == ["meta", "meta"]
    assert [loader.one_batch().device.type for loader in (ours, theirs)] == ["cpu", "cpu"]
    assert DataLoaders(ours).train is ours


def test_a_plain_data_set_cannot_make_new_items() -> None:
    data = TensorDataset(torch.zeros(4, 1))
    with pytest.raises(ConfigError, match="TensorDataset cannot make new items"):
        DataLoaders.from_dsets(data, data, bs=2, device="cpu").test_dl([1])


def test_test_dl_of_foreign_loaders_takes_batches() -> None:
    assert len(list(DataLoaders(Stream(), device="cpu").test_dl([torch.zeros(1)]))) == 1


def test_dict_batches_pass() -> None:
    dls = DataLoaders([{"x": torch.zeros(2)}], device="cpu")
    assert dls.one_batch()["x"].shape == (2,)
    assert dls.train.types == (dict,)


def test_loaders_of_ours_keep_their_device_and_can_be_sent_elsewhere() -> None:
    dls = DataLoaders(DataLoader(range(4), 2, device="cpu"), DataLoader(range(4), 2))
    assert dls.device == torch.device("cpu")
    assert dls.to("meta").train.one_batch().device.type == "meta"
    assert dls.cpu().train.one_batch().device.type == "cpu"


def test_data_sets_whose_items_are_batches_need_no_batch_size() -> None:
    batches = [torch.arange(4.0) + number for number in range(5)]
    dsets = Datasets(batches, [[float_of], [float_of]], splits=[[0, 1, 2], [3, 4]])
    dls = dsets.dataloaders(bs=None)
    assert sorted(float(x[0]) for x, _ in dls.train) == [0.0, 1.0, 2.0]
    assert [x.shape for x, _ in dls.valid] == [(4,), (4,)]


def float_of(x: torch.Tensor) -> torch.Tensor:
    return x


def test_classes_can_be_given_other_names() -> None:
    items = Datasets(list("abab"), [[str.upper], [str.upper, Categorize()]], splits=[[0, 1], [2, 3]])
    dls = items.dataloaders(bs=2, device="cpu")
    dls.vocab = ["anchor", "bell"]
    assert dls.vocab == dls.valid.vocab == dls.train.new().vocab == ["anchor", "bell"]
    with pytest.raises(ConfigError, match="3 names were given for 2 classes"):
        dls.vocab = ["a", "b", "c"]


def test_new_items_begin_where_they_are_told() -> None:
    dls = TfmdLists([1, 2, 3], [lambda x: x * 10, lambda x: x + 1], splits=[[0, 1], [2]]).dataloaders(
        bs=2, device="cpu"
    )
    assert dls.test_dl([5]).one_batch().tolist() == [51]
    assert dls.test_dl([5], rm_type_tfms=1).one_batch().tolist() == [6]
    assert dls.test_dl([5], rm_type_tfms=1).eval_loader().one_batch().tolist() == [6]


def test_a_tuple_is_taken_for_the_list_that_items_are() -> None:
    dls = TfmdLists([[1, 2], [3, 4], [5, 6]], [sum], splits=[[0, 1], [2]]).dataloaders(bs=2, device="cpu")
    assert dls.test_dl([(5, 6)]).one_batch().tolist() == [11]
