from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from laminar.core.errors import ConfigError
from laminar.nn import (
    BaseLoss,
    BCELossFlat,
    BCEWithLogitsLossFlat,
    CrossEntropyLossFlat,
    DiceLoss,
    FocalLoss,
    FocalLossFlat,
    L1LossFlat,
    LabelSmoothingCrossEntropy,
    LabelSmoothingCrossEntropyFlat,
    MSELossFlat,
    activation_of,
    decodes_of,
    item_losses,
    loss_name,
)
from laminar.nn.decoding import OutputReading, decoding_equal
from laminar.nn.item_losses import unreduced

LOGITS, TARGETS = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 2, 1, 0, 2])


def test_cross_entropy_equals_torchs_along_any_axis() -> None:
    masks = torch.randn(2, 3, 4, 5)
    classes = torch.randint(0, 3, (2, 4, 5))
    assert torch.allclose(CrossEntropyLossFlat()(LOGITS, TARGETS), F.cross_entropy(LOGITS, TARGETS))
    assert torch.allclose(CrossEntropyLossFlat(axis=1)(masks, classes), F.cross_entropy(masks, classes))
    sequence = torch.randn(2, 6, 3)
    words = torch.randint(0, 3, (2, 6))
    expected = F.cross_entropy(sequence.transpose(1, 2), words)
    assert torch.allclose(CrossEntropyLossFlat()(sequence, words), expected)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_small_integers_are_class_indices(dtype) -> None:
    assert torch.allclose(CrossEntropyLossFlat()(LOGITS, TARGETS.to(dtype)), F.cross_entropy(LOGITS, TARGETS))


def test_label_smoothing_equals_torchs_with_weights() -> None:
    weight = torch.tensor([1.0, 2.0, 3.0])
    expected = F.cross_entropy(LOGITS, TARGETS, weight=weight, label_smoothing=0.2)
    assert torch.allclose(LabelSmoothingCrossEntropy(0.2, weight=weight)(LOGITS, TARGETS), expected)
    assert torch.allclose(LabelSmoothingCrossEntropyFlat(eps=0.2, weight=weight)(LOGITS, TARGETS), expected)


def test_binary_cross_entropy_takes_integer_targets_and_position_weights() -> None:
    targets = (LOGITS > 0).int()
    expected = F.binary_cross_entropy_with_logits(LOGITS, targets.float())
    assert torch.allclose(BCEWithLogitsLossFlat()(LOGITS, targets), expected)
    weight = torch.tensor([1.0, 2.0, 3.0])
    expected = F.binary_cross_entropy_with_logits(LOGITS, targets.float(), pos_weight=weight)
    assert torch.allclose(BCEWithLogitsLossFlat(pos_weight=weight)(LOGITS, targets), expected)


def test_regression_losses_flatten_and_refuse_to_broadcast() -> None:
    preds, targets = torch.randn(5, 1), torch.randn(5)
    assert torch.allclose(MSELossFlat()(preds, targets), F.mse_loss(preds[:, 0], targets))
    assert torch.allclose(L1LossFlat()(preds, targets), F.l1_loss(preds[:, 0], targets))
    with pytest.raises(ConfigError, match=r"gives \(5, 2\), the targets are \(5,\)"):
        MSELossFlat()(torch.randn(5, 2), targets)


@pytest.mark.parametrize("loss", [MSELossFlat, L1LossFlat])
def test_targets_that_are_not_known_count_for_nothing_where_they_may(loss: type[MSELossFlat]) -> None:
    preds = torch.randn(3, 4, requires_grad=True)
    targets = torch.randn(3, 4)
    torch.testing.assert_close(loss(ignore_nan=True)(preds, targets), loss()(preds, targets))
    known = torch.rand(3, 4) > 0.3
    known[0, 0], known[2, 3] = True, False
    some = targets.where(known, float("nan"))
    value = loss(ignore_nan=True)(preds, some)
    torch.testing.assert_close(value, loss()(preds[known], targets[known]))
    value.backward()
    assert (preds.grad != 0).equal(known)
    assert loss(ignore_nan=True, reduction="none")(preds, some).isfinite().all()
    assert loss(ignore_nan=True)(preds, torch.full_like(preds, float("nan"))) == 0
    assert loss()(preds, some).isnan()


