"""`Muon`: torch's, for the matrices, and AdamW for the parameters that are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from laminar.optim.foreach import Params

__all__ = ["Muon"]

_ADAM, _MUON = "adam", "muon"


class Muon(Optimizer):
    """torch's Muon (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024) on parameters of
    two dimensions, torch's AdamW on all others (biases, norm layers, convolutions), as its authors advise.

    Muon's rate is scaled so that its steps are as large as AdamW's (Liu et al., "Muon is scalable for LLM training",
    2025): one learning rate, Adam's, serves both. Each parameter group becomes up to two. Embeddings and the last
    layer, which the authors leave to Adam too, go there if their group says so: ``{"params": ..., "muon": False}``.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        mom: momentum of Muon, and decay of the gradient's moving average in AdamW.
        sqr_mom: AdamW's decay of the squared gradient's moving average.
        eps: AdamW's addition to the denominator.
        wd: weight decay: weights shrink by ``lr * wd``.
        nesterov: look ahead along the momentum.
        ns_steps: Newton-Schulz iterations that make a step orthogonal.
    """

    def __init__(
        self,
        params: Params,
        lr: float,
        mom: float = 0.95,
        sqr_mom: float = 0.99,
        eps: float = 1e-5,
        wd: float = 0.1,
        nesterov: bool = True,
        ns_steps: int = 5,
    ) -> None:
        self._options: dict[str, dict[str, Any]] = {
            _MUON: {"momentum": mom, "nesterov": nesterov, "ns_steps": ns_steps, "adjust_lr_fn": "match_rms_adamw"},
            _ADAM: {"betas": (mom, sqr_mom), "eps": eps},
        }
        self._steppers: dict[str, Optimizer] = {}
        # momentum in all groups, AdamW's too: torch's schedulers want one kind everywhere
        super().__init__(params, {"lr": lr, "weight_decay": wd, "momentum": mom})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group as up to two: its matrices, and all else."""
        for part in _parts(param_group):
            super().add_param_group(part)
            name = part["stepper"]
            if name in self._steppers:
                self._steppers[name].add_param_group(part)
            else:
                kind = torch.optim.Muon if name == _MUON else torch.optim.AdamW
                rates = {key: self.defaults[key] for key in ("lr", "weight_decay")}
                self._steppers[name] = kind([part], **rates, **self._options[name])

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step with each of the two.

        Args:
            closure: computes the loss again, with gradients.

        Returns:
            What the closure returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for name, stepper in self._steppers.items():
            # Loading a state gives new objects to this optimiser; they are what counts.
            stepper.param_groups = [group for group in self.param_groups if group["stepper"] == name]
            stepper.state = self.state
            for group in stepper.param_groups if name == _ADAM else []:
                group["betas"] = (group["momentum"], group["betas"][1])
            stepper.step()
        return loss

    def __getstate__(self) -> dict[str, Any]:
        """What copies and worker processes need."""
        return {**super().__getstate__(), "_steppers": self._steppers, "_options": self._options}


def _parts(group: dict[str, Any]) -> list[dict[str, Any]]:
    """A group as up to two, each with the name of the optimiser that steps it."""
    weights = group["params"]
    members: list[Tensor] = [weights] if isinstance(weights, Tensor) else list(weights)
    matrices = [weight for weight in members if weight.ndim == 2 and group.get("muon", True)]
    chosen = {id(weight) for weight in matrices}
    others = [weight for weight in members if id(weight) not in chosen]
    rest = {key: value for key, value in group.items() if key not in ("params", "muon")}
    parts = [{**rest, "params": own, "stepper": name} for name, own in ((_MUON, matrices), (_ADAM, others)) if own]
    return parts or [{**rest, "params": [], "stepper": _ADAM}]
