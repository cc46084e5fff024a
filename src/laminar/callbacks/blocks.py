"""The pieces of a network that are called one after the other: where to mix, what to compute twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from torch import nn

from laminar.core.errors import ConfigError, describe

__all__ = ["Blocks", "blocks_of", "chosen_blocks"]

Blocks = Callable[[nn.Module], Iterable[nn.Module]]

_FEWEST = 3
_CONTAINERS = (nn.Sequential, nn.ModuleList)


def blocks_of(model: nn.Module) -> list[nn.Module]:
    """The blocks of `model` in order: what is inside its containers, from as far inside as there are three.

    >>> body = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Sequential(nn.Linear(2, 2)))
    >>> [type(block).__name__ for block in blocks_of(nn.Sequential(body, nn.Linear(2, 1)))]
    ['Linear', 'ReLU', 'Linear', 'Linear']
    """
    blocks = _opened([model])
    while len([block for block in blocks if _has_parameters(block)]) < _FEWEST:
        opened = _opened([child for block in blocks for child in (list(block.children()) or [block])])
        if opened == blocks:
            break
        blocks = opened
    return list(dict.fromkeys(blocks))


def chosen_blocks(model: nn.Module, choice: Blocks | None, default: Sequence[nn.Module], who: str) -> list[nn.Module]:
    """The blocks that a user's function chooses, or `default`.

    Raises:
        ConfigError: something is no module of the model, or there is none.
    """
    blocks = list(default if choice is None else choice(model))
    own = set(model.modules())
    for block in blocks:
        if block not in own:
            raise ConfigError(f"{who}: {describe(block)} is no module of {type(model).__name__}.")
    if not blocks:
        raise ConfigError(
            f"{who} finds no blocks in {type(model).__name__}; say which, from the model:"
            f" {who}(modules=lambda m: list(m.encoder))."
        )
    return blocks


def _opened(modules: Iterable[nn.Module]) -> list[nn.Module]:
    found: list[nn.Module] = []
    for module in modules:
        found += _opened(module.children()) if isinstance(module, _CONTAINERS) else [module]
    return found


def _has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None
