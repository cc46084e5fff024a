"""The mean of the weights of the last epochs."""

import copy

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, update_bn

from laminar.callbacks import EMA, SWA, Callback
from laminar.core.errors import ConfigError


class Torchs(Callback):
    """The same by torch's own means."""

    order = 19
    passes = ("fit",)

    def __init__(self, start: float) -> None:
        self.start = start

    def before_fit(self):
        self.averaged = AveragedModel(self.model)

    def after_train(self):
        if (self.epoch + 1) / self.n_epoch >= self.start:
            self.averaged.update_parameters(self.model)
            self.at_validation = copy.deepcopy(self.averaged.module)


@pytest.mark.parametrize("start", [0.0, 0.5, 0.75])
def test_the_model_ends_as_the_mean_that_torch_computes(make_learner, start) -> None:
    theirs = Torchs(start)
    learn = make_learner()
    learn.fit(4, 0.1, cbs=[SWA(start), theirs])
    update_bn(learn.dls[0], theirs.averaged)
    for ours, other in zip(learn.model.parameters(), theirs.averaged.module.parameters(), strict=True):
        assert torch.allclose(ours, other, atol=1e-6)
    for ours, other in zip(learn.model.buffers(), theirs.averaged.module.buffers(), strict=True):
        assert torch.allclose(ours.float(), other.float(), atol=1e-5)


def test_validation_sees_the_mean_and_training_the_weights(make_learner) -> None:
    seen: dict[str, list[torch.Tensor]] = {"trained": [], "validated": []}

    def note(cb: Callback) -> None:
        seen["trained" if cb.training else "validated"].append(cb.model[0].weight.detach().clone())

    make_learner().fit(3, 0.1, cbs=[SWA(0.6, update_bn=False), Callback(after_train=note, after_validate=note)])
    alone: list[torch.Tensor] = []
    make_learner().fit(3, 0.1, cbs=Callback(after_train=lambda cb: alone.append(cb.model[0].weight.detach().clone())))
    first, second, third = seen["trained"]
    assert all(torch.equal(a, b) for a, b in zip(alone, seen["trained"], strict=True))
    expected = [first, second, (second + third) / 2]
    assert all(torch.allclose(a, b) for a, b in zip(seen["validated"], expected, strict=True))


def test_the_learning_rate_goes_over_to_its_own_whatever_the_schedule_says(make_learner) -> None:
    learn = make_learner()
    learn.fit_one_cycle(4, 0.1, cbs=SWA(0.5, lr=0.05, anneal_epochs=1))
    plain = make_learner()
    plain.fit_one_cycle(4, 0.1)
    assert learn.recorder.lrs[:8] == plain.recorder.lrs[:8]
    assert learn.recorder.lrs[12:] == pytest.approx([0.05] * 4)


def test_the_last_weights_can_be_kept(make_learner) -> None:
    learn, plain = make_learner(), make_learner()
    learn.fit(2, 0.1, cbs=SWA(0.0, at_end=False))
    plain.fit(2, 0.1)
    assert all(torch.equal(a, b) for a, b in zip(learn.model.parameters(), plain.model.parameters(), strict=True))


def test_a_start_outside_the_training_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"SWA\(start=1\.0\)"):
        SWA(1.0)


def test_two_averages_exclude_each_other(make_learner) -> None:
    with pytest.raises(ConfigError, match="exclude each other: the model can end as one average"):
        make_learner(cbs=[EMA(), SWA()]).fit(1)


def test_measuring_statistics_leaves_the_loaders_where_they_are(make_learner, toys, tmp_path) -> None:
    from laminar.data import DataLoader, DataLoaders

    def epochs(cbs) -> tuple[int, torch.Tensor]:
        data = [(x, y) for batch in toys.batches(32, 32) for x, y in zip(*batch, strict=True)]
        dls = DataLoaders(DataLoader(data, bs=8, shuffle=True), DataLoader(data, bs=8), device="cpu")
        learn = make_learner(dls=dls)
        learn.fit(2, cbs=cbs)
        return dls.train.epoch, torch.rand(1)

    assert epochs(SWA(0.0)) == epochs(None)
