import pytest
import torch
from torch import nn

from laminar.core.errors import ConfigError
from laminar.optim import (
    SGD,
    Adam,
    HyperSetter,
    decay_groups,
    get_hyper,
    hyper_names,
    layer_groups,
    match_layout,
    n_layer_groups,
    set_hyper,
    spread,
    trainable_params,
)


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def halves(m: nn.Sequential) -> list[list[nn.Parameter]]:
    return [list(m[:2].parameters()), list(m[2].parameters())]


def test_default_splitter_makes_one_group_of_what_trains() -> None:
    model = net()
    model[0].requires_grad_(False)
    assert [len(group) for group in layer_groups(model, trainable_params)] == [4]


@pytest.mark.parametrize(
    ("splitter", "message"),
    [
        (lambda m: [m[0], m[2]], "a Parameter|a Linear|not iterable|must return"),
        (lambda m: [list(m.parameters()), list(m[0].parameters())], "twice"),
        (lambda m: [[], []], "no parameters to train"),
        (lambda m: [[m[0]]], "put a Linear into group 0"),
    ],
)
def test_a_wrong_splitter_is_named(splitter, message) -> None:
    with pytest.raises((ConfigError, TypeError), match=message):
        layer_groups(net(), splitter)


def test_norm_layers_and_biases_get_groups_without_decay() -> None:
    model = net()
    groups = decay_groups(model, halves(model))
    assert [(g["layer_group"], g["decays"], len(g["params"])) for g in groups] == [
        (0, True, 1),
        (0, False, 3),
        (1, True, 1),
        (1, False, 1),
    ]
    assert len(decay_groups(model, halves(model), wd_bn_bias=True)) == 2


def test_biases_of_recurrent_and_attention_layers_are_biases() -> None:
    model = nn.ModuleList([nn.LSTM(2, 3), nn.MultiheadAttention(4, 2)])
    spared = decay_groups(model, [list(model.parameters())])[1]["params"]
    assert all(p.ndim == 1 for p in spared)
    assert len(spared) == 4


def test_weight_decay_spares_norm_and_bias_under_any_schedule() -> None:
    model = net()
    opt = Adam(decay_groups(model, halves(model)), lr=0.1)
    for group in opt.param_groups:
        if not group["decays"]:
            group["weight_decay"] = 0.0
    set_hyper(opt, "wd", 0.3)
    assert [g["weight_decay"] for g in opt.param_groups] == [0.3, 0.0, 0.3, 0.0]


def test_hyperparameters_are_set_for_layer_groups_by_fastai_names() -> None:
    model = net()
    opt = Adam(decay_groups(model, halves(model)), lr=0.1)
    assert n_layer_groups(opt) == 2
    set_hyper(opt, "lr", slice(1e-4, 1e-2))
    set_hyper(opt, "mom", 0.8)
    set_hyper(opt, "sqr_mom", [0.9, 0.95])
    assert get_hyper(opt, "lr") == pytest.approx([1e-4, 1e-2])
    assert [g["betas"] for g in opt.param_groups] == [(0.8, 0.9), (0.8, 0.9), (0.8, 0.95), (0.8, 0.95)]
    assert hyper_names(opt) == ["lr", "mom", "sqr_mom", "eps", "wd"]


def test_spread_reads_numbers_slices_and_lists() -> None:
    assert spread(slice(1.0), 3) == [0.1, 0.1, 1.0]
    assert spread(slice(1e-3, 1e-1), 3) == pytest.approx([1e-3, 1e-2, 1e-1])
    assert spread(slice(1e-3, 1e-1), 1) == [1e-1]
    assert spread(0.5, 2) == [0.5, 0.5]
    with pytest.raises(ConfigError, match=r"lr has 2 values \[1.0, 2.0\], but the model has 3 parameter groups"):
        spread([1, 2], 3)


def test_unknown_hyperparameter_is_named_with_those_there_are() -> None:
    opt = SGD(net().parameters(), lr=0.1)
    with pytest.raises(ConfigError, match=r"no hyper-parameter 'momm'.*'mom'.*It has: lr, mom"):
        HyperSetter(opt, "momm")


def test_state_takes_the_memory_layout_of_its_parameter() -> None:
    conv = nn.Conv2d(3, 4, 3)
    opt = Adam(conv.parameters(), lr=0.1)
    conv(torch.randn(2, 3, 5, 5)).sum().backward()
    opt.step()
    before = opt.state[conv.weight]["exp_avg"].clone()
    conv.to(memory_format=torch.channels_last)
    match_layout(opt)
    after = opt.state[conv.weight]["exp_avg"]
    assert after.stride() == conv.weight.stride()
    assert torch.equal(before, after)
