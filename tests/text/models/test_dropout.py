"""The dropouts of recurrent networks: what is dropped, for how long, and what stays as it was."""

import copy

import pytest
import torch
from torch import nn

from laminar.core.errors import ConfigError
from laminar.text.models.dropout import EmbeddingDropout, RNNDropout, WeightDropout, dropout_mask


def dropped_lstm(weight_p: float = 0.5) -> WeightDropout:
    torch.manual_seed(0)
    return WeightDropout(nn.LSTM(4, 6, batch_first=True), weight_p)


def no_state(n: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(1, n, 6), torch.zeros(1, n, 6)


X = torch.linspace(-1, 1, 2 * 5 * 4).view(2, 5, 4)


def test_a_mask_holds_zeros_and_what_keeps_the_mean() -> None:
    mask = dropout_mask(torch.zeros(1), (200, 50), 0.25)
    assert mask.unique().tolist() == pytest.approx([0, 4 / 3])
    assert mask.mean().item() == pytest.approx(1, abs=0.05)
    assert not dropout_mask(torch.zeros(1), (3,), 1.0).any()


def test_features_are_dropped_for_all_steps_of_a_text() -> None:
    dropout = RNNDropout(0.5)
    kept = dropout(torch.ones(3, 7, 40)) > 0
    assert torch.equal(kept, kept[:, :1].expand_as(kept))
    assert not torch.equal(kept[0], kept[1])
    assert torch.equal(dropout.eval()(X), X)
    with pytest.raises(ConfigError, match=r"p is a share from 0 to 1, got.*1\.5"):
        RNNDropout(1.5)


def test_words_are_dropped_wherever_they_occur() -> None:
    torch.manual_seed(0)
    dropout = EmbeddingDropout(nn.Embedding(10, 4), 0.5)
    words = torch.arange(10).repeat(2, 1)
    embedded = dropout(words)
    gone = (embedded == 0).all(-1)
    assert torch.equal(gone[0], gone[1])
    assert 0 < gone[0].sum() < 10
    torch.testing.assert_close(embedded[~gone], 2 * dropout.emb(words)[~gone])
    assert torch.equal(dropout.eval()(words), dropout.emb(words))


def test_an_lstm_with_dropped_weights_is_one_whose_weights_are_those() -> None:
    layer = dropped_lstm()
    torch.manual_seed(1)
    output, (hidden, cell) = layer(X, no_state())
    torch.manual_seed(1)
    mask = nn.functional.dropout(torch.ones(24, 6), 0.5)
    plain = copy.deepcopy(layer.module)
    with torch.no_grad():
        plain.weight_hh_l0 *= mask
    expected, states = plain(X, no_state())
    torch.testing.assert_close((output, hidden, cell), (expected, *states))


def test_parameters_stay_what_they_are_and_learn_through_the_mask() -> None:
    layer = dropped_lstm()
    before = copy.deepcopy(layer.state_dict())
    layer(X, no_state())[0].sum().backward()
    assert [name for name, _ in layer.named_parameters()] == [
        f"module.{name}" for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    ]
    assert all(torch.equal(layer.state_dict()[name], value) for name, value in before.items())
    assert 0 < (layer.module.weight_hh_l0.grad == 0).float().mean() < 1
    first, second = (layer(X, no_state())[0] for _ in range(2))
    assert not torch.equal(first, second)


def test_copies_and_layers_with_the_same_weights_predict_alike() -> None:
    layer, other = dropped_lstm(), WeightDropout(nn.LSTM(4, 6, batch_first=True), 0.5)
    layer(X, no_state())
    twin = copy.deepcopy(layer)
    other(X, no_state())
    other.load_state_dict(layer.state_dict())
    outputs = [part.eval()(X, no_state())[0] for part in (layer, twin, other)]
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])
    assert torch.equal(outputs[0], layer.module(X, no_state())[0])


def test_frozen_weights_get_no_gradient() -> None:
    layer = dropped_lstm()
    layer.module.weight_hh_l0.requires_grad_(False)
    layer(X, no_state())[0].sum().backward()
    assert layer.module.weight_hh_l0.grad is None
    assert layer.module.weight_ih_l0.grad is not None


def test_weights_of_any_layer_can_be_dropped() -> None:
    torch.manual_seed(0)
    layer = WeightDropout(nn.Linear(100, 1, bias=False), 0.5, "weight")
    with torch.no_grad():
        layer.module.weight.fill_(1.0)
    assert 20 < layer(torch.eye(100)).count_nonzero() < 80
    with pytest.raises(ConfigError, match=r"Linear has no parameter 'wieght'. Did you mean 'weight'"):
        WeightDropout(nn.Linear(2, 2), 0.5, "wieght")
