import copy
from functools import partial

import pytest
import torch
from torch import nn

from laminar.callbacks import (
    AdaptiveGradientClip,
    Callback,
    CancelBatchException,
    GradientAccumulation,
    GradientClip,
    GradientValueClip,
    MixedPrecision,
    ParamScheduler,
    SchedCos,
)
from laminar.core.device import find_bs
from laminar.core.errors import ConfigError
from laminar.nn import CrossEntropyLossFlat, FocalLoss
from laminar.optim import SGD


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))


def trained(make_learner, toys, tmp_path, n: int, bs: int, cbs, epochs: int = 2, **options):
    steps: list[int] = []
    dls = toys.Loaders([toys.batches(n, bs), toys.batches(32, 16, seed=1)], tmp_path)
    learn = make_learner(net(), dls=dls, cbs=cbs, opt_func=SGD, lr=0.5, **options)
    learn.fit(epochs, cbs=Callback(after_step=lambda cb: steps.append(cb.iter)))
    return learn, steps


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("amp", [False, True])
def test_small_batches_accumulated_equal_large_ones(make_learner, toys, tmp_path, clip: bool, amp: bool) -> None:
    # 80 samples: two full windows of 32 and one of 16, which is averaged over its 16.
    def extra():
        return [GradientClip(0.05)] * clip + [MixedPrecision("bf16")] * amp

    small, steps = trained(make_learner, toys, tmp_path, 80, 8, [GradientAccumulation(32), *extra()])
    large, _ = trained(make_learner, toys, tmp_path, 80, 32, extra())
    assert steps == [3, 7, 9] * 2
    for a, b in zip(small.model.parameters(), large.model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=2e-3 if amp else 1e-6)


def test_a_schedule_goes_by_windows_as_by_large_batches(make_learner, toys, tmp_path) -> None:
    def extra():
        schedule = ParamScheduler({"lr": SchedCos(0.5, 0.01), "mom": SchedCos(0.9, 0.5)})
        return [GradientClip(0.05), MixedPrecision("bf16"), schedule]

    small, _ = trained(make_learner, toys, tmp_path, 128, 8, [GradientAccumulation(32), *extra()])
    large, _ = trained(make_learner, toys, tmp_path, 128, 32, extra())
    assert small.recorder.lrs[::4] == large.recorder.lrs
    for a, b in zip(small.model.parameters(), large.model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=2e-3)


def test_a_short_last_window_counts_as_one_for_schedules_too(make_learner, toys, tmp_path) -> None:
    # 11 batches of 8: windows of 32, 32 and 24; the whole of it, as people use it
    def extra():
        return [GradientClip(0.05), ParamScheduler({"lr": SchedCos(0.5, 0.01)}), MixedPrecision("bf16")]

    small, _ = trained(make_learner, toys, tmp_path, 88, 8, [GradientAccumulation(32), *extra()], epochs=3)
    large, _ = trained(make_learner, toys, tmp_path, 88, 32, extra(), epochs=3)
    first_of_windows = [rate for number, rate in enumerate(small.recorder.lrs) if number % 11 in (0, 4, 8)]
    assert first_of_windows == pytest.approx(large.recorder.lrs)
    for a, b in zip(small.model.parameters(), large.model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=2e-3)


def by_pixel(batches: list) -> list:
    """The same inputs, of which some items have fewer targets that count."""
    return [(x, torch.stack([y, torch.where(x[:, 0] > 0, y, -100)], 1)) for x, y in batches]


