"""Choosing and starting parameters."""

import torch
from torch import nn

from laminar.nn.parameters import (
    Module,
    apply_init,
    get_model,
    has_params,
    one_param,
    params,
    requires_grad,
)
from laminar.optim import norm_bias_params


class Net(Module):
    def __init__(self, width: int = 4):
        self.conv, self.norm, self.head = nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Linear(width, 2)

    def forward(self, x):
        return self.head(self.norm(self.conv(x)).mean((2, 3)))


class Inherits(Net):
    def __init__(self):
        super().__init__(width=5)
        self.extra = nn.Linear(2, 2)


class Ceremonious(Module):
    def __init__(self):
        self.first = nn.Linear(1, 1)
        super().__init__()


def test_modules_need_no_call_of_their_parents_constructor() -> None:
    net = Net()
    assert net(torch.zeros(2, 3, 8, 8)).shape == (2, 2)
    assert len(params(net)) == 6
    assert len(params(Inherits())) == 8
    assert len(params(Ceremonious())) == 2


def test_parameters_are_found() -> None:
    net = Net()
    assert one_param(net) is net.conv.weight
    assert has_params(net)
    assert not has_params(nn.ReLU())
    assert requires_grad(net)
    assert not requires_grad(nn.ReLU())
    net.requires_grad_(False)
    assert not requires_grad(net)
    assert get_model(nn.DataParallel(net)) is net
    assert get_model(net) is net


def test_parameters_of_norms_and_biases_are_told_apart() -> None:
    net = Net()
    norm = [net.norm.weight, net.norm.bias]
    assert set(map(id, norm_bias_params(net, with_bias=False))) == set(map(id, norm))
    assert set(map(id, norm_bias_params(net))) == set(map(id, [*norm, net.conv.bias, net.head.bias]))


def test_starting_leaves_norms_alone_and_zeroes_biases() -> None:
    net = Net()
    nn.init.constant_(net.norm.weight, 3.0)
    apply_init(net, lambda weight: nn.init.constant_(weight, 7.0))
    assert net.conv.weight.eq(7).all()
    assert net.head.weight.eq(7).all()
    assert net.conv.bias.eq(0).all()
    assert net.norm.weight.eq(3).all()
