"""Quasi-recurrent layers against their definition, one step after the other."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from laminar.core.errors import ConfigError
from laminar.text.models.qrnn import QRNN, QRNNLayer, linear_recurrence


def one_after_the_other(keep, new, first):
    states = []
    for step in range(keep.shape[1]):
        first = keep[:, step] * first + new[:, step]
        states.append(first)
    return torch.stack(states, 1)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 24), st.one_of(st.none(), st.integers(1, 30)))
def test_the_scan_is_the_recurrence_and_so_are_its_gradients(steps: int, block: int | None) -> None:
    generator = torch.Generator().manual_seed(steps)
    made = [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((2, steps, 3),) * 3]
    inputs = [made[0].sigmoid().requires_grad_(), made[1].requires_grad_(), made[2][:, 0].clone().requires_grad_()]
    weights = torch.randn(2, steps, 3, generator=generator, dtype=torch.float64)
    fast, slow = linear_recurrence(*inputs, block), one_after_the_other(*inputs)
    torch.testing.assert_close(fast, slow, rtol=1e-12, atol=1e-12)
    fast_grads = torch.autograd.grad((fast * weights).sum(), inputs)
    slow_grads = torch.autograd.grad((slow * weights).sum(), inputs)
    torch.testing.assert_close(fast_grads, slow_grads, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("window", [1, 2, 3])
@pytest.mark.parametrize("output_gate", [True, False])
def test_a_layer_is_the_formula_of_the_paper(window: int, output_gate: bool) -> None:
    torch.manual_seed(0)
    layer = QRNNLayer(4, 5, window=window, output_gate=output_gate).double()
    x = torch.randn(2, 9, 4, dtype=torch.float64)
    shown, (cell, _) = layer(x)
    padded = torch.cat([torch.zeros(2, window - 1, 4), x], 1)
    state, expected = torch.zeros(2, 5), []
    for step in range(9):
        parts = layer.linear(padded[:, step : step + window].flatten(1)).chunk(3 if output_gate else 2, 1)
        forget = parts[1].sigmoid()
        state = forget * state + (1 - forget) * parts[0].tanh()
        expected.append(parts[2].sigmoid() * state if output_gate else state)
    torch.testing.assert_close(shown, torch.stack(expected, 1))
    torch.testing.assert_close(cell[0], state)


@pytest.mark.parametrize("steps", [3, 2000])
def test_half_precision_remembers_as_long_as_single_does(steps: int) -> None:
    torch.manual_seed(0)
    layer = QRNNLayer(4, 5, window=2)
    with torch.no_grad():
        layer.linear.bias[5:10] = 7  # forget gates of 0.999, which bfloat16 would take for 1
    x = torch.randn(2, steps, 4)
    expected, (cell, _) = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        shown, (half, words) = layer(x)
        again, _ = layer(x, (half, words))
    assert shown.dtype == torch.bfloat16
    assert cell.abs().max() > (0.2 if steps == 2000 else 0)
    torch.testing.assert_close(half, cell, atol=0.02, rtol=0.02)
    torch.testing.assert_close(shown.float(), expected, atol=0.02, rtol=0.02)
    again.float().sum().backward()
    assert layer.linear.weight.grad is not None
    assert torch.isfinite(layer.linear.weight.grad).all()


@pytest.mark.parametrize("block", [None, 1, 37, 71])
def test_long_sequences_are_scanned_as_exactly_as_step_by_step(block: int | None) -> None:
    generator = torch.Generator().manual_seed(0)
    made = [torch.rand(1, 5000, 2, generator=generator, dtype=torch.float64) for _ in range(2)]
    inputs = (0.99 + 0.01 * made[0], made[1] - 0.5, made[0][:, 0])
    exact = one_after_the_other(*inputs)
    single = linear_recurrence(*(part.float() for part in inputs), block)
    torch.testing.assert_close(single.double(), exact, atol=1e-4 * float(exact.abs().max()), rtol=0)


def test_several_layers_read_on_where_they_ended() -> None:
    torch.manual_seed(0)
    network = QRNN(4, 5, n_layers=2).double().eval()
    x = torch.randn(3, 8, 4, dtype=torch.float64)
    whole, _ = network(x)
    first, states = network(x[:, :1])
    rest, _ = network(x[:, 1:], states)
    torch.testing.assert_close(torch.cat([first, rest], 1), whole)


def test_zoned_out_features_keep_their_state() -> None:
    torch.manual_seed(0)
    layer = QRNNLayer(4, 50, output_gate=False, zoneout=0.5)
    states, _ = layer(torch.randn(1, 6, 4))
    kept = (states[:, 1:] == states[:, :-1]).float().mean()
    assert 0.3 < kept < 0.7
    assert not (lambda s: (s[:, 1:] == s[:, :-1]).any())(layer.eval()(torch.randn(1, 6, 4))[0])


def test_numbers_that_make_no_layer_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"got 0 and 0\.0"):
        QRNNLayer(2, 2, window=0)
    with pytest.raises(ConfigError, match="got 1 and 1"):
        QRNNLayer(2, 2, zoneout=1)
