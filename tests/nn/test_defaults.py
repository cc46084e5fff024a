"""What can be made without arguments can be: nothing is broken by a default."""

import inspect

import pytest
import torch

import laminar.nn
from laminar.nn import BaseLoss


def without_arguments() -> list[str]:
    """Names of the classes of modules that need no argument."""
    found = []
    for name in laminar.nn.__all__:
        kind = getattr(laminar.nn, name)
        if inspect.isclass(kind) and issubclass(kind, torch.nn.Module):
            parameters = inspect.signature(kind).parameters.values()
            if all(p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
                found.append(name)
    return found


@pytest.mark.parametrize("name", without_arguments())
def test_a_module_without_arguments_is_made_and_says_what_it_is(name: str) -> None:
    module = getattr(laminar.nn, name)()
    assert type(module).__name__ in repr(module)
    if isinstance(module, BaseLoss) and type(module) is not BaseLoss:
        classes = getattr(module, "y_int", False)
        outputs = torch.rand(4, 3, 2, 2) if name == "DiceLoss" else torch.rand(4, 3) if classes else torch.rand(4)
        targets = torch.zeros(4, 2, 2) if name == "DiceLoss" else torch.zeros(4)
        loss = module(outputs.requires_grad_(), targets.long() if classes else targets)
        loss.backward()
        assert loss.isfinite()
        assert outputs.grad is not None
        assert module.decodes(module.activation(outputs)).shape == targets.shape
