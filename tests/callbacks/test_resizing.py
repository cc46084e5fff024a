"""Small pictures first."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from laminar.callbacks import Callback, ProgressiveResizing
from laminar.callbacks.resizing import resized
from laminar.core.errors import ConfigError


def learner(make_learner, n_batches: int = 10, **options):
    batch = (torch.rand(2, 3, 64, 48), torch.tensor([0, 1]))
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    return make_learner(model, dls=[[batch] * n_batches, [batch]], **options)


def test_sides_grow_from_the_first_to_the_full_one(make_learner) -> None:
    sizes: list[tuple[int, ...]] = []
    note = Callback(after_pred=lambda cb: sizes.append(tuple(cb.learn.xb[0].shape[-2:])))
    learner(make_learner).fit(1, cbs=[ProgressiveResizing(0.5, delay=0.4, finetune=0.2), note])
    training, validation = sizes[:10], sizes[10:]
    assert training == [(32, 24)] * 5 + [(40, 32), (48, 36), (56, 40)] + [(64, 48)] * 2
    assert validation == [(64, 48)]


def test_without_time_to_grow_it_is_one_step(make_learner) -> None:
    sizes: list[int] = []
    note = Callback(after_pred=lambda cb: sizes.append(cb.learn.xb[0].shape[-2]))
    learner(make_learner).fit(1, cbs=[ProgressiveResizing(0.25, delay=0.5, finetune=0.5), note])
    assert sizes[:10] == [16] * 5 + [64] * 5


def test_pictures_are_averaged_masks_keep_their_classes_and_points_stay() -> None:
    picture, mask, points = torch.rand(2, 3, 8, 8), torch.randint(3, (2, 8, 8)) * 50, torch.rand(2, 5, 2)
    half = resized(picture, (8, 8), (4, 4))
    assert torch.allclose(half, F.interpolate(picture, (4, 4), mode="bilinear", antialias=True))
    small = resized(mask, (8, 8), (4, 4))
    assert small.shape == (2, 4, 4)
    assert small.dtype == mask.dtype
    assert all(
        small[i, y, x] in mask[i, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
        for i in range(2)
        for y in range(4)
        for x in range(4)
    )
    assert resized(points, (8, 8), (4, 4)) is points


def test_what_is_no_picture_and_shares_that_cannot_be_are_refused(make_learner) -> None:
    with pytest.raises(ConfigError, match="ProgressiveResizing needs pictures"):
        make_learner(cbs=ProgressiveResizing()).fit(1)
    with pytest.raises(ConfigError, match=r"delay=0\.9, finetune=0\.2"):
        ProgressiveResizing(delay=0.9, finetune=0.2)


def test_all_is_put_back(make_learner) -> None:
    learn = learner(make_learner, cbs=ProgressiveResizing())
    learn.fit(1)
    assert learn.xb == ()
    assert learn.get_preds()[0].shape == (2, 2)
