import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from laminar.callbacks import Callback, GradientAccumulation, ParamScheduler, SchedLin, ShortEpochCallback
from laminar.callbacks.progress import RowPrinter
from laminar.core.errors import ConfigError, DataError
from laminar.data import DataLoaders
from laminar.learner import Batches, Learner, Minutes
from laminar.learner.course import course_of


class Watch(Callback):
    """What happened in a fit."""

    order = 55

    def before_fit(self) -> None:
        self.seen, self.validated, self.last, self.progress = 0, [], [], []

    def before_batch(self) -> None:
        if self.training:
            self.progress.append(self.pct_train)

    def after_batch(self) -> None:
        if self.training:
            self.seen += 1
            self.last.append(self.is_last_batch)

    def before_validate(self) -> None:
        self.validated.append(self.seen)


@pytest.mark.parametrize(
    ("length", "validated"),
    [(Batches(3), [3]), (Batches(10), [10]), (Batches(4), [4]), (Batches(10, every=4), [4, 8, 10])],
)
def test_a_fit_over_batches_trains_on_so_many_and_validates_at_the_end(make_learner, length, validated) -> None:
    learn = make_learner(cbs=Watch)
    learn.fit(length)
    assert learn.watch.seen == length.n == len(learn.recorder.lrs)
    assert learn.watch.validated == validated
    assert [number + 1 for number, last in enumerate(learn.watch.last) if last] == validated
    assert len(learn.recorder.values) == len(validated)
    assert learn.watch.progress == pytest.approx([number / length.n for number in range(length.n)])


def test_epochs_of_the_loader_go_on_where_the_validation_came_between(make_learner, toys, tmp_path) -> None:
    learn = make_learner()
    seen: list[torch.Tensor] = []
    note = Callback(before_batch=lambda cb: seen.append(cb.x) if cb.training else None)
    learn.fit(Batches(8, every=3), cbs=note)
    for given_, batch in zip(seen, [*learn.dls[0], *learn.dls[0]], strict=True):
        assert torch.equal(given_, batch[0])
    assert learn.dls[0].epochs == 2 + 2  # in the fit, and in this test


def test_as_many_batches_as_two_epochs_have_are_two_epochs(make_learner) -> None:
    by_epochs, by_batches = make_learner(), make_learner()
    by_epochs.fit_one_cycle(2, 1e-2)
    by_batches.fit_one_cycle(Batches(8, every=4), 1e-2)
    assert by_epochs.recorder.lrs == by_batches.recorder.lrs
    assert by_epochs.recorder.values == by_batches.recorder.values
    for one, other in zip(by_epochs.model.parameters(), by_batches.model.parameters(), strict=True):
        assert torch.equal(one, other)
    again = make_learner()
    again.fit_one_cycle(Batches(8, every=4), 1e-2, start_epoch=1)
    assert again.recorder.lrs == by_epochs.recorder.lrs[4:]


def test_accumulation_steps_at_the_end_of_the_batches(make_learner) -> None:
    steps: list[int] = []
    learn = make_learner(cbs=[GradientAccumulation(48), Callback(before_step=lambda cb: steps.append(cb.train_iter))])
    learn.fit(Batches(7))
    assert steps == [2, 5, 6]


def test_every_recipe_takes_batches_and_a_schedule_needs_no_length_then(make_learner, toys, tmp_path) -> None:
    class Stream:
        def __iter__(self):
            return iter(toys.batches(32, 16))

    learn = make_learner(dls=toys.Loaders([Stream()], tmp_path), splitter=toys.halves, cbs=Watch)
    learn.fit_one_cycle(Batches(5), 1e-2, pct_start=0.4)
    assert learn.recorder.lrs.index(max(learn.recorder.lrs)) == 2
    learn.fit_flat_cos(Batches(5), 1e-2)
    assert learn.watch.seen == 5
    learn.fine_tune(Batches(3), freeze_epochs=Batches(2))
    assert learn.watch.seen == 3
    assert learn.runs[-1].call == "fine_tune(Batches(3), freeze_epochs=Batches(2))"


def test_a_loader_that_can_be_read_once_is_told(make_learner, toys, tmp_path) -> None:
    learn = make_learner(dls=toys.Loaders([iter(toys.batches(32, 16))], tmp_path), check=False)
    with pytest.raises(DataError, match="gave 2 batches and, read once more, none"):
        learn.fit(Batches(5))


def test_the_rest_of_a_stretch_that_was_left_is_not_caught_up(make_learner) -> None:
    learn = make_learner(cbs=[ShortEpochCallback(0.5), Watch])
    learn.fit(Batches(8, every=4))
    assert learn.watch.validated == [2, 4]


def slowly(cb: Callback) -> None:
    if cb.training:
        time.sleep(0.01)


