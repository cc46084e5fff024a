"""Mixing inside the network."""

import pytest
import torch
from torch import nn

from laminar.callbacks import Callback, ManifoldMixUp
from laminar.core.errors import ConfigError


class Watched(nn.Module):
    """Keeps what comes in."""

    def forward(self, x):
        self.seen = x.detach()
        return x


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), Watched(), nn.Tanh(), Watched(), nn.Linear(8, 2))


def test_items_are_mixed_where_it_was_drawn_and_the_loss_likewise(make_learner, toys) -> None:
    batch = toys.batches(16, 16)[0]
    learn = make_learner(net(), dls=[[batch]], cbs=ManifoldMixUp(modules=lambda m: [m[2]], with_inputs=False))
    kept = {}

    def look(cb: Callback) -> None:
        kept.update(before=cb.model[1].seen, after=cb.model[3].seen, pred=cb.pred.detach(), loss=cb.learn.loss.item())

    learn.fit(1, 0.0, cbs=Callback(after_batch=look))
    hidden, mixed = kept["before"], kept["after"].atanh()
    soft = torch.zeros(16, 2)
    for item in range(16):
        fits = []
        for other in range(16):
            share = ((mixed[item] - hidden[other]) / (hidden[item] - hidden[other])).median()
            fitting = torch.allclose(torch.lerp(hidden[other], hidden[item], share), mixed[item], atol=1e-4)
            fits += [(other, share)] if fitting and other != item else []
        other, share = fits[0] if fits else (item, torch.tensor(1.0))
        soft[item, batch[1][item]] += share
        soft[item, batch[1][other]] += 1 - share
    assert not torch.allclose(hidden, mixed, atol=1e-2)
    assert kept["loss"] == pytest.approx(nn.functional.cross_entropy(kept["pred"], soft).item(), abs=1e-3)


def test_all_places_are_drawn_and_predictions_are_not_mixed(make_learner, toys) -> None:
    batch = toys.batches(16, 16)[0]
    learn = make_learner(net(), dls=[[batch] * 40])
    plain = learn.get_preds(0)[0]
    places: set[tuple[bool, bool]] = set()

    def look(cb: Callback) -> None:
        at_input = not torch.equal(cb.learn.xb[0], batch[0])
        within = not torch.allclose(cb.model[0](cb.learn.xb[0]), cb.model[1].seen)
        places.add((at_input, within))
        assert torch.equal(cb.learn.get_preds(0)[0][:16], plain[:16])

    learn.fit(1, 0.0, cbs=[ManifoldMixUp(modules=lambda m: [m[1]]), Callback(after_pred=look)])
    assert places == {(True, False), (False, True)}


def test_blocks_of_another_network_are_refused(make_learner) -> None:
    with pytest.raises(ConfigError, match="is no module of Sequential"):
        make_learner(net(), cbs=ManifoldMixUp(modules=lambda m: [nn.Linear(1, 1)])).fit(1)
    with pytest.raises(ConfigError, match="ManifoldMixUp finds no blocks in Linear"):
        make_learner(nn.Linear(4, 2), cbs=ManifoldMixUp()).fit(1)
