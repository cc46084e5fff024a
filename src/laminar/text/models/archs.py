"""Which architectures have names, and what arguments they take."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, TypeAlias

from laminar.core.errors import ConfigError, suggest
from laminar.text.models.awd_lstm import AWD_LSTM, AWD_QRNN
from laminar.text.models.encoder import TextEncoder
from laminar.text.models.transformer import TextTransformer

__all__ = ["TextArch", "arch_recipe", "config_of", "encoder_arguments", "text_arch"]

TextArch: TypeAlias = type[TextEncoder] | str

_OURS: dict[str, type[TextEncoder]] = {arch.__name__: arch for arch in (AWD_LSTM, AWD_QRNN, TextTransformer)}


def text_arch(arch: TextArch) -> type[TextEncoder]:
    """The class of an encoder, given itself or by its name.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(arch, str) and arch in _OURS:
        return _OURS[arch]
    if isinstance(arch, type) and issubclass(arch, TextEncoder):
        return arch
    if isinstance(arch, str):
        raise ConfigError(
            f"no encoder of texts is called {arch!r}.{suggest(arch, _OURS)} There are {', '.join(_OURS)}."
        )
    name = arch.__name__ if isinstance(arch, type) else type(arch).__name__
    raise ConfigError(
        f"arch must be a class of encoders, such as AWD_LSTM, got {name}. One of your own derives from TextEncoder."
    )


def arch_recipe(arch: TextArch) -> TextArch:
    """The name of one of our architectures, for files; any other as it is."""
    found = text_arch(arch)
    return found.__name__ if _OURS.get(found.__name__) is found else found


def encoder_arguments(arch: type[TextEncoder]) -> list[str]:
    """The names of the arguments of an encoder's constructor, but for the vocabulary's size."""
    return [name for name in inspect.signature(arch).parameters if name != "vocab_sz"]


def config_of(default: Mapping[str, Any], config: Mapping[str, Any] | None, drop_mult: float) -> dict[str, Any]:
    """The default arguments, those in `config` in their place, with all dropouts times `drop_mult`."""
    if drop_mult < 0:
        raise ConfigError(f"drop_mult is a factor from 0 on, got {drop_mult}.")
    arguments = {**default, **(config or {})}
    return {name: value * drop_mult if name.endswith("_p") else value for name, value in arguments.items()}