class TwoPixels(nn.Module):
    """Classes of two pixels for each item, ``[batch, classes, pixels]``."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x).view(-1, 2, 2)


WEIGHT = torch.tensor([0.2, 3.0])


@pytest.mark.parametrize("n", [64, 40])
@pytest.mark.parametrize(
    ("loss", "pixels"),
    [
        (nn.CrossEntropyLoss(weight=WEIGHT), False),
        (partial(nn.functional.cross_entropy, weight=WEIGHT), False),
        (CrossEntropyLossFlat(weight=WEIGHT), False),
        (nn.CrossEntropyLoss(ignore_index=0), False),
        (nn.CrossEntropyLoss(), True),
        (FocalLoss(), True),
        (nn.CrossEntropyLoss(weight=WEIGHT), True),
        (nn.CrossEntropyLoss(reduction="sum"), False),
    ],
)
def test_what_items_count_for_in_the_loss_is_what_they_count_for_in_the_window(
    make_learner, toys, tmp_path, n: int, loss, pixels: bool
) -> None:
    models = []
    for bs, cbs in ((8, [GradientAccumulation(32)]), (32, [])):
        batches = toys.batches(n, bs)
        torch.manual_seed(0)
        model = TwoPixels() if pixels else net()
        dls = toys.Loaders([by_pixel(batches) if pixels else batches] * 2, tmp_path)
        make_learner(model, dls=dls, cbs=cbs, opt_func=SGD, lr=0.01, loss_func=loss).fit(2)
        models.append(model)
    torch.manual_seed(0)
    start = TwoPixels() if pixels else net()
    for a, b, before in zip(*(model.parameters() for model in [*models, start]), strict=True):
        assert torch.allclose(a, b, atol=1e-6)
        assert not torch.allclose(a, before, atol=1e-4)


def test_a_window_in_which_nothing_counts_changes_nothing(make_learner, toys, tmp_path) -> None:
    batches = [(torch.randn(8, 4), torch.zeros(8, dtype=torch.long)) for _ in range(4)]
    model = net()
    before = copy.deepcopy(model.state_dict())
    learn = make_learner(
        model,
        dls=toys.Loaders([batches, toys.batches(32, 16)], tmp_path),
        cbs=GradientAccumulation(16),
        opt_func=SGD,
        loss_func=nn.CrossEntropyLoss(ignore_index=0),
        check=False,
    )
    learn.fit(1)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))


def test_the_last_window_is_stepped_and_nothing_leaks(make_learner, toys, tmp_path) -> None:
    learn, steps = trained(make_learner, toys, tmp_path, 48, 16, GradientAccumulation(32), epochs=1)
    assert steps == [1, 2]
    assert all(p.grad is None for p in learn.model.parameters())


def test_the_loss_reported_is_that_of_the_batches(make_learner, toys, tmp_path) -> None:
    # Before the first step, losses must be equal with and without accumulation.
    with_acc, _ = trained(make_learner, toys, tmp_path, 32, 8, GradientAccumulation(32), epochs=1)
    without, _ = trained(make_learner, toys, tmp_path, 32, 8, None, epochs=1)
    assert with_acc.recorder.batch_losses[0] == pytest.approx(without.recorder.batch_losses[0])


def test_a_loader_without_length_has_a_last_batch_too(make_learner, toys, tmp_path) -> None:
    class Stream:
        def __iter__(self):
            return iter(toys.batches(48, 16))

    steps: list[int] = []
    dls = toys.Loaders([Stream(), toys.batches(32, 16)], tmp_path)
    learn = make_learner(net(), dls=dls, cbs=GradientAccumulation(32))
    learn.fit(2, cbs=Callback(after_step=lambda cb: steps.append(cb.iter)))
    assert steps == [1, 2, 1, 2]


class Plain(Callback):
    """As a user writes it for laminar."""

    def __init__(self, n_acc: int = 32):
        self.n_acc = n_acc

    def before_fit(self):
        self.count = 0

    def after_loss(self):
        self.learn.loss_grad = self.loss_grad * find_bs(self.yb) / self.n_acc

    def after_backward(self):
        self.count += find_bs(self.yb)
        self.learn.should_step = self.count >= self.n_acc or self.is_last_batch
        if self.should_step:
            self.count = 0


class CancellingCallback(Callback):
    """As a user has written it for fastai."""

    run_valid = False

    def before_fit(self):
        self.count = 0

    def after_loss(self):
        self.learn.loss_grad = self.loss_grad / (32 / find_bs(self.learn.yb))

    def before_step(self):
        self.count = 0

    def after_backward(self):
        self.count += find_bs(self.learn.yb)
        if self.count < 32:
            raise CancelBatchException


@pytest.mark.parametrize("kind", [Plain, CancellingCallback])
def test_the_programs_users_write_work(make_learner, toys, tmp_path, kind) -> None:
    ours, _ = trained(make_learner, toys, tmp_path, 64, 8, GradientAccumulation(32))
    theirs, steps = trained(make_learner, toys, tmp_path, 64, 8, kind())
    assert steps == [3, 7] * 2
    for a, b in zip(ours.model.parameters(), theirs.model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_clipping_limits_the_norm(make_learner, toys, tmp_path) -> None:
    norms: list[float] = []

    def note(cb: Callback) -> None:
        norms.append(torch.cat([p.grad.flatten() for p in cb.model.parameters()]).norm().item())

    trained(make_learner, toys, tmp_path, 64, 16, [GradientClip(0.01), Callback(after_step=note)])
    assert max(norms) <= 0.01 + 1e-6


def test_same_program_same_weights(make_learner, toys, tmp_path) -> None:
    first, _ = trained(make_learner, toys, tmp_path, 48, 16, GradientAccumulation(32))
    saved = copy.deepcopy(first.model.state_dict())
    second, _ = trained(make_learner, toys, tmp_path, 48, 16, GradientAccumulation(32))
    assert all(torch.equal(saved[k], v) for k, v in second.model.state_dict().items())


def gradients_at_the_step(make_learner, toys, tmp_path, cbs) -> list[list[torch.Tensor]]:
    found: list[list[torch.Tensor]] = []
    note = Callback(after_step=lambda cb: found.append([p.grad.clone() for p in cb.model.parameters()]))
    dls = toys.Loaders([toys.batches(16, 16), toys.batches(16, 16)], tmp_path)
    make_learner(net(), dls=dls, cbs=[note, *cbs], opt_func=SGD, lr=0.1).fit(1)
    return found


def test_clipping_by_value_limits_each_element(make_learner, toys, tmp_path) -> None:
    free = gradients_at_the_step(make_learner, toys, tmp_path, [])[0]
    clipped = gradients_at_the_step(make_learner, toys, tmp_path, [GradientValueClip(0.01)])[0]
    assert any(gradient.abs().max() > 0.01 for gradient in free)
    assert all(torch.equal(g.clamp(-0.01, 0.01), c) for g, c in zip(free, clipped, strict=True))


def test_adaptive_clipping_limits_each_unit_by_its_weights(make_learner, toys, tmp_path) -> None:
    free = gradients_at_the_step(make_learner, toys, tmp_path, [])[0]
    clipped = gradients_at_the_step(make_learner, toys, tmp_path, [AdaptiveGradientClip(0.02)])[0]
    torch.manual_seed(0)
    weights = [p.detach() for p in net().parameters()]
    n_clipped = 0
    for weight, gradient, got in zip(weights, free, clipped, strict=True):
        units = zip(weight, gradient, got, strict=True) if weight.ndim > 1 else [(weight, gradient, got)]
        for unit, unit_gradient, unit_got in units:
            limit = 0.02 * max(unit.norm().item(), 1e-3)
            n_clipped += unit_gradient.norm().item() > limit
            assert torch.allclose(unit_got, unit_gradient * min(1.0, limit / unit_gradient.norm().item()), atol=1e-7)
    assert n_clipped > 0


def test_adaptive_clipping_can_spare_the_head(make_learner, toys, tmp_path) -> None:
    def head_norm(with_head: bool) -> torch.Tensor:
        learn_cbs = [AdaptiveGradientClip(1e-4, with_head=with_head)]
        found: list[torch.Tensor] = []
        note = Callback(after_step=lambda cb: found.append(cb.model[2].weight.grad.norm()))
        dls = toys.Loaders([toys.batches(16, 16), toys.batches(16, 16)], tmp_path)
        make_learner(net(), dls=dls, cbs=[note, *learn_cbs], opt_func=SGD, splitter=toys.halves).fit(1)
        return found[0]

    assert head_norm(True) < 1e-3 < head_norm(False)


def test_limits_of_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"GradientValueClip\(max_value=0\)"):
        GradientValueClip(0)
    with pytest.raises(ConfigError, match=r"AdaptiveGradientClip\(clipping=-1\)"):
        AdaptiveGradientClip(-1)
