import pytest
import torch

from laminar.callbacks import EVENTS, Callback, GradientClip, Recorder, before_batch_cb
from laminar.core.errors import ConfigError


def test_reading_goes_through_and_writing_says_where_to_write(make_learner) -> None:
    class Peek(Callback):
        def after_pred(self):
            self.seen = (self.x.shape, self.y.shape, self.pred.shape, self.training, self.dl is self.learn.dl)

        def after_loss(self):
            self.loss = 3

    learn = make_learner(cbs=Peek)
    with pytest.raises(AttributeError, match=r"Peek.loss reads the learner's loss.*`self.learn.loss = ...`"):
        learn.fit(1)
    assert learn.peek.seen == ((16, 4), (16,), (16, 2), True, True)


def test_assignment_through_learn_changes_the_training(make_learner) -> None:
    class Double(Callback):
        def after_pred(self):
            self.learn.pred = self.pred * 0

        def after_loss(self):
            self.losses = self.loss.item()

    learn = make_learner(cbs=Double)
    learn.fit(1)
    assert learn.double.losses == pytest.approx(torch.tensor(2.0).log().item())


@pytest.mark.parametrize("name", ["befor_batch", "before_batches", "on_epoch_end", "after_stepp", "before_foo"])
def test_misspelt_event_is_an_error_when_the_class_is_defined(name: str) -> None:
    with pytest.raises(TypeError, match=rf"Wrong.{name} is no event and would never be called"):
        type("Wrong", (Callback,), {name: lambda self: None})


def test_misspelt_event_comes_with_a_suggestion() -> None:
    with pytest.raises(TypeError, match="Did you mean 'before_batch'"):
        type("Wrong", (Callback,), {"befor_batch": lambda self: None})
    with pytest.raises(TypeError, match="Did you mean 'before_batch'"):
        Callback(befor_batch=lambda cb: None)


def test_own_methods_and_private_ones_are_left_alone() -> None:
    type("Fine", (Callback,), {"_before_all": lambda self: None, "plot": lambda self: None, "fit": lambda self: None})


def test_a_class_that_hides_a_field_of_the_learner_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Wrong.model hides the learner's model"):
        type("Wrong", (Callback,), {"model": None})


def test_functions_are_callbacks_too(make_learner) -> None:
    epochs: list[int] = []
    learn = make_learner(
        cbs=[Callback(after_epoch=lambda cb: epochs.append(cb.epoch)), Callback(after_fit=lambda cb: 1)]
    )
    learn.fit(2)
    assert epochs == [0, 1]


def test_before_batch_cb_edits_batches(make_learner) -> None:
    @before_batch_cb
    def half(cb, xb, yb):
        return xb[0][:8], yb[0][:8]

    sizes: list[int] = []
    make_learner(cbs=[half, Callback(after_batch=lambda cb: sizes.append(len(cb.x)))]).fit(1)
    assert set(sizes) == {8}


def test_the_same_callback_twice_is_refused(make_learner) -> None:
    learn = make_learner(cbs=GradientClip)
    with pytest.raises(ConfigError, match="has a GradientClip already; remove it first"):
        learn.add_cb(GradientClip(2.0))
    with pytest.raises(ConfigError, match="has a GradientClip already"):
        learn.fit(1, cbs=GradientClip())
    assert [cb.name for cb in learn.cbs] == ["gradient_clip", "recorder", "progress"]


def test_what_is_no_callback_is_refused(make_learner) -> None:
    with pytest.raises(ConfigError, match="int 3 is no callback"):
        make_learner(cbs=[3])


def test_names_are_snake_case_without_callback() -> None:
    class SaveBestModelCallback(Callback):
        pass

    class LRThing(Callback):
        pass

    assert (SaveBestModelCallback().name, LRThing().name, Recorder().name) == (
        "save_best_model",
        "lr_thing",
        "recorder",
    )


