"""Draw the pictures of docs/telemetry.md: a small residual network learns eight letters."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.utils.data import DataLoader as TorchLoader
from torch.utils.data import TensorDataset

from laminar.callbacks import LayerTelemetry, telemetry
from laminar.core import set_seed
from laminar.data import DataLoaders
from laminar.data.glyphs import glyph_item
from laminar.learner import Learner
from laminar.nn import CrossEntropyLossFlat
from laminar.vision.models.xresnet import xresnet_small

IMAGES = Path(__file__).parent.parent / "docs" / "images"
LETTERS = "ACEHKLTY"


def watched() -> LayerTelemetry:
    set_seed(0)
    items = [(glyph_item(letter, n, size=32).image, y) for n in range(60) for y, letter in enumerate(LETTERS)]
    x = torch.stack([torch.as_tensor(np.asarray(picture)) for picture, _ in items]).permute(0, 3, 1, 2).float()
    data = TensorDataset((x - x.mean()) / x.std(), torch.tensor([y for _, y in items]))
    stats = {**telemetry.DEFAULT_STATISTICS}
    stats["activations"] = (*stats["activations"], "histogram")
    found = LayerTelemetry(every=3, stats=stats)
    dls = DataLoaders(TorchLoader(data, 32, shuffle=True), TorchLoader(data, 64))
    learn = Learner(dls, xresnet_small(n_out=8), loss_func=CrossEntropyLossFlat(), default_cbs=False, cbs=found)
    learn.fit_one_cycle(6, 3e-3)
    return found


def save(drawn: Any, name: str) -> None:
    figure = drawn if hasattr(drawn, "savefig") else drawn.figure
    figure.savefig(IMAGES / f"telemetry_{name}.png", dpi=60)
    plt.close(figure)


if __name__ == "__main__":
    found = watched()
    save(found.plot_sheet(), "sheet")
    save(found.plot("update_to_weight"), "updates")
    figure, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
    found.plot_ridge("11", ax=axes[0])
    found.color_dim("11", ax=axes[1])
    save(figure, "layer")
