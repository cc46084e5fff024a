"""What was measured: values by layer, kind and statistic over batches, in bounded memory."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from laminar.core.errors import ConfigError, require, suggest

__all__ = ["Key", "Layout", "Record", "Series"]

Key = tuple[str, str, str]
"""Layer, kind (``"activations"``, ...), statistic."""


@dataclass(frozen=True)
class Series:
    """One statistic of one layer over batches.

    Attributes:
        layer: its name.
        of: what was measured.
        stat: the statistic.
        batches: numbers of the batches, ``[n]``.
        values: ``[n]``, or ``[n, parts]`` where the statistic has several values.
        parts: their names, if they have any.
    """

    layer: str
    of: str
    stat: str
    batches: np.ndarray[Any, Any]
    values: np.ndarray[Any, Any]
    parts: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.batches)

    def __str__(self) -> str:
        return f"{self.layer}: {self.stat} of {self.of}"


@dataclass(frozen=True)
class Layout:
    """What the values of a sample are of, in order.

    Attributes:
        keys: of each measure.
        sizes: how many values it has.
    """

    keys: tuple[Key, ...]
    sizes: tuple[int, ...]

    def places(self) -> dict[Key, slice]:
        """Where each measure's values are."""
        ends = np.cumsum(self.sizes).tolist()
        return {key: slice(end - size, end) for key, size, end in zip(self.keys, self.sizes, ends, strict=True)}


class Record:
    """Samples: for each sampled batch the values of all measures, one float32 vector.

    Args:
        parts: names of a statistic's values, by kind and statistic.
    """

    def __init__(self, parts: dict[tuple[str, str], tuple[str, ...]] | None = None) -> None:
        self.parts = parts or {}
        self._batches: list[int] = []
        self._samples: list[tuple[int, Tensor]] = []  # number of the layout, values
        self._layouts: dict[Layout, int] = {}
        self._places: list[dict[Key, slice]] = []

    def __len__(self) -> int:
        return len(self._batches)

    @property
    def last_batch(self) -> int:
        """The number of the last sampled batch; -1 before the first."""
        return self._batches[-1] if self._batches else -1

    def add(self, batch: int, layout: Layout, values: Tensor) -> None:
        """Add a sample.

        Args:
            batch: number of its batch.
            layout: what its values are of.
            values: float32, on the CPU.
        """
        number = self._layouts.setdefault(layout, len(self._places))
        if number == len(self._places):
            self._places.append(layout.places())
        self._batches.append(batch)
        self._samples.append((number, values))

    def thin(self) -> None:
        """Forget every second sample."""
        self._batches, self._samples = self._batches[::2], self._samples[::2]

    def measured(self) -> list[Key]:
        """Everything that was measured, in the order of the model."""
        return list(dict.fromkeys(key for layout in self._layouts for key in layout.keys))

    def layers(self, of: str | None = None, stat: str | None = None) -> list[str]:
        """Names of the layers of which something was measured.

        Args:
            of: what; anything by default.
            stat: the statistic; any by default.
        """
        return list(dict.fromkeys(key[0] for key in self.measured() if of in (None, key[1]) and stat in (None, key[2])))

    def has(self, layer: str, of: str, stat: str) -> bool:
        """Whether a statistic was taken."""
        return any((layer, of, stat) in places for places in self._places)

    def series(self, layer: str, of: str, stat: str, last: int | None = None) -> Series:
        """One statistic of one layer over batches.

        Args:
            layer: its name.
            of: what was measured.
            stat: the statistic.
            last: only so many of the last samples.

        Raises:
            ConfigError: it was not taken; the message says what was.
        """
        key = (layer, of, stat)
        found: list[Tensor] = []
        batches: list[int] = []
        for sample in range(len(self._batches) - 1, -1, -1):
            number, values = self._samples[sample]
            place = self._places[number].get(key)
            if place is not None:
                found.append(values[place])
                batches.append(self._batches[sample])
                if last is not None and len(found) >= last:
                    break
        if not found:
            self._refuse(key)
        table = torch.stack(found[::-1]).numpy()
        parts = self.parts.get((of, stat), ())
        table = table[:, 0] if table.shape[1] == 1 and not parts else table
        return Series(layer, of, stat, np.array(batches[::-1]), table, parts)

    def _refuse(self, key: Key) -> None:
        keys = self.measured()
        if not keys:
            raise ConfigError("nothing was measured yet: train with LayerTelemetry among the callbacks first.")
        for place, word in enumerate(("layer", "kind", "statistic")):
            known = list(dict.fromkeys(k[place] for k in keys if k[:place] == key[:place]))
            if key[place] not in known:
                before = f" of {' of '.join(reversed(key[:place]))}" if place else ""
                raise ConfigError(
                    f"the {word} {key[place]!r}{before} was not measured.{suggest(key[place], known)} There are:"
                    f" {', '.join(known)}."
                )
        raise ConfigError(f"{key} was measured only in samples that are thinned out.")

    # ---- export ------------------------------------------------------------------------------------------------------

    def rows(self) -> Iterator[tuple[int, str, str, str, str, float]]:
        """Everything, value by value: batch, layer, kind, statistic, part (empty where there is one), value."""
        for batch, (number, values) in zip(self._batches, self._samples, strict=True):
            numbers = values.tolist()
            for (layer, of, stat), place in self._places[number].items():
                parts = self.parts.get((of, stat), ())
                several = place.stop - place.start > 1
                for i, value in enumerate(numbers[place]):
                    part = parts[i] if i < len(parts) else str(i) if several else ""
                    yield batch, layer, of, stat, part, value

    def to_frame(self) -> Any:
        """A pandas data frame of `rows`. Needs ``pip install laminar[tabular]``."""
        pandas = require("pandas", "tabular", "Record.to_frame")
        return pandas.DataFrame(self.rows(), columns=_COLUMNS)

    def to_csv(self, path: str | Path) -> Path:
        """Write `rows` to a file, with titles in the first line.

        Args:
            path: of the file; folders are made.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            writer.writerows(self.rows())
        return path

    # ---- state -------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything, as lists."""
        return {
            "batches": list(self._batches),
            "layouts": [[[list(key) for key in layout.keys], list(layout.sizes)] for layout in self._layouts],
            "numbers": [number for number, _ in self._samples],
            "values": [values.tolist() for _, values in self._samples],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self._batches = list(state["batches"])
        layouts = [
            Layout(tuple((key[0], key[1], key[2]) for key in keys), tuple(sizes)) for keys, sizes in state["layouts"]
        ]
        self._layouts = {layout: number for number, layout in enumerate(layouts)}
        self._places = [layout.places() for layout in layouts]
        tensors = [torch.tensor(values, dtype=torch.float32) for values in state["values"]]
        self._samples = list(zip(state["numbers"], tensors, strict=True))


_COLUMNS = ("batch", "layer", "of", "stat", "part", "value")
