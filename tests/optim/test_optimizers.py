from functools import partial

import pytest
import torch
from torch import nn

from laminar.core.errors import ConfigError
from laminar.optim import SGD, Adam, OptimWrapper, RMSProp


def run(opt: torch.optim.Optimizer, p: nn.Parameter, steps: int = 20) -> torch.Tensor:
    for step in range(steps):
        p.grad = torch.cos(p.detach() * (step + 1))
        opt.step()
    return p.detach().clone()


def start() -> nn.Parameter:
    return nn.Parameter(torch.linspace(-1, 1, 7, dtype=torch.float64))


def grads(p: torch.Tensor, step: int) -> torch.Tensor:
    return torch.cos(p * (step + 1))


def test_adam_follows_the_papers_formula_with_decoupled_decay() -> None:
    p, m, v = start().detach(), 0.0, 0.0
    for step in range(20):
        g = grads(p, step)
        p = p * (1 - 0.1 * 0.05)
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        p = p - 0.1 * (m / (1 - 0.9 ** (step + 1))) / ((v / (1 - 0.99 ** (step + 1))).sqrt() + 1e-5)
    ours = start()
    assert torch.allclose(run(Adam([ours], lr=0.1, wd=0.05), ours), p)


def test_adam_coupled_adds_the_decay_to_the_gradient() -> None:
    p, m, v = start().detach(), 0.0, 0.0
    for step in range(20):
        g = grads(p, step) + 0.05 * p
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        p = p - 0.1 * (m / (1 - 0.9 ** (step + 1))) / ((v / (1 - 0.99 ** (step + 1))).sqrt() + 1e-5)
    ours = start()
    assert torch.allclose(run(Adam([ours], lr=0.1, wd=0.05, decouple_wd=False), ours), p)


@pytest.mark.parametrize("mom", [0.0, 0.9])
def test_sgd_decay_does_not_pass_through_the_momentum(mom: float) -> None:
    p, average = start().detach(), 0.0
    for step in range(20):
        g = grads(p, step)
        p = p * (1 - 0.1 * 0.05)
        average = mom * average + g
        p = p - 0.1 * average
    ours = start()
    assert torch.allclose(run(SGD([ours], lr=0.1, mom=mom, wd=0.05), ours), p)


@pytest.mark.parametrize("eps", [1e-8, 0.5])
def test_rmsprop_heeds_eps_and_decoupled_decay(eps: float) -> None:
    p, v = start().detach(), 0.0
    for step in range(20):
        g = grads(p, step)
        p = p * (1 - 0.1 * 0.05)
        v = 0.99 * v + 0.01 * g * g
        p = p - 0.1 * g / (v.sqrt() + eps)
    ours = start()
    assert torch.allclose(run(RMSProp([ours], lr=0.1, eps=eps, wd=0.05), ours), p)


@pytest.mark.parametrize(
    "make", [Adam, SGD, RMSProp, partial(SGD, mom=0.9), partial(OptimWrapper, opt=torch.optim.AdamW)]
)
def test_every_optimiser_is_torchs_and_takes_torchs_schedulers(make) -> None:
    p = start()
    opt = make([p], lr=0.1)
    assert isinstance(opt, torch.optim.Optimizer)
    scheduler = torch.optim.lr_scheduler.StepLR(opt, 1, gamma=0.5)
    run(opt, p, 1)
    scheduler.step()
    assert opt.param_groups[0]["lr"] == pytest.approx(0.05)


def test_fused_kernels_are_used_where_all_parameters_allow() -> None:
    assert Adam([start()], lr=0.1).param_groups[0]["fused"]
    assert not Adam([nn.Parameter(torch.zeros(2, dtype=torch.complex64))], lr=0.1).param_groups[0]["fused"]


def test_optimwrapper_translates_names_and_returns_torchs_optimiser() -> None:
    opt = OptimWrapper([start()], opt=torch.optim.AdamW, lr=0.1, mom=0.8, sqr_mom=0.95, wd=0.3)
    assert type(opt) is torch.optim.AdamW
    assert opt.param_groups[0]["betas"] == (0.8, 0.95)
    assert opt.param_groups[0]["weight_decay"] == 0.3
    assert OptimWrapper(opt=opt) is opt
    with pytest.raises(TypeError, match="unexpected keyword argument 'momm'"):
        OptimWrapper([start()], opt=torch.optim.AdamW, momm=0.8)
    with pytest.raises(ConfigError, match="needs an optimiser"):
        OptimWrapper([start()])


def test_a_step_skipped_for_infinite_gradients_does_not_touch_the_weights() -> None:
    p = nn.Parameter(torch.ones(3))
    opt = SGD([p], lr=0.1, mom=0.9, wd=0.5)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    for gradient, expected in ((float("inf"), 1.0), (0.0, 0.95)):
        scaler.scale((p * gradient).sum()).backward()
        scaler.unscale_(opt)
        scaler.step(opt)
        scaler.update()
        opt.zero_grad()
        assert p.tolist() == pytest.approx([expected] * 3)
