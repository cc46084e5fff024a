"""Which parts of a picture a decision rests on: what is asked, and how the answer is drawn over the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import torch
from torch import Tensor

from laminar.core.device import to_device
from laminar.core.errors import ConfigError, suggest
from laminar.core.show import AxesList, GridOptions, draw_each, show_image
from laminar.core.types import cast, plain
from laminar.interpret.base import TrainedLearner, items_at
from laminar.interpret.confusion import class_names
from laminar.learner.inference import evaluation_loader
from laminar.nn.decoding import activation_of

__all__ = ["Attribution", "Question", "chosen_classes", "question_about", "scores_of"]


@dataclass(frozen=True)
class Attribution:
    """How much each place of some pictures speaks for a class.

    Attributes:
        maps: ``[n, height, width]``; above 0 speaks for the class, below 0 against it.
        pictures: decoded, as the model saw them.
        names: the classes.
        scores: the model's probability of the class, ``[n]``; its output where it gives no probabilities.
        method: what found the maps, to stand over the figure.
    """

    maps: Tensor
    pictures: list[Any]
    names: list[str]
    scores: Tensor
    method: str

    def __len__(self) -> int:
        return len(self.maps)

    def show(
        self,
        max_n: int = 9,
        ctxs: Sequence[Any] | None = None,
        alpha: float = 0.7,
        cmap: str | None = None,
        **grid: Unpack[GridOptions],
    ) -> AxesList:
        """Draw the maps over their pictures, opaque where they say most, with class and score.

        Args:
            max_n: at most so many.
            ctxs: axes to draw on, made when None.
            alpha: how much of the picture the strongest place hides, 0 to 1.
            cmap: matplotlib's colours; None for turbo, or red for and blue against where there are both.
            **grid: nrows, ncols, figsize.

        Returns:
            The axes.
        """
        signed = bool((self.maps < 0).any())
        cmap = cmap or ("bwr" if signed else "turbo")

        def draw(ax: Any, picture: Any, values: Tensor, name: str, score: float) -> Any:
            if hasattr(picture, "show"):
                picture.show(ctx=ax)
            else:
                show_image(_stretched(picture), ax=ax)
            most = max(float(values.abs().max()), 1e-12)
            strength = (values.abs() / most).numpy()
            low = -most if signed else 0.0
            left, right, bottom, top = ax.images[0].get_extent()
            ax.imshow(
                values.numpy(),
                cmap=cmap,
                alpha=alpha * strength,
                vmin=low,
                vmax=most,
                extent=(left, right, bottom, top),
            )
            ax.set_title(f"{name} {score:.2f}", fontsize=10)
            return ax

        columns = (self.pictures[:max_n], list(self.maps), self.names, self.scores.tolist())
        return draw_each(draw, *columns, ctxs=ctxs, title=self.method, **grid)


def _stretched(picture: Any) -> Any:
    """A tensor without a type, of which nobody knows how it was normalised, from its least value to its largest."""
    if not isinstance(picture, Tensor):
        return picture
    low, high = picture.min(), picture.max()
    return (picture - low) / (high - low).clamp(min=1e-12)


@dataclass(frozen=True)
class Question:
    """Pictures as a model gets them, and all that is needed to tell of the answer.

    Attributes:
        learn: the learner.
        batch: the inputs of a batch, typed where the data say so: one picture for each item.
    """

    learn: Any
    batch: tuple[Any, ...]

    @property
    def pictures(self) -> Tensor:
        """``[n, channels, height, width]``, on the model's device."""
        pictures: Tensor = plain(to_device(self.batch[0], self.learn.device))
        return pictures

    def answer(self, maps: Tensor, classes: Tensor, outputs: Tensor, method: str) -> Attribution:
        """Put maps together with what they are about.

        Args:
            maps: ``[n, height, width]``.
            classes: ``[n]``.
            outputs: raw, of the model.
            method: what found the maps.
        """
        scores = scores_of(activation_of(self.learn.loss_func)(outputs), classes)
        n_out = outputs.shape[1] if outputs.ndim > 1 else 1
        names = class_names(self.learn.dls, n_out)
        about = [names[index] for index in classes.tolist()]
        return Attribution(maps.detach().float().cpu(), self._shown(), about, scores.detach().float().cpu(), method)

    def _shown(self) -> list[Any]:
        """The pictures, decoded where the data say what they are."""
        if type(self.batch[0]) is Tensor:
            return list(self.batch[0].cpu())
        samples = self.learn.dls.decode_batch(self.batch, max_n=None)
        return [sample[0] if isinstance(sample, tuple | list) else sample for sample in samples]