def test_losses_decode_from_logits_to_probabilities_to_decisions() -> None:
    loss = CrossEntropyLossFlat()
    probabilities = loss.activation(LOGITS)
    assert torch.allclose(probabilities.sum(1), torch.ones(5))
    assert torch.equal(loss.decodes(probabilities), LOGITS.argmax(1))
    multi = BCEWithLogitsLossFlat(thresh=0.7)
    assert torch.equal(multi.decodes(multi.activation(LOGITS)), LOGITS.sigmoid() > 0.7)


def test_class_weights_move_with_the_loss() -> None:
    loss = CrossEntropyLossFlat(weight=torch.ones(3)).to(torch.float64)
    assert loss.weight is not None
    assert loss.weight.dtype == torch.float64


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), F.cross_entropy])
def test_plain_losses_get_activation_and_decision(loss) -> None:
    assert torch.allclose(activation_of(loss)(LOGITS), LOGITS.softmax(1))
    assert torch.equal(decodes_of(loss)(LOGITS), LOGITS.argmax(1))


def test_unknown_losses_leave_outputs_alone() -> None:
    assert activation_of(lambda p, t: p.sum())(LOGITS) is LOGITS
    assert activation_of(nn.MSELoss())(LOGITS) is LOGITS
    assert loss_name(nn.MSELoss()) == "MSELoss"
    assert loss_name(F.l1_loss) == "l1_loss"


