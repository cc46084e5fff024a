import cProfile
import pstats

import pytest
import torch
from torch import nn

from laminar.callbacks import (
    EVENTS,
    Callback,
    CancelBackwardException,
    CancelBatchException,
    CancelEpochException,
    CancelFitException,
    CancelStepException,
    CancelTrainException,
    CancelValidException,
    Recorder,
)
from laminar.core.errors import ConfigError
from laminar.core.types import TensorCategory, TensorImage
from laminar.learner import Learner
from laminar.metrics import mse


def listening(asked: list[str]) -> Callback:
    return Callback(**{event: (lambda cb, event=event: asked.append(event)) for event in EVENTS})


BATCH = ["before_batch", "after_pred", "after_loss"]
STEP = ["before_backward", "after_backward", "before_step", "after_step"]


def test_events_come_in_their_order(make_learner, toys, tmp_path) -> None:
    asked: list[str] = []
    dls = toys.Loaders([toys.batches(16, 16), toys.batches(16, 16)], tmp_path)
    make_learner(dls=dls, cbs=listening(asked)).fit(1)
    assert asked == [
        *("after_create", "before_fit", "before_epoch", "before_train"),
        *(*BATCH, *STEP, "after_batch", "after_train"),
        *("before_validate", *BATCH, "after_batch", "after_validate"),
        *("after_epoch", "after_fit", "cleanup_fit"),
    ]


@pytest.mark.parametrize(
    ("event", "exception", "follows", "skipped"),
    [
        ("before_backward", CancelBackwardException, ["after_cancel_backward", "after_backward", "before_step"], ""),
        ("before_step", CancelStepException, ["after_cancel_step", "after_step", "after_batch"], ""),
        ("after_pred", CancelBatchException, ["after_cancel_batch", "after_batch"], "before_step"),
        ("before_batch", CancelTrainException, ["after_cancel_train", "after_train", "before_validate"], "after_pred"),
        ("before_validate", CancelValidException, ["after_cancel_validate", "after_validate", "after_epoch"], ""),
        ("after_train", CancelEpochException, ["after_cancel_epoch", "after_epoch"], "before_validate"),
        ("after_batch", CancelFitException, ["after_cancel_fit", "after_fit", "cleanup_fit"], "after_epoch"),
    ],
)
def test_control_exceptions_skip_to_their_event(make_learner, event, exception, follows, skipped) -> None:
    asked: list[str] = []
    done: list[int] = []

    def cancel(cb: Callback) -> None:
        if not done:
            done.append(1)
            asked.append("here")
            raise exception

    learn = make_learner(cbs=[listening(asked), Callback(**{event: cancel})])
    learn.fit(1)
    at = asked.index("here")
    assert asked[at + 1 : at + 1 + len(follows)] == follows
    assert asked[-1] == "cleanup_fit"


def test_a_cancelled_step_releases_the_gradients_and_a_cancelled_batch_keeps_them(make_learner) -> None:
    grads: list[bool] = []

    def cancel(cb: Callback) -> None:
        raise CancelBatchException

    learn = make_learner(
        cbs=Callback(after_backward=cancel, after_train=lambda cb: grads.append(cb.model[0].weight.grad is None))
    )
    before = learn.model[0].weight.detach().clone()
    learn.fit(1)
    assert grads == [False]
    assert torch.equal(before, learn.model[0].weight)
    assert learn.model[0].weight.grad is None


def test_model_loss_and_metrics_see_plain_tensors(make_learner, toys, tmp_path) -> None:
    kinds: set[type] = set()

    class Look(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(4, 2)

        def forward(self, x):
            kinds.add(type(x))
            return self.lin(x.flatten(1))

    def look(pred, target):
        kinds.update({type(pred), type(target)})
        return pred.mean()

    x, y = TensorImage(torch.randn(8, 1, 2, 2)), TensorCategory(torch.zeros(8, dtype=torch.long))
    dls = toys.Loaders([[(x, y)], [(x, y)]], tmp_path)
    make_learner(Look(), dls=dls, metrics=look).fit(1)
    assert kinds == {torch.Tensor}


def test_several_inputs_and_targets(make_learner, toys, tmp_path) -> None:
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 2), nn.Linear(3, 1)

        def forward(self, a, b):
            return {"first": self.a(a), "second": self.b(b)}

    def loss(out, y, z):
        return nn.functional.cross_entropy(out["first"], y) + (out["second"][:, 0] - z).square().mean()

    batch = (torch.randn(8, 4), torch.randn(8, 3), torch.zeros(8, dtype=torch.long), torch.randn(8))
    dls = toys.Loaders([[batch] * 3, [batch]], tmp_path)
    dls.n_inp = 2
    learn = make_learner(Two(), dls=dls, loss_func=loss)
    learn.fit(1)
    preds, targets = learn.get_preds()
    assert (preds["first"].shape, preds["second"].shape, len(targets)) == ((8, 2), (8, 1), 2)
    inputs = learn.get_preds(with_input=True)[0]
    assert [part.shape for part in inputs] == [(8, 4), (8, 3)]


