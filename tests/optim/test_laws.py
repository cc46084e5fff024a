"""What every optimiser here has to do, whatever its formula."""

import copy
import json
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from laminar.core.errors import ConfigError
from laminar.learner.saving import load_model, save_model
from laminar.optim import (
    SGD,
    Adam,
    Lamb,
    Larc,
    Lion,
    Lookahead,
    Muon,
    QHAdam,
    RAdam,
    RMSProp,
    decay_groups,
    get_hyper,
    hyper_names,
    layer_groups,
    ranger,
    set_hyper,
)

Make = Callable[..., torch.optim.Optimizer]


def looking_ahead(params, lr: float) -> Lookahead:
    return Lookahead(SGD(params, lr, mom=0.9), k=3)


OPTIMISERS: dict[str, Make] = {
    "Adam": Adam,
    "SGD": partial(SGD, mom=0.9),
    "RMSProp": RMSProp,
    "RAdam": RAdam,
    "RAdam calibrated": partial(RAdam, beta=50.0),
    "Lamb": Lamb,
    "Larc": Larc,
    "QHAdam": QHAdam,
    "Lion": Lion,
    "Muon": Muon,
    "Lookahead": looking_ahead,
    "ranger": ranger,
}
every = pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS.keys())


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.Flatten(), nn.Linear(12, 2))


def groups_of(model: nn.Sequential) -> list[dict]:
    halves = layer_groups(model, lambda m: [list(m[:2].parameters()), list(m[2:].parameters())])
    return decay_groups(model, halves)


def train(model: nn.Module, opt: torch.optim.Optimizer, first: int, last: int) -> None:
    for step in range(first, last):
        generator = torch.Generator().manual_seed(step)
        model(torch.randn(8, 2, 6, generator=generator)).square().mean().backward()
        opt.step()
        opt.zero_grad()


def weights(model: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in model.parameters()]


def same(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def continued(make: Make, restore: Callable[..., None]) -> None:
    """Train for 8 steps; then again from what `restore` brought over after 4."""
    model = net()
    opt = make(groups_of(model), lr=0.01)
    train(model, opt, 0, 4)
    other = net()
    fresh = make(groups_of(other), lr=0.5)
    restore(model, opt, other, fresh)
    train(model, opt, 4, 12)
    train(other, fresh, 4, 12)
    assert same(weights(model), weights(other))


@every
def test_a_state_dict_continues_to_the_bit(make: Make) -> None:
    def restore(model, opt, other, fresh) -> None:
        other.load_state_dict(model.state_dict())
        fresh.load_state_dict(copy.deepcopy(opt.state_dict()))

    continued(make, restore)


@every
def test_a_saved_file_continues_to_the_bit(make: Make, tmp_path) -> None:
    def restore(model, opt, other, fresh) -> None:
        load_model(save_model(tmp_path / "weights", model, opt), other, fresh)

    continued(make, restore)


@every
def test_a_copy_of_model_and_optimiser_continues_to_the_bit(make: Make) -> None:
    model = net()
    opt = make(groups_of(model), lr=0.01)
    train(model, opt, 0, 4)
    other, fresh = copy.deepcopy((model, opt))
    train(model, opt, 4, 12)
    between = weights(model)
    train(other, fresh, 4, 12)
    assert same(between, weights(other))
    assert same(between, weights(model))


@every
def test_torchs_schedulers_move_its_rate(make: Make) -> None:
    model = net()
    opt = make(groups_of(model), lr=0.1)
    assert isinstance(opt, torch.optim.Optimizer)
    scheduler = torch.optim.lr_scheduler.StepLR(opt, 1, gamma=0.5)
    train(model, opt, 0, 1)
    scheduler.step()
    assert [group["lr"] for group in opt.param_groups] == pytest.approx([0.05] * len(opt.param_groups))


@pytest.mark.parametrize("name", sorted(OPTIMISERS))
def test_torchs_one_cycle_moves_its_momentum(name: str) -> None:
    model = net()
    opt = OPTIMISERS[name](groups_of(model), lr=0.1)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.1, total_steps=10, base_momentum=0.5)
    before = get_hyper(opt, "mom")
    for step in range(3):
        train(model, opt, step, step + 1)
        scheduler.step()
    assert all(now < then for now, then in zip(get_hyper(opt, "mom"), before, strict=True))


@every
def test_hyper_parameters_are_set_by_their_names_for_each_layer_group(make: Make) -> None:
    model = net()
    opt = make(groups_of(model), lr=0.1)
    set_hyper(opt, "lr", slice(0.01, 0.1))
    assert get_hyper(opt, "lr") == pytest.approx([0.01, 0.1])
    for name, value in (("mom", 0.5), ("wd", 0.25)):
        assert name in hyper_names(opt)
        set_hyper(opt, name, value)
        assert get_hyper(opt, name) == [value, value]


@every
def test_norm_layers_and_biases_do_not_decay(make: Make) -> None:
    model = net()
    opt = make(groups_of(model), lr=0.01)
    for group in opt.param_groups:  # as a learner makes them
        for entry in ("weight_decay", "decoupled_decay"):
            if entry in group and not group["decays"]:
                group[entry] = 0.0
    set_hyper(opt, "wd", 10.0)
    before = weights(model)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    opt.step()
    shrunk = [not torch.equal(a, b) for a, b in zip(before, weights(model), strict=True)]
    assert shrunk == [p.ndim > 1 for p in model.parameters()]


