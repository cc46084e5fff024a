import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from laminar.core.pipeline import Pipeline
from laminar.core.types import TensorImage, TensorMask, plain
from laminar.vision.augment import Dihedral, Flip, Rotate, Zoom, setup_aug_tfms
from laminar.vision.lighting import rgb2hsv
from laminar.vision.own_steps import (
    AffineCoordTfm,
    HSVTfm,
    LightingTfm,
    affine_grid,
    affine_mat,
    apply_perspective,
    dihedral_mat,
    find_coeffs,
    flip_mat,
    mask_tensor,
    rotate_mat,
    zoom_mat,
)

PICTURES = torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("function", "step"),
    [
        (lambda x: flip_mat(x, p=1.0), Flip(1.0)),
        (lambda x: dihedral_mat(x, draw=3, p=1.0), Dihedral(1.0, draw=3)),
        (lambda x: rotate_mat(x, draw=30, p=1.0), Rotate(p=1.0, draw=30)),
        (lambda x: zoom_mat(x, draw=1.5, draw_x=0.1, draw_y=0.9, p=1.0), Zoom(p=1.0, draw=1.5, draw_x=0.1, draw_y=0.9)),
    ],
)
def test_a_step_of_a_matrix_function_is_the_step_of_that_name(function: object, step: object) -> None:
    made = AffineCoordTfm(function)(TensorImage(PICTURES), split_idx=0)
    assert torch.equal(plain(made), plain(step(TensorImage(PICTURES), split_idx=0)))


def test_matrix_functions_join_the_one_resampling_and_move_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = setup_aug_tfms([AffineCoordTfm([rotate_mat, lambda x: None]), Zoom(p=1.0), AffineCoordTfm(flip_mat)])
    assert len(steps) == 1
    calls = []
    sample = F.grid_sample
    monkeypatch.setattr(F, "grid_sample", lambda *args, **options: calls.append(args) or sample(*args, **options))
    mask = TensorMask((PICTURES[:, 0] * 7).byte())
    _, moved = Pipeline(steps, split_idx=0)((TensorImage(PICTURES), mask))
    assert len(calls) == 2  # once for the pictures, once for the masks
    assert set(plain(moved).unique().tolist()) <= set(plain(mask).unique().tolist())


def test_six_vectors_are_two_rows_and_a_grid_fetches_through_them() -> None:
    one, zero = torch.ones(4), torch.zeros(4)
    mirror = affine_mat(-one, zero, zero, zero, one, zero)
    grid = affine_grid(mirror, PICTURES.shape, align_corners=True)
    torch.testing.assert_close(F.grid_sample(PICTURES, grid, align_corners=True), PICTURES.flip(-1))


def test_a_perspective_sends_its_four_points_where_it_was_told() -> None:
    square = torch.tensor([[[-1.0, -1], [1, -1], [-1, 1], [1, 1]]]).repeat(3, 1, 1)
    target = square + torch.rand(3, 4, 2, generator=torch.Generator().manual_seed(0)) * 0.5
    torch.testing.assert_close(apply_perspective(square, find_coeffs(square, target)), target)


def test_values_are_masked_one_by_one_or_all() -> None:
    torch.manual_seed(0)
    values = torch.ones(2000)
    assert mask_tensor(values, p=0.3, neutral=5.0).eq(1).float().mean().item() == pytest.approx(0.3, abs=0.05)
    assert len(mask_tensor(values, p=0.5, batch=True).unique()) == 1
    assert bool(values.eq(1).all())


def test_functions_change_pictures_in_logits_and_in_hues() -> None:
    pictures = TensorImage((PICTURES * 255).byte())
    brighter = LightingTfm([lambda logits: logits + 1, lambda logits: logits * 2])(pictures, split_idx=0)
    assert brighter.dtype is torch.uint8
    expected = ((torch.logit(plain(pictures) / 255, eps=1e-7) + 1) * 2).sigmoid()
    torch.testing.assert_close(plain(brighter) / 255, expected, atol=0.003, rtol=0)
    grey = HSVTfm(lambda hsv: hsv * torch.tensor([1.0, 0.0, 1.0])[:, None, None])(TensorImage(PICTURES), split_idx=0)
    assert plain(rgb2hsv(plain(grey)))[:, 1].max() < 1e-5
    same = LightingTfm(lambda logits: logits + 1)(pictures, split_idx=1)
    assert torch.equal(plain(same), plain(pictures))


def test_a_function_may_draw_before_it_is_called_and_keeps_nothing() -> None:
    class Shift:
        by = 0.0

        def before_call(self, x: Tensor) -> None:
            self.by = float(len(x))

        def __call__(self, logits: Tensor) -> Tensor:
            return logits + self.by

    shift = Shift()
    out = LightingTfm(shift)((TensorImage(PICTURES), "label"), split_idx=0)[0]
    torch.testing.assert_close(plain(out), (torch.logit(PICTURES) + 4).sigmoid())
    assert shift.by == 0.0