def test_run_flags_switch_events_inside_batches(make_learner) -> None:
    class Count(Callback):
        def __init__(self):
            self.seen = {True: 0, False: 0}

        def after_batch(self):
            self.seen[self.training] += 1

    class TrainOnly(Count):
        run_valid = False

    class ValidOnly(Count):
        run_train = False

    class Never(Count):
        run = False

    learn = make_learner(cbs=[TrainOnly, ValidOnly, Never])
    learn.fit(1)
    assert [cb.seen for cb in (learn.train_only, learn.valid_only, learn.never)] == [
        {True: 4, False: 0},
        {True: 0, False: 2},
        {True: 0, False: 0},
    ]


def test_run_turned_off_in_a_fit_is_put_back(make_learner) -> None:
    class Once(Callback):
        count = 0

        def after_batch(self):
            self.count += 1
            self.run = False

    learn = make_learner(cbs=Once)
    learn.fit(1)
    assert (learn.once.count, learn.once.run) == (1, True)


def test_callbacks_are_asked_in_their_order(make_learner) -> None:
    asked: list[str] = []

    def kind(name: str, order: int) -> type[Callback]:
        return type(name, (Callback,), {"order": order, "before_fit": lambda self: asked.append(name)})

    make_learner(cbs=[kind("B", 5), kind("A", -5), kind("C", 5)]).fit(0)
    assert asked == ["A", "B", "C"]


@pytest.mark.parametrize("event", [e for e in EVENTS if not e.startswith("after_cancel") and e != "after_create"])
def test_an_exception_in_a_callback_is_the_one_raised_with_a_note(make_learner, event: str) -> None:
    def fail(self):
        raise AssertionError

    learn = make_learner(cbs=type("Failing", (Callback,), {event: fail}))
    with pytest.raises(AssertionError) as caught:
        learn.fit(1)
    assert caught.value.args == ()
    assert any(f"in callback failing, event {event}, epoch 0, batch" in note for note in caught.value.__notes__)


def test_an_exception_in_the_model_says_which_batch(make_learner, toys) -> None:
    class Fragile(torch.nn.Module):
        calls = 0

        def __init__(self):
            super().__init__()
            self.lin = torch.nn.Linear(4, 2)

        def forward(self, x):
            self.calls += 1
            if self.calls == 3:
                raise RuntimeError("broken")
            return self.lin(x)

    with pytest.raises(RuntimeError, match="broken") as caught:
        make_learner(Fragile(), check=False).fit(1)
    assert caught.value.__notes__ == ["in epoch 0, batch 2 of training"]


@pytest.mark.parametrize("at", [0, 3])
def test_an_exception_in_a_loader_says_which_batch_was_asked_for(make_learner, toys, at) -> None:
    class Dying(list):
        def __iter__(self):
            yield from self[:at]
            raise OSError("the disk is gone")

    learn = make_learner(dls=(Dying(toys.batches(64, 16)), toys.batches(32, 16)), check=False)
    with pytest.raises(OSError, match="the disk is gone") as caught:
        learn.fit(1)
    assert caught.value.__notes__ == [f"in epoch 0, batch {at} of training"]
    learn.dls = toys.batches(64, 16), toys.batches(32, 16)
    learn.fit(1)


def test_a_field_of_the_learner_that_callbacks_do_not_read_as_their_own_is_pointed_to(make_learner) -> None:
    class Curious(Callback):
        def after_batch(self):
            self.recorder.losses.clear()

    with pytest.raises(AttributeError, match=r"Curious has no attribute 'recorder'. The learner's is `self.learn.rec"):
        make_learner().fit(1, cbs=Curious())
    assert not hasattr(Curious(), "nothing_of_the_kind")


def test_a_callback_of_two_learners_serves_the_one_that_trains(make_learner) -> None:
    seen = []
    shared = Callback(before_fit=lambda cb: seen.append(cb.model))
    first, second = make_learner(cbs=shared), make_learner(cbs=shared)
    first.fit(1)
    second.fit(1)
    first.fit(1)
    assert [model is first.model for model in seen] == [True, False, True]
