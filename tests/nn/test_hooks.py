"""Hooks see what goes through layers, and never stay behind."""

import copy
import io

import pytest
import torch
from torch import nn

from laminar.core.errors import ConfigError
from laminar.nn import (
    Hook,
    Hooks,
    dummy_eval,
    hook_input,
    hook_inputs,
    hook_output,
    hook_outputs,
    in_channels,
    model_sizes,
    num_features_model,
)


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def hooks_on(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._backward_hooks) for m in model.modules())


def test_outputs_and_inputs_are_kept_after_the_hooks_came_off() -> None:
    model, x = net(), torch.randn(5, 3)
    with hook_outputs(model) as outputs, hook_inputs(model) as inputs:
        out = model(x)
    assert hooks_on(model) == 0
    assert all(hook.removed for hook in outputs)
    assert torch.equal(outputs.stored[2], out)
    assert not outputs.stored[2].requires_grad
    assert inputs.stored[0][0].equal(x)
    assert inputs.stored[2][0].equal(outputs.stored[1])


def test_outputs_keep_their_graph_if_asked() -> None:
    model = net()
    with hook_output(model[0], detach=False) as hook:
        model(torch.randn(5, 3))
    assert hook.stored.grad_fn is not None


def test_nested_outputs_and_inputs_by_name_are_seen() -> None:
    class Dicts(nn.Module):
        def forward(self, a, *, b):
            return {"sum": a + b, "both": (a, [b])}

    model, one = Dicts(), torch.ones(2, requires_grad=True)
    with hook_output(model) as output, hook_input(model) as given:
        model(one, b=one * 2)
    assert output.stored["sum"].tolist() == [3, 3]
    assert not output.stored["both"][1][0].requires_grad
    assert [part.tolist() for part in given.stored] == [[1, 1], [2, 2]]


def test_gradients_by_outputs_are_those_of_autograd() -> None:
    model, x = net(), torch.randn(5, 3)
    hidden = model[:2](x)
    expected = torch.autograd.grad(model[2](hidden).square().sum(), hidden)[0]
    with hook_output(model[1], grad=True) as hook, Hook(model[2], lambda m, i, o: i[0], is_forward=False) as inputs:
        model(x).square().sum().backward()
    assert torch.allclose(hook.stored[0], expected)
    assert torch.allclose(inputs.stored, expected)


def test_gradients_are_seen_where_the_next_layer_changes_the_output_in_place() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(inplace=True), nn.Linear(4, 1))
    with hook_outputs(model, grad=True) as hooks:
        model(torch.randn(5, 3)).sum().backward()
    assert [hook.stored[0].shape[1] for hook in hooks] == [4, 4, 4, 1]


def test_the_backward_pass_after_a_gradient_hook_came_off_calls_nothing() -> None:
    model = net()
    with hook_output(model[0], grad=True) as hook:
        loss = model(torch.randn(5, 3)).sum()
    loss.backward()
    assert hook.stored is None


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_hooks_come_off_after_any_way_of_leaving(error: type[BaseException]) -> None:
    model = net()
    counts = []

    def fail(module: nn.Module, inputs: object, output: object) -> None:
        counts.append(hooks_on(model))
        raise error

    with pytest.raises(error), hook_outputs(model), Hook(model, fail):
        model(torch.zeros(1, 3))
    assert counts == [4]
    assert hooks_on(model) == 0


def test_no_hook_stays_on_when_one_cannot_be_put_on() -> None:
    model = net()
    with pytest.raises(AttributeError):
        Hooks([model[0], "no layer"], lambda m, i, o: None)
    assert hooks_on(model) == 0


def test_copies_of_a_hooked_model_are_made_without_the_hook() -> None:
    seen = []
    model = net()
    with Hook(model, lambda m, i, o: seen.append(o)) as hook:
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        copies = [copy.deepcopy(model), torch.load(file, weights_only=False)]
        for other in copies:
            other(torch.zeros(1, 3))
        assert not seen
        copied_hook = copy.deepcopy(hook)
        assert copied_hook.removed
        copied_hook.remove()
        model(torch.zeros(1, 3))
    assert len(seen) == 1


def test_a_compiled_model_sees_hooks_that_came_before_and_under_force_eager_those_that_came_later() -> None:
    model = net()
    with hook_output(model[0]) as hook:
        torch.compile(model, backend="eager")(torch.zeros(1, 3))
    assert hook.stored.shape == (1, 4)
    compiled = torch.compile(model, backend="eager")
    compiled(torch.zeros(1, 3))
    with hook_output(model[0]) as hook, torch.compiler.set_stance("force_eager"):
        compiled(torch.zeros(2, 3))
    assert hook.stored.shape == (2, 4)


def test_channels_in_are_those_of_the_first_convolution_also_with_groups() -> None:
    assert in_channels(nn.Sequential(nn.BatchNorm2d(6), nn.Conv2d(6, 12, 3, groups=3))) == 6
    assert in_channels(nn.Sequential(nn.Linear(2, 3), nn.Conv1d(5, 1, 1))) == 5
    assert in_channels(net()) == 3
    assert dummy_eval(net(), ()).shape == (1, 2)
    with pytest.raises(ConfigError, match="ReLU has no convolution"):
        in_channels(nn.ReLU())


def test_sizes_are_measured_and_the_model_is_left_as_found() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.Dropout())
    model[1].eval()
    modes, state = [m.training for m in model.modules()], torch.get_rng_state()
    assert model_sizes(model, (16, 16)) == [(1, 4, 8, 8)] * 3
    assert num_features_model(model) == 4
    assert [m.training for m in model.modules()] == modes
    assert torch.equal(state, torch.get_rng_state())
    assert model[1].num_batches_tracked == 0
    assert hooks_on(model) == 0


def test_sizes_of_a_layer_that_is_not_used_are_an_error_that_names_it() -> None:
    class Lazy(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.spare = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)

        def forward(self, x):
            return self.used(x)

    with pytest.raises(ConfigError, match="spare"):
        model_sizes(Lazy())


def test_features_are_found_with_a_larger_picture_if_the_first_is_too_small() -> None:
    assert num_features_model(nn.Sequential(nn.Conv2d(3, 7, 50), nn.AdaptiveAvgPool2d(1))) == 7
    with pytest.raises(ConfigError, match="runs on no picture"):
        num_features_model(nn.Sequential(nn.Conv2d(3, 7, 1), nn.Linear(17, 1)))