@every
def test_a_step_skipped_by_the_scaler_changes_nothing(make: Make) -> None:
    model = net()
    opt = make(groups_of(model), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    before = weights(model)
    for factor in (float("inf"), 1.0):
        loss = model[0].weight.sum() * factor + sum(p.sum() for p in model.parameters())
        scaler.scale(loss).backward()
        scaler.unscale_(opt)
        scaler.step(opt)
        scaler.update()
        opt.zero_grad()
        assert same(before, weights(model)) == (factor != 1.0)
    assert all(torch.isfinite(w).all() for w in weights(model))


@every
def test_a_closure_is_called_with_gradients_and_its_loss_returned(make: Make) -> None:
    model = net()
    opt = make(groups_of(model), lr=0.01)

    def closure() -> torch.Tensor:
        opt.zero_grad()
        loss = model(torch.ones(4, 2, 6)).square().mean()
        loss.backward()
        return loss

    set_hyper(opt, "wd", 0.5)
    assert opt.step(closure).item() > 0
    by_closure, model = weights(model), net()
    other = make(groups_of(model), lr=0.01)
    set_hyper(other, "wd", 0.5)
    model(torch.ones(4, 2, 6)).square().mean().backward()
    other.step()
    assert same(by_closure, weights(model))


@every
def test_what_is_saved_is_json_and_tensors(make: Make) -> None:
    model = net()
    opt = make(groups_of(model), lr=0.01)
    train(model, opt, 0, 2)
    for group in opt.param_groups:
        json.dumps({key: value for key, value in group.items() if key != "params"})
    for state in opt.state.values():
        assert all(isinstance(value, torch.Tensor | int | float) for value in state.values() if value is not None)


@pytest.mark.parametrize("make", [Lamb, Larc, QHAdam, Lion, partial(RAdam, beta=50.0)])
def test_wrong_hyper_parameters_and_gradients_are_named(make: Make) -> None:
    weight = nn.Parameter(torch.ones(3))
    with pytest.raises(ConfigError, match=r"lr must be a number, 0 or more, got -0\.1"):
        make([weight], lr=-0.1)
    with pytest.raises(ConfigError, match=r"a share from 0 to below 1, got 1\.5"):
        make([weight], lr=0.1, mom=1.5)
    embedding = nn.Embedding(4, 2, sparse=True)
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(ConfigError, match=r"does not take sparse gradients, as a weight of shape \(4, 2\)"):
        make(embedding.parameters(), lr=0.1).step()


def test_lookahead_wants_an_optimiser_and_says_how_to_write_one() -> None:
    with pytest.raises(ConfigError, match="lambda params"):
        Lookahead([nn.Parameter(torch.ones(3))])  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="k of at least 1"):
        Lookahead(SGD([nn.Parameter(torch.ones(3))], 0.1), k=0)


def test_muon_leaves_a_group_to_adam_that_says_so_and_takes_groups_later() -> None:
    head, body = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    opt = Muon([{"params": [head], "muon": False}], lr=0.1)
    opt.add_param_group({"params": [body]})
    head.grad = body.grad = torch.eye(2)
    opt.step()
    assert "exp_avg" in opt.state[head]
    assert "momentum_buffer" in opt.state[body]


def test_the_momentum_of_muon_is_that_of_adam_beside_it() -> None:
    model = net()
    opt = Muon(groups_of(model), lr=0.1)
    set_hyper(opt, "mom", 0.5)
    train(model, opt, 0, 1)
    assert {group["momentum"] for group in opt.param_groups} == {0.5}
    assert {group["betas"][0] for group in opt.param_groups if "betas" in group} == {0.5}


@every
def test_a_weight_without_a_gradient_stays_where_it_is(make: Make) -> None:
    model = net()
    opt = make(groups_of(model), lr=0.1)
    train(model, opt, 0, 2)  # which gives it momentum
    unused, before = model[3].weight, model[3].weight.detach().clone()
    for step in range(3):
        generator = torch.Generator().manual_seed(step)
        model[:3](torch.randn(8, 2, 6, generator=generator)).square().mean().backward()
        assert unused.grad is None
        opt.step()
        opt.zero_grad()
    assert torch.equal(unused, before) or isinstance(opt, Lookahead)  # whose slow weights may be met
    assert all(weight.grad is None for weight in model.parameters())


@every
def test_loading_a_state_leaves_what_was_given_alone(make: Make) -> None:
    model = net()
    opt = make(groups_of(model), lr=0.1)
    train(model, opt, 0, 4)
    state = opt.state_dict()
    kept = copy.deepcopy(state)
    fresh = make(groups_of(net()), lr=0.3)
    fresh.load_state_dict(state)
    assert same_state(state, kept)


def same_state(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_state(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same_state, a, b))
    return bool(a == b)


class Operations(TorchDispatchMode):
    """Counts what torch is asked to do."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


# torch's own Muon makes each matrix orthogonal by itself, and its RAdam reads how many steps each tensor has taken
@pytest.mark.parametrize("name", sorted(OPTIMISERS.keys() - {"Muon", "RAdam", "RAdam calibrated", "ranger"}))
def test_a_step_asks_no_more_of_torch_for_many_tensors_than_for_few(name: str) -> None:
    counts = []
    for n in (20, 200):
        weights = [nn.Parameter(torch.ones(3)) for _ in range(n)]
        opt = OPTIMISERS[name](weights, lr=0.1)
        for _ in range(4):  # states are made in the first, and Lookahead meets its slow weights in the third
            for weight in weights:
                weight.grad = torch.ones(3)
            with Operations() as operations:
                opt.step()
        counts.append(operations.count)
    assert counts[1] <= counts[0] + 2, counts
