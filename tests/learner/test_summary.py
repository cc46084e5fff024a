"""What a model is made of."""

import pytest
import torch
from torch import nn


class Tied(nn.Module):
    """An embedding whose weights are those of the last layer too, an LSTM, and a bare parameter."""

    def __init__(self):
        super().__init__()
        self.embed, self.lstm, self.out = nn.Embedding(10, 8), nn.LSTM(8, 8), nn.Linear(8, 10)
        self.out.weight = self.embed.weight
        self.scale = nn.Parameter(torch.ones(3))
        self.never = nn.Linear(2, 2)

    def forward(self, x):
        return self.out(self.lstm(self.embed(x))[0]).mean(1) * self.scale[0]


def test_every_parameter_is_counted_once(make_learner) -> None:
    batch = (torch.randint(0, 10, (4, 5)), torch.randint(0, 10, (4,)))
    learn = make_learner(Tied(), dls=[[batch], [batch]])
    summary = learn.summary()
    total = sum(p.numel() for p in learn.model.parameters())
    assert summary.n_params == total
    assert sum(row.n_params for row in summary.rows) == total
    assert {row.name: row.n_params for row in summary.rows}["lstm"] == sum(
        p.numel() for p in learn.model.lstm.parameters()
    )
    assert summary.rows[-1].name == "never"
    assert "not called" in str(summary)


@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        (nn.Linear(6, 4), (6,), 24),
        (nn.Conv2d(3, 8, 3, padding=1), (3, 5, 7), 5 * 7 * 8 * 3 * 9),
        (nn.Conv2d(4, 8, 3, groups=2), (4, 5, 5), 9 * 8 * 2 * 9),
        (nn.ConvTranspose2d(3, 8, 2, stride=2), (3, 5, 5), 25 * 3 * 8 * 4),
    ],
)
def test_work_is_what_the_layers_multiply(make_learner, layer, shape, macs) -> None:
    batch = (torch.randn(2, *shape), torch.zeros(2))
    learn = make_learner(layer, dls=[[batch], [batch]], loss_func=lambda p, t: p.mean())
    assert learn.summary().macs == macs


def test_frozen_layers_are_told_and_nothing_is_changed(make_learner, toys) -> None:
    learn = make_learner(splitter=toys.halves)
    learn.freeze()
    learn.model[1].eval()
    modes, states = [m.training for m in learn.model.modules()], torch.get_rng_state()
    buffers = [b.clone() for b in learn.model.buffers()]
    text = str(learn.summary())
    assert "parameters, 34 trained, 40 frozen" in text
    assert [m.training for m in learn.model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), states)
    assert all(torch.equal(a, b) for a, b in zip(buffers, learn.model.buffers(), strict=True))
    assert not any(m._forward_hooks for m in learn.model.modules())