@pytest.mark.parametrize("loss", [CrossEntropyLossFlat(), nn.CrossEntropyLoss(), F.cross_entropy])
def test_single_items_have_losses_and_the_reduction_is_put_back(loss) -> None:
    expected = F.cross_entropy(LOGITS, TARGETS, reduction="none")
    assert torch.allclose(item_losses(loss, LOGITS, TARGETS), expected)
    assert torch.allclose(loss(LOGITS, TARGETS), expected.mean())
    masks, classes = torch.randn(2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
    if isinstance(loss, nn.CrossEntropyLoss):
        expected = F.cross_entropy(masks, classes, reduction="none").flatten(1).mean(1)
        assert torch.allclose(item_losses(loss, masks, classes), expected)


def test_reduction_is_put_back_when_the_loss_fails() -> None:
    loss = CrossEntropyLossFlat()
    with pytest.raises(IndexError):
        item_losses(loss, LOGITS, TARGETS + 7)
    assert loss.reduction == "mean"


def test_a_loss_without_single_items_says_what_it_needs() -> None:
    with pytest.raises(ConfigError, match="`reduction` that can be 'none'"):
        unreduced(lambda p, t: p.mean(), LOGITS, TARGETS)
    with pytest.raises(ConfigError, match="`reduction` that can be 'none'"):
        item_losses(lambda p, t: 1.0, LOGITS, TARGETS)  # no tensor, also of a single item
    with pytest.raises(ConfigError, match="reduction='meen' is none of"):
        CrossEntropyLossFlat(reduction="meen")


def test_a_loss_of_ones_own_is_asked_about_each_item_alone() -> None:
    found = item_losses(lambda p, t: F.cross_entropy(p, t) + 1, LOGITS, TARGETS)
    assert torch.allclose(found, F.cross_entropy(LOGITS, TARGETS, reduction="none") + 1)


def test_focal_loss_follows_the_papers_formula() -> None:
    weight = torch.tensor([1.0, 2.0, 3.0])
    p = LOGITS.double().softmax(1)[torch.arange(5), TARGETS]
    expected = weight[TARGETS] * (1 - p) ** 1.5 * -p.log()
    assert torch.allclose(FocalLoss(1.5, weight=weight)(LOGITS, TARGETS).double(), expected.mean(), atol=1e-6)
    assert torch.allclose(item_losses(FocalLoss(1.5, weight=weight), LOGITS, TARGETS).double(), expected, atol=1e-6)
    assert torch.allclose(FocalLoss(0.0)(LOGITS, TARGETS), F.cross_entropy(LOGITS, TARGETS))
    ignoring = FocalLoss(1.5, weight=weight)(LOGITS, torch.tensor([0, -100, 1, -100, 2])).double()
    assert torch.allclose(ignoring, expected[[0, 2, 4]].mean(), atol=1e-6)
    with pytest.raises(ConfigError, match=r"gamma must be 0 or more, got int -1"):
        FocalLoss(-1)


@pytest.mark.parametrize("loss", [CrossEntropyLossFlat, LabelSmoothingCrossEntropy, FocalLoss, BCEWithLogitsLossFlat])
def test_weights_in_the_place_of_another_argument_are_refused(loss) -> None:
    with pytest.raises(ConfigError, match=r"got Tensor \(2,\) float32.* weight=\.\.\."):
        loss(torch.ones(2))


def test_focal_loss_takes_classes_along_any_axis() -> None:
    masks, classes = torch.randn(2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
    expected = FocalLoss()(masks, classes)
    assert torch.allclose(FocalLossFlat()(masks.movedim(1, -1), classes), expected)
    assert torch.allclose(FocalLossFlat(axis=1)(masks, classes), expected)


@pytest.mark.parametrize("square", [False, True])
def test_dice_loss_follows_the_papers_formula(square: bool) -> None:
    masks, classes = torch.randn(2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
    expected = torch.zeros(2, 3)
    for item in range(2):
        for c in range(3):
            p, t = masks[item].softmax(0)[c], (classes[item] == c).float()
            below = (p**2 if square else p).sum() + t.sum()
            expected[item, c] = 1 - (2 * (p * t).sum() + 1e-6) / (below + 1e-6)
    loss = DiceLoss(square_in_union=square)
    assert torch.allclose(loss(masks, classes), expected.sum())
    assert torch.allclose(DiceLoss(square_in_union=square, reduction="mean")(masks, classes), expected.mean())
    assert torch.allclose(item_losses(loss, masks, classes), expected.sum(1))  # what each item alone would give
    assert torch.allclose(DiceLoss(axis=-1, square_in_union=square)(masks.movedim(1, -1), classes), expected.sum())
    perfect = 100 * F.one_hot(classes, 3).movedim(-1, 1).float()
    assert loss(perfect, classes.to(torch.uint8)).item() == pytest.approx(0, abs=1e-5)


def test_binary_cross_entropy_of_probabilities() -> None:
    p, targets = LOGITS.sigmoid(), (LOGITS > 0).int()
    assert torch.allclose(BCELossFlat()(p, targets), F.binary_cross_entropy(p, targets.float()))
    weight = torch.tensor([1.0, 2.0, 3.0])
    expected = F.binary_cross_entropy(p, targets.float(), weight=weight)
    assert torch.allclose(BCELossFlat(weight=weight)(p, targets), expected)
    assert torch.equal(BCELossFlat(thresh=0.7).decodes(p), p > 0.7)


MASKS, CLASSES = torch.randn(4, 3, 4, 5), torch.randint(0, 3, (4, 4, 5))
CASES: list[tuple[BaseLoss, torch.Tensor, torch.Tensor]] = [
    (CrossEntropyLossFlat(), LOGITS, TARGETS),
    (CrossEntropyLossFlat(axis=1), MASKS, CLASSES),
    (LabelSmoothingCrossEntropy(), LOGITS, TARGETS),
    (LabelSmoothingCrossEntropyFlat(), LOGITS, TARGETS),
    (FocalLoss(), MASKS, CLASSES),
    (FocalLossFlat(), LOGITS, TARGETS),
    (DiceLoss(reduction="mean"), MASKS, CLASSES),
    (BCEWithLogitsLossFlat(), LOGITS, (LOGITS > 0.3).float()),
    (BCELossFlat(), LOGITS.sigmoid(), (LOGITS > 0.3).float()),
    (MSELossFlat(), LOGITS, LOGITS + 1),
    (L1LossFlat(), LOGITS, LOGITS + 1),
]


@pytest.mark.parametrize(("loss", "preds", "targets"), CASES, ids=lambda case: type(case).__name__)
def test_every_loss_keeps_the_contract(loss: BaseLoss, preds: torch.Tensor, targets: torch.Tensor) -> None:
    each = item_losses(loss, preds, targets)
    assert each.shape == (len(preds),)
    assert torch.allclose(each.mean(), loss(preds, targets), atol=1e-6)
    alone = torch.stack([loss(preds[i : i + 1], targets[i : i + 1]) for i in range(len(preds))])
    assert torch.allclose(each, alone, atol=1e-6)
    decided = loss.decodes(loss.activation(preds))
    assert decided.shape == targets.shape
    assert decided.dtype in (torch.int64, torch.bool) or torch.equal(decided, preds)
    assert loss.y_int == (targets.dtype == torch.int64)
    leaf = preds.clone().requires_grad_()
    loss(leaf, targets).backward()
    assert torch.isfinite(leaf.grad).all()


@pytest.mark.parametrize(
    ("loss", "activation", "decision"),
    [
        (nn.NLLLoss(), torch.exp, lambda p: p.argmax(1)),
        (F.nll_loss, torch.exp, lambda p: p.argmax(1)),
        (nn.MultiMarginLoss(), lambda x: x, lambda p: p.argmax(1)),
        (nn.BCEWithLogitsLoss(), torch.sigmoid, lambda p: p > 0.5),
        (partial(F.binary_cross_entropy_with_logits, reduction="sum"), torch.sigmoid, lambda p: p > 0.5),
        (nn.MultiLabelSoftMarginLoss(), torch.sigmoid, lambda p: p > 0.5),
        (nn.BCELoss(), lambda x: x, lambda p: p > 0.5),
        (nn.SoftMarginLoss(), torch.sigmoid, lambda p: torch.where(p > 0.5, 1, -1)),
        (nn.KLDivLoss(), torch.exp, lambda p: p),
        (nn.PoissonNLLLoss(), torch.exp, lambda p: p),
        (nn.PoissonNLLLoss(log_input=False), lambda x: x, lambda p: p),
        (partial(F.poisson_nll_loss, log_input=False), lambda x: x, lambda p: p),
        (nn.SmoothL1Loss(), lambda x: x, lambda p: p),
        (nn.HuberLoss(), lambda x: x, lambda p: p),
    ],
)
def test_plain_losses_of_torch_are_read_as_they_mean(loss, activation, decision) -> None:
    turned = activation_of(loss)(LOGITS)
    assert torch.equal(turned, activation(LOGITS))
    assert torch.equal(decodes_of(loss)(turned), decision(turned))
    ours = decoding_equal(loss)  # what an export keeps of it
    assert torch.equal(ours.activation(LOGITS), turned)
    assert torch.equal(ours.decodes(turned), decision(turned))


def test_losses_of_others_are_not_guessed() -> None:
    class Mine(nn.Module):
        log_input = False

    for loss in (Mine(), lambda p, t: p.sum(), [].append):
        assert decoding_equal(loss) is None
        assert decodes_of(loss)(LOGITS) is LOGITS
    with pytest.raises(ConfigError, match="no reading of outputs is called 'exp' and 'maximum'"):
        OutputReading("exp", "maximum")