def test_plain_pairs_of_loaders_are_enough(toys, tmp_path) -> None:
    learn = Learner((toys.batches(32, 16), toys.batches(32, 16)), toys.net(), nn.CrossEntropyLoss(), path=tmp_path)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
    assert len(learn.recorder.values) == 1
    loader = torch.utils.data.DataLoader([(torch.randn(4), i % 2) for i in range(20)], batch_size=8, shuffle=True)
    learn = Learner((loader,), toys.net(), nn.CrossEntropyLoss(), path=tmp_path)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
    assert learn.recorder.final_record[1] is None


def test_a_stream_without_length_trains_and_knows_its_last_batch(make_learner, toys, tmp_path) -> None:
    class Stream:
        def __iter__(self):
            return iter(toys.batches(48, 16))

    last: list[bool] = []
    learn = make_learner(dls=toys.Loaders([Stream(), Stream()], tmp_path))
    learn.fit(1, cbs=Callback(after_batch=lambda cb: last.append(cb.is_last_batch)))
    assert last == [False, False, True] * 2


def test_a_model_without_parameters_can_be_evaluated(make_learner) -> None:
    class Fixed(nn.Module):
        def forward(self, x):
            return torch.stack([-x[:, 0], x[:, 0]], 1)

    assert make_learner(Fixed(), metrics=lambda p, t: (p.argmax(1) == t).float().mean()).validate()[1] == 1


def test_progress_of_training_is_known_at_every_batch(make_learner) -> None:
    seen: list[float] = []
    learn = make_learner(cbs=Callback(before_batch=lambda cb: seen.append(cb.pct_train) if cb.training else None))
    learn.fit(2)
    assert seen == pytest.approx([i / 8 for i in range(8)])
    seen.clear()
    learn.fit(2, start_epoch=1)
    assert seen == pytest.approx([0.5, 0.625, 0.75, 0.875])


def test_a_fit_inside_a_fit_is_refused(make_learner) -> None:
    learn = make_learner(cbs=Callback(after_epoch=lambda cb: cb.learn.fit(1)))
    with pytest.raises(ConfigError, match="cannot begin while another pass runs"):
        learn.fit(1)


def test_a_nested_evaluation_leaves_the_random_state_alone(make_learner) -> None:
    def batch_noise(nested: bool) -> list[float]:
        drawn: list[float] = []

        def draw(cb: Callback) -> None:
            if nested:
                loader = torch.utils.data.DataLoader(list(zip(*cb.dls[1][0], strict=True)), batch_size=8, shuffle=True)
                cb.learn.get_preds(dl=loader)
            drawn.append(torch.rand(1).item())

        torch.manual_seed(5)
        learn = make_learner(cbs=Callback(after_batch=draw))
        learn.fit(1)
        return drawn

    assert batch_noise(False) == batch_noise(True)


@pytest.mark.parametrize("event", [e for e in EVENTS if not e.startswith("after_cancel") and e != "after_create"])
@pytest.mark.parametrize("exception", [KeyboardInterrupt, RuntimeError])
def test_after_an_exception_at_any_event_the_learner_goes_on(make_learner, event, exception) -> None:
    def fail(cb: Callback) -> None:
        raise exception

    cleaned: list[int] = []

    class Late(Callback):
        order = 99

        def cleanup_fit(self):
            cleaned.append(1)

    learn = make_learner()
    with pytest.raises(exception):
        learn.fit(1, cbs=[Callback(**{event: fail}), Late])
    assert cleaned == [1]
    assert [cb.name for cb in learn.cbs] == ["recorder", "progress"]
    assert (learn.xb, learn.pred, learn.loss_grad, learn.training, learn.epoch) == ((), None, None, False, 0)
    assert all(p.grad is None for p in learn.model.parameters())
    learn.fit(1)
    assert len(learn.recorder.values) == 1