def question_about(learn: TrainedLearner, items: Any, n: int) -> Question:
    """Make a batch of what somebody wants to know about.

    Args:
        learn: a trained learner.
        items: a raw item (a file, a picture) or a list of them; a batch as loaders give it, or its pictures; None for
            the first of the validation set.
        n: how many of the validation set.

    Raises:
        ConfigError: there is nothing to look at, or the model looks at something else than one picture.
    """
    dls = learn.dls
    if items is None:
        loader = evaluation_loader(dls, 1, None, learn.model_tfms)
        batch = _first_items(loader, n)
    elif _is_batch(items):
        batch = (items,) if isinstance(items, Tensor) else tuple(items)
    else:
        listed = list(items) if isinstance(items, list | tuple) else [items]
        if not listed:
            raise ConfigError("there is nothing to look at: an empty list of items.")
        batch = next(iter(dls.test_dl(listed, bs=len(listed), num_workers=0)))
        batch = tuple(batch) if isinstance(batch, tuple | list) else (batch,)
    inputs = batch[: getattr(dls, "n_inp", None) or 1]
    kinds = getattr(dls.train, "types", ()) if hasattr(dls, "train") else ()
    inputs = tuple(
        cast(part, kind) if type(part) is Tensor and isinstance(kind, type) and issubclass(kind, Tensor) else part
        for part, kind in zip(inputs, (*kinds, *[object] * len(inputs)), strict=False)
    )
    if len(inputs) != 1 or not isinstance(inputs[0], Tensor) or inputs[0].ndim != 4:
        told = ", ".join(str(tuple(part.shape)) if isinstance(part, Tensor) else type(part).__name__ for part in inputs)
        raise ConfigError(f"this is for models that look at one picture for each item; theirs is ({told})")
    return Question(learn, inputs)


def _first_items(loader: Any, n: int) -> tuple[Any, ...]:
    """The first `n` items of a loader, or of its first batch where items cannot be asked for."""
    dataset: Any = getattr(loader, "dataset", None)
    if not hasattr(dataset, "__len__"):
        return tuple(part[:n] for part in next(iter(loader)))
    if not len(dataset):
        raise ConfigError("the validation set is empty: give a file, a picture, a list of them or a batch.")
    return items_at(loader, range(min(n, len(dataset))))


def _is_batch(items: Any) -> bool:
    first = items[0] if isinstance(items, list | tuple) and items else items
    return isinstance(first, Tensor) and first.ndim == 4


def chosen_classes(outputs: Tensor, target: Any, names: Sequence[str]) -> Tensor:
    """The classes that are asked about, int64 ``[n]``.

    Args:
        outputs: raw, of the model: ``[n, classes]``, ``[n]``, or ``[n, classes, height, width]``.
        target: a class by name or number, or one for each item; None for the likeliest (of pixels, the most frequent).
        names: of the classes.

    Raises:
        ConfigError: there is no such class, or another number of them.
    """
    n, n_out = len(outputs), outputs.shape[1] if outputs.ndim > 1 else 1
    if target is None:
        if outputs.ndim < 2:
            return torch.zeros(n, dtype=torch.int64, device=outputs.device)
        likeliest = outputs.argmax(1)
        return likeliest if likeliest.ndim == 1 else likeliest.flatten(1).mode(1).values
    if isinstance(target, Tensor):
        target = target.tolist()
    given = [target] * n if isinstance(target, str | int) else list(target)
    if len(given) != n:
        raise ConfigError(f"target holds {len(given)} classes for {n} pictures.")
    return torch.tensor([_number(one, names, n_out) for one in given], device=outputs.device)


def _number(target: Any, names: Sequence[str], n_out: int) -> int:
    if isinstance(target, str):
        if target not in names:
            raise ConfigError(f"there is no class {target!r}.{suggest(target, names)}")
        return list(names).index(target)
    if not 0 <= int(target) < n_out:
        raise ConfigError(f"there is no class {target}: the model has {n_out} outputs, from 0.")
    return int(target)


def scores_of(outputs: Tensor, classes: Tensor) -> Tensor:
    """The output of each item for its class, ``[n]``; of pixels, their mean."""
    if outputs.ndim == 1:
        return outputs
    chosen = outputs[torch.arange(len(outputs), device=outputs.device), classes.to(outputs.device)]
    return chosen if chosen.ndim == 1 else chosen.flatten(1).mean(1)
