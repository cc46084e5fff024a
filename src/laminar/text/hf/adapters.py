"""LoRA of the package peft as data: what an export says of a model with adapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from laminar.core.errors import ConfigError, DataError, require

__all__ = ["adapter_as_data", "is_adapter", "with_adapter", "with_saved_adapter"]

_KEPT = (
    "r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules", "bias", "use_rslora", "use_dora",
    "modules_to_save", "fan_in_fan_out", "layers_to_transform", "layers_pattern", "rank_pattern", "alpha_pattern",
)  # fmt: skip


def adapter_as_data(hf_model: Any) -> dict[str, Any] | None:
    """The configuration of a model's adapters; None if they are not one LoRA that can be built again."""
    peft = require("peft", "hf", "a model with adapters")
    configs = list(hf_model.peft_config.values())
    if len(configs) != 1 or type(configs[0]) is not peft.LoraConfig or list(hf_model.peft_config) != ["default"]:
        return None
    said = configs[0].to_dict()
    written = {name: said[name] for name in _KEPT if said.get(name) is not None}
    task = getattr(configs[0].task_type, "value", configs[0].task_type)
    lists = {name: sorted(part) if isinstance(part, set) else part for name, part in written.items()}
    return {**lists, "task_type": task}


def with_adapter(model: Any, adapter: Mapping[str, Any]) -> Any:
    """A model of transformers with new adapters.

    Args:
        model: the model.
        adapter: what `adapter_as_data` returned.

    Raises:
        ConfigError: it holds something else.
    """
    peft = require("peft", "hf", "a model with adapters")
    strange = [name for name in adapter if name not in (*_KEPT, "task_type")]
    if strange or int(adapter.get("r", 8)) > 10_000:
        raise ConfigError(f"adapters are described by other things than {strange or adapter.get('r')}")
    return peft.get_peft_model(model, peft.LoraConfig(**adapter))


def is_adapter(folder: str | Path) -> bool:
    """Whether a folder holds adapters of peft's, not a whole model."""
    return (Path(folder) / "adapter_config.json").is_file()


def with_saved_adapter(folder: str | Path, make: Callable[[str], Any]) -> Any:
    """The model that adapters in a folder were made for, with these, to be trained further.

    Args:
        folder: of peft's ``save_pretrained``.
        make: makes the model of its name, or its folder.

    Raises:
        DataError: there are no weights, or the model that they belong to is not there.
    """
    peft = require("peft", "hf", "a model with adapters")
    if not (Path(folder) / "adapter_model.safetensors").is_file():
        raise DataError(f"{folder} has no adapter_model.safetensors; other files of weights are not read.")
    base = peft.PeftConfig.from_pretrained(str(folder)).base_model_name_or_path
    if not base:
        raise DataError(
            f"the adapters in {folder} do not say which model they belong to. Make it, and pass both together: "
            "hf_learner(dls, peft.PeftModel.from_pretrained(model, folder, is_trainable=True))."
        )
    return peft.PeftModel.from_pretrained(make(base), str(folder), is_trainable=True)