def test_an_error_while_cleaning_up_does_not_hide_the_first(make_learner) -> None:
    def fail(message: str):
        def raise_it(cb: Callback) -> None:
            raise RuntimeError(message)

        return raise_it

    with pytest.raises(RuntimeError, match="first") as caught:
        make_learner().fit(1, cbs=Callback(after_pred=fail("first"), cleanup_fit=fail("second")))
    assert any("second" in note for note in caught.value.__notes__)


def test_callbacks_that_come_in_the_middle_are_asked_from_then_on(make_learner) -> None:
    counted: list[int] = []
    late = Callback(after_batch=lambda cb: counted.append(cb.iter))

    def add(cb: Callback) -> None:
        if cb.epoch == 1:
            cb.learn.add_cb(late)

    learn = make_learner()
    learn.fit(2, cbs=Callback(before_epoch=add))
    assert counted == [0, 1, 2, 3, 0, 1]
    assert late in learn.cbs


def test_two_learners_share_no_default_callbacks(make_learner) -> None:
    first, second = make_learner(), make_learner(default_cbs=False)
    assert not set(first.cbs) & set(make_learner().cbs)
    assert second.cbs == []
    second.fit(1)


def test_the_loop_never_waits_for_the_device(make_learner, monkeypatch) -> None:
    calls: list[str] = []
    learn = make_learner(metrics=lambda p, t: (p.argmax(1) == t).float().mean())
    learn.fit(1)
    for name in ("item", "tolist", "cpu", "__float__", "__bool__", "__int__"):
        original = getattr(torch.Tensor, name)

        def counted(self, *args, original=original, name=name, **kwargs):
            calls.append(name)
            return original(self, *args, **kwargs)

        monkeypatch.setattr(torch.Tensor, name, counted)
    seen: list[int] = []
    learn.fit(1, cbs=Callback(after_batch=lambda cb: seen.append(len(calls))))
    assert set(seen) == {seen[0]} or seen[-1] <= seen[0] + 1, calls


def test_the_loop_adds_few_function_calls_to_a_batch(toys, tmp_path) -> None:
    n = 200
    data = toys.batches(16 * n, 16)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    learn = Learner((data,), model, nn.CrossEntropyLoss(), cbs=Recorder, default_cbs=False, check=False, path=tmp_path)
    learn.logger = lambda row: None
    opt, loss_func = learn.create_opt(), nn.CrossEntropyLoss()
    learn.fit(1)

    def plain() -> None:
        for x, y in data:
            loss = loss_func(model(x), y)
            loss.backward()
            opt.step()
            opt.zero_grad()

    def calls(function, *args) -> int:
        profile = cProfile.Profile()
        profile.runcall(function, *args)
        return pstats.Stats(profile).total_calls

    def a_batch() -> float:
        """Calls for one more batch: what a fit costs by itself cancels out."""
        return (calls(learn.fit, 2) - calls(learn.fit, 1)) / n

    alone, by_hand = a_batch(), calls(plain) / n
    assert alone - by_hand <= 40
    for name in "abcdefghij":
        learn.add_cb(type(f"Silent{name}", (Callback,), {"after_epoch": lambda self: None}))
    assert a_batch() - alone <= 1  # an event nobody listens to costs nothing


def test_an_optimiser_with_its_own_way_to_release_gradients_is_asked(make_learner) -> None:
    released: list[bool] = []

    class Own(torch.optim.SGD):
        def zero_grad(self, set_to_none: bool = True) -> None:
            released.append(True)
            super().zero_grad(set_to_none)

    make_learner(opt_func=Own).fit(1)
    assert len(released) >= 4


def test_batches_without_a_target_are_refused_in_training():
    learn = Learner([[torch.zeros(2, 3)], [torch.zeros(2, 3)]], nn.Linear(3, 1), loss_func=nn.MSELoss(), check=False)
    with learn.no_bar(), learn.no_logging(), pytest.raises(ConfigError, match=r"1 input\(s\) and no target.*n_inp=1"):
        learn.fit(1)


def test_a_cancelled_batch_counts_for_nothing():
    class OnlyFirst(Callback):
        def before_batch(self):
            if self.iter:
                raise CancelBatchException

    batches = [(torch.rand(4, 3), torch.rand(4, 1)) for _ in range(3)]
    learn = Learner([batches, batches], nn.Linear(3, 1), loss_func=nn.MSELoss(), metrics=mse, check=False)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, cbs=OnlyFirst)
    assert len(learn.recorder.losses) == 1
    first = learn.validate(dl=batches[:1])
    assert learn.recorder.values[-1][1] == pytest.approx(first[0])
    assert learn.recorder.values[-1][2] == pytest.approx(first[1])
