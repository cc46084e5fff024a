"""What a report of a mistake should say about the machine it happened on."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import torch

__all__ = ["describe_install", "show_install"]

_PACKAGES = ("laminar", "torch", "torchvision", "numpy", "pillow", "matplotlib", "pandas", "timm", "safetensors")


def describe_install() -> str:
    """Versions of Python, packages and drivers, and the devices there are, one on each line."""
    lines = [f"python      {sys.version.split()[0]} on {platform.platform()}"]
    lines += [f"{name:<11} {_version(name)}" for name in _PACKAGES]
    if torch.cuda.is_available():
        devices = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        names = ", ".join(f"{device.name} ({device.total_memory // 2**20} MiB)" for device in devices)
        lines.append(f"cuda        {torch.version.cuda}: {names}")
    lines.append(f"mps         {'yes' if torch.backends.mps.is_available() else 'no'}")
    lines.append(f"threads     {torch.get_num_threads()}")
    return "\n".join(lines)


def show_install(show_nvidia_smi: bool = False) -> None:
    """Print what to put into a report of a mistake.

    Args:
        show_nvidia_smi: also print what the driver's tool says, where there is one.
    """
    print(describe_install())
    tool = shutil.which("nvidia-smi")
    if show_nvidia_smi:
        if tool is None:
            print("nvidia-smi  is not installed")
        else:
            print(subprocess.run([tool], capture_output=True, text=True, check=False).stdout)  # a fixed tool


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