def test_a_fit_for_a_time_ends_with_it_and_schedules_run_over_it(make_learner) -> None:
    learn = make_learner(cbs=[Watch, Callback(after_pred=slowly)], n=32)
    began = time.perf_counter()
    learn.fit(Minutes(0.3 / 60), cbs=ParamScheduler({"lr": SchedLin(0, 1)}))
    assert 0.2 < time.perf_counter() - began < 3
    watch = learn.watch
    assert 3 <= watch.seen <= 30
    assert watch.validated == [watch.seen]
    assert watch.last == [False] * (watch.seen - 1) + [True]
    assert learn.recorder.lrs == sorted(learn.recorder.lrs)
    assert learn.recorder.lrs[0] < 0.2
    assert learn.recorder.lrs[-1] > 0.6
    assert watch.progress == pytest.approx(learn.recorder.lrs, abs=0.1)


def test_a_time_may_have_several_validations_and_none_of_them_prolongs_it(make_learner) -> None:
    learn = make_learner(cbs=[Watch, Callback(after_pred=slowly)])
    learn.fit(Minutes(0.3 / 60, every=0.1 / 60))
    assert len(learn.watch.validated) in (2, 3)
    assert learn.watch.validated[0] < learn.watch.validated[-1] == learn.watch.seen
    learn = make_learner(cbs=[Watch, Callback(before_validate=lambda cb: time.sleep(0.2))])
    learn.fit(Minutes(0.1 / 60, every=0.01 / 60))
    assert len(learn.watch.validated) == 1


def test_a_step_is_made_of_what_was_accumulated_when_time_is_over(make_learner) -> None:
    steps: list[int] = []
    note = Callback(before_step=lambda cb: steps.append(cb.train_iter), after_pred=slowly)
    learn = make_learner(cbs=[GradientAccumulation(10_000), note, Watch])
    learn.fit(Minutes(0.05 / 60))
    assert steps == [learn.watch.seen - 1]


def test_the_bar_of_a_time_goes_to_a_hundred(make_learner, monkeypatch, capsys) -> None:
    monkeypatch.setattr("laminar.callbacks.progress._has_display", lambda: True)
    learn = make_learner(cbs=Callback(after_pred=slowly))
    learn.logger = RowPrinter()
    learn.fit(Minutes(0.05 / 60))
    assert "100/100" in capsys.readouterr().out
    learn.fit(Batches(7))
    assert "7/7" in capsys.readouterr().out


@given(st.integers(1, 200), st.integers(1, 200))
def test_stretches_add_up_to_the_batches(n: int, every: int) -> None:
    course = course_of(Batches(n, every))
    lengths = [course.n_iter(None, epoch) for epoch in course.epochs(0)]
    assert sum(lengths) == n
    assert set(lengths[:-1]) <= {every}
    assert 1 <= lengths[-1] <= every
    assert [course.n_before(None, epoch) for epoch in course.epochs(0)] == [every * i for i in range(len(lengths))]
    assert course.progress(course.n_epoch - 1, lengths[-1], lengths[-1]) == 1


def test_lengths_that_are_none_are_told(make_learner) -> None:
    with pytest.raises(ConfigError, match=r"Batches\(n=0\): a whole number"):
        Batches(0)
    with pytest.raises(ConfigError, match=r"Batches\(every=2.5\)"):
        Batches(4, 2.5)
    with pytest.raises(ConfigError, match=r"Minutes\(minutes=-1\): a number above 0"):
        Minutes(-1)
    with pytest.raises(ConfigError, match=r"whole number of epochs, 0 or more, got .*Batches\(1000\), Minutes\(10\)"):
        make_learner().fit(2.5)
    with pytest.raises(ConfigError, match="start_epoch=2 must be from 0 to n_epoch=1"):
        make_learner().fit(Batches(8), start_epoch=2)


class Mistaken:
    """A loader of three batches whose length is another."""

    def __init__(self, says: int) -> None:
        self.says = says

    def __len__(self) -> int:
        return self.says

    def __iter__(self):
        return iter([(torch.rand(4, 3), torch.rand(4, 1))] * 3)


@pytest.mark.parametrize("says", [2, 8])
def test_a_loader_that_gives_another_number_of_batches_than_it_says_is_warned_of(says) -> None:
    learn = Learner(DataLoaders(Mistaken(says)), nn.Linear(3, 1), nn.MSELoss(), check=False)
    with pytest.warns(UserWarning, match=rf"says len\(\) = {says} batches and gave 3: .* Mend its length"):
        learn.fit(1)
    assert len(learn.recorder.losses) == 3


def test_a_loader_that_gives_what_it_says_is_not_warned_of() -> None:
    Learner(DataLoaders(Mistaken(3)), nn.Linear(3, 1), nn.MSELoss()).fit(2)
