import pytest
import torch
import torch.nn.functional as F
from torch import nn

from laminar.core.errors import ConfigError
from laminar.nn import (
    BCEWithLogitsLossFlat,
    CrossEntropyLossFlat,
    L1LossFlat,
    LabelSmoothingCrossEntropy,
    LabelSmoothingCrossEntropyFlat,
    MSELossFlat,
    activation_of,
    decodes_of,
    item_losses,
    loss_name,
)

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
        item_losses(lambda p, t: p.mean(), LOGITS, TARGETS)
    with pytest.raises(ConfigError, match="reduction='meen' is none of"):
        CrossEntropyLossFlat(reduction="meen")
