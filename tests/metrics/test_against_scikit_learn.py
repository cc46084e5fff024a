"""Metrics over batches of uneven size give what scikit-learn gives for all items at once."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as skm
from torch import Tensor

from laminar.core.errors import ConfigError
from laminar.metrics import (
    APScoreBinary,
    APScoreMulti,
    BalancedAccuracy,
    BrierScore,
    BrierScoreMulti,
    CohenKappa,
    Dice,
    DiceMulti,
    ExplainedVariance,
    F1Score,
    F1ScoreMulti,
    FBeta,
    FBetaMulti,
    HammingLoss,
    HammingLossMulti,
    Jaccard,
    JaccardCoeff,
    JaccardCoeffMulti,
    JaccardMulti,
    MatthewsCorrCoef,
    MatthewsCorrCoefMulti,
    Metric,
    PearsonCorrCoef,
    Precision,
    PrecisionMulti,
    R2Score,
    Recall,
    RecallMulti,
    RocAuc,
    RocAucBinary,
    RocAucMulti,
    SpearmanCorrCoef,
    exp_rmspe,
    mk_metric,
    msle,
    skm_to_fastai,
)

SIZES = [64, 64, 64, 11]


def over_batches(metric: Any, preds: Tensor, targets: Tensor) -> float:
    from types import SimpleNamespace

    fresh = mk_metric(metric)
    for pred, target in zip(preds.split(SIZES), targets.split(SIZES), strict=True):
        fresh.accumulate(SimpleNamespace(pred=pred, yb=(target,), xb=(pred,), loss=None))
    return float(fresh.value)


def classes(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits that are right more often than not, with ties among them, and classes of uneven frequency."""
    torch.manual_seed(seed)
    targets = (torch.rand(sum(SIZES)) ** 2 * n).long()
    logits = (torch.randn(sum(SIZES), n) + 1.5 * torch.nn.functional.one_hot(targets, n)).mul(4).round() / 4
    return logits, targets


def labels(n: int = 5) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    targets = (torch.rand(sum(SIZES), n) < torch.tensor([0.6, 0.4, 0.2, 0.1, 0.3])[:n]).float()
    return ((torch.randn(sum(SIZES), n) + 2 * targets - 1) * 4).round() / 4, targets


Peer = Callable[..., float]


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize(
    ("ours", "peer"),
    [
        (F1Score, skm.f1_score),
        (partial(FBeta, 0.5), partial(skm.fbeta_score, beta=0.5)),
        (Precision, skm.precision_score),
        (Recall, skm.recall_score),
        (Jaccard, skm.jaccard_score),
    ],
)
def test_scores_of_several_classes(ours: Callable[..., Metric], peer: Peer, average: str) -> None:
    logits, targets = classes(6)
    logits[:, 4], targets = -9.0, torch.where(targets == 4, 3, targets)  # a class that neither is nor is predicted
    expected = peer(targets, logits.argmax(1), average=average, zero_division=0)
    assert over_batches(ours(average=average), logits, targets) == pytest.approx(expected)
    some = peer(targets, logits.argmax(1), average=average, labels=[0, 2], zero_division=0)
    assert over_batches(ours(average=average, labels=[0, 2]), logits, targets) == pytest.approx(some)


@pytest.mark.parametrize("pos_label", [0, 1])
@pytest.mark.parametrize(
    ("ours", "peer"),
    [
        (F1Score, skm.f1_score),
        (partial(FBeta, 2.0), partial(skm.fbeta_score, beta=2.0)),
        (Precision, skm.precision_score),
        (Recall, skm.recall_score),
        (Jaccard, skm.jaccard_score),
    ],
)
def test_scores_of_two_classes(ours: Callable[..., Metric], peer: Peer, pos_label: int) -> None:
    logits, targets = classes(2)
    expected = peer(targets, logits.argmax(1), pos_label=pos_label)
    assert over_batches(ours(pos_label=pos_label), logits, targets) == pytest.approx(expected)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted", "samples"])
@pytest.mark.parametrize(
    ("ours", "peer"),
    [
        (F1ScoreMulti, skm.f1_score),
        (partial(FBetaMulti, 2.0), partial(skm.fbeta_score, beta=2.0)),
        (PrecisionMulti, skm.precision_score),
        (RecallMulti, skm.recall_score),
        (JaccardMulti, skm.jaccard_score),
    ],
)
def test_scores_of_several_labels(ours: Callable[..., Metric], peer: Peer, average: str) -> None:
    logits, targets = labels()
    expected = peer(targets.numpy(), logits.sigmoid().numpy() > 0.4, average=average, zero_division=0)
    assert over_batches(ours(thresh=0.4, average=average), logits, targets) == pytest.approx(expected, rel=1e-6)
    probabilities = over_batches(ours(thresh=0.4, sigmoid=False, average=average), logits.sigmoid(), targets)
    assert probabilities == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("n", [2, 6])
@pytest.mark.parametrize(
    ("ours", "peer"),
    [
        (BalancedAccuracy(), skm.balanced_accuracy_score),
        (BalancedAccuracy(adjusted=True), partial(skm.balanced_accuracy_score, adjusted=True)),
        (CohenKappa(), skm.cohen_kappa_score),
        (CohenKappa(weights="linear"), partial(skm.cohen_kappa_score, weights="linear")),
        (CohenKappa(weights="quadratic"), partial(skm.cohen_kappa_score, weights="quadratic")),
        (CohenKappa(labels=[0, 1]), partial(skm.cohen_kappa_score, labels=[0, 1])),
        (MatthewsCorrCoef(), skm.matthews_corrcoef),
        (HammingLoss(), skm.hamming_loss),
    ],
)
def test_agreement(ours: Metric, peer: Peer, n: int) -> None:
    logits, targets = classes(n)
    assert over_batches(ours, logits, targets) == pytest.approx(peer(targets, logits.argmax(1)))


def test_agreement_of_labels() -> None:
    logits, targets = labels()
    said, true = logits.numpy() > 0, targets.numpy()
    assert over_batches(HammingLossMulti, logits, targets) == pytest.approx(skm.hamming_loss(true, said))
    expected = skm.matthews_corrcoef(true.reshape(-1), said.reshape(-1))
    assert over_batches(MatthewsCorrCoefMulti, logits, targets) == pytest.approx(expected)


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_area_under_the_curve_of_several_classes(average: str) -> None:
    logits, targets = classes(4)
    given = logits.double().softmax(1)
    for how in ("ovr", "ovo"):
        expected = skm.roc_auc_score(targets, given, average=average, multi_class=how)
        ours = over_batches(RocAuc(average=average, multi_class=how), logits.double(), targets)
        assert ours == pytest.approx(expected)


@pytest.mark.parametrize("max_fpr", [None, 0.05, 0.33, 1.0])
def test_area_under_the_curve_of_two_classes(max_fpr: float | None) -> None:
    logits, targets = classes(2)
    given = logits.double().softmax(1)[:, 1]
    expected = skm.roc_auc_score(targets, given, max_fpr=max_fpr)
    assert over_batches(RocAucBinary(max_fpr=max_fpr), logits.double(), targets) == pytest.approx(expected)


@pytest.mark.parametrize("pos_label", [0, 1])
def test_average_precision_of_two_classes(pos_label: int) -> None:
    logits, targets = classes(2)
    expected = skm.average_precision_score(targets == pos_label, logits.double().softmax(1)[:, pos_label])
    assert over_batches(APScoreBinary(pos_label=pos_label), logits.double(), targets) == pytest.approx(expected)


@pytest.mark.parametrize("average", ["macro", "weighted", "micro"])
def test_ranking_of_labels(average: str) -> None:
    logits, targets = labels()
    assert over_batches(RocAucMulti(average=average), logits, targets) == pytest.approx(
        skm.roc_auc_score(targets, logits, average=average)
    )
    assert over_batches(APScoreMulti(average=average), logits, targets) == pytest.approx(
        skm.average_precision_score(targets, logits, average=average)
    )


def test_ranking_of_labels_item_by_item_leaves_out_items_that_have_all_or_none() -> None:
    logits, targets = labels()
    mixed = (targets.sum(1) > 0) & (targets.sum(1) < 5)
    expected = skm.roc_auc_score(targets[mixed], logits[mixed], average="samples")
    assert over_batches(RocAucMulti(average="samples"), logits, targets) == pytest.approx(expected)


def test_brier_score_of_probabilities() -> None:
    logits, targets = classes(2)
    assert over_batches(BrierScore, logits, targets) == pytest.approx(
        skm.brier_score_loss(targets, logits.softmax(1)[:, 1]), rel=1e-5
    )
    logits, targets = classes(4)
    expected = ((logits.softmax(1) - torch.nn.functional.one_hot(targets, 4)) ** 2).sum(1).mean().item()
    assert over_batches(BrierScore, logits, targets) == pytest.approx(expected, rel=1e-5)
    assert over_batches(BrierScore(softmax=False), logits.softmax(1), targets) == pytest.approx(expected, rel=1e-5)
    logits, targets = labels()
    expected = skm.brier_score_loss(targets.reshape(-1), logits.sigmoid().reshape(-1))
    assert over_batches(BrierScoreMulti, logits, targets) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_regression(offset: float) -> None:
    from scipy import stats

    torch.manual_seed(3)
    targets = torch.randn(sum(SIZES)) + offset
    preds = (targets + 0.3 * torch.randn(sum(SIZES)) + 0.2).unsqueeze(1)
    flat, true = preds[:, 0].double().numpy(), targets.double().numpy()
    for ours, expected in (
        (R2Score, skm.r2_score(true, flat)),
        (ExplainedVariance, skm.explained_variance_score(true, flat)),
        (PearsonCorrCoef, stats.pearsonr(flat, true).statistic),
        (SpearmanCorrCoef, stats.spearmanr(flat.round(1), true.round(1)).statistic),
    ):
        rounded = ours is SpearmanCorrCoef
        pair = [torch.tensor(x.round(1)).float() if rounded else torch.tensor(x) for x in (flat, true)]
        assert over_batches(ours, *pair) == pytest.approx(expected, rel=1e-4)


def test_errors_of_logarithms_and_of_exponentials() -> None:
    torch.manual_seed(3)
    targets = torch.rand(sum(SIZES)) * 3
    preds = targets + 0.3 * torch.rand(sum(SIZES))
    assert over_batches(msle, preds, targets) == pytest.approx(skm.mean_squared_log_error(targets, preds), rel=1e-4)
    share = (np.exp(targets.numpy()) - np.exp(preds.numpy())) / np.exp(targets.numpy())
    assert over_batches(exp_rmspe, preds, targets) == pytest.approx(math.sqrt((share**2).mean()), rel=1e-4)


@pytest.mark.parametrize("n", [2, 4])
def test_masks(n: int) -> None:
    torch.manual_seed(4)
    logits, targets = torch.randn(sum(SIZES), n, 3, 5), torch.randint(0, n, (sum(SIZES), 3, 5))
    said, true = logits.argmax(1).reshape(-1), targets.reshape(-1)
    several = {"average": "macro"}
    assert over_batches(DiceMulti, logits, targets) == pytest.approx(skm.f1_score(true, said, **several))
    assert over_batches(JaccardCoeffMulti, logits, targets) == pytest.approx(skm.jaccard_score(true, said, **several))
    if n == 2:
        assert over_batches(Dice, logits, targets) == pytest.approx(skm.f1_score(true, said))
        assert over_batches(JaccardCoeff, logits, targets) == pytest.approx(skm.jaccard_score(true, said))
    else:
        with pytest.raises(ConfigError, match="two classes, and the predictions have 4: use DiceMulti"):
            over_batches(Dice, logits, targets)


@pytest.mark.parametrize(
    ("metric", "peer"),
    [
        (skm_to_fastai(skm.f1_score, average="macro"), F1Score(average="macro")),
        (skm_to_fastai(skm.zero_one_loss), HammingLoss()),
    ],
)
def test_functions_of_scikit_learn_see_the_whole_epoch(metric: Metric, peer: Metric) -> None:
    logits, targets = classes(4)
    assert over_batches(metric, logits, targets) == pytest.approx(over_batches(peer, logits, targets))


def test_functions_of_scikit_learn_take_scores_and_labels() -> None:
    logits, targets = classes(2)
    area = skm_to_fastai(skm.roc_auc_score, is_class=False, activation="binarysoftmax")
    assert area.name == "roc_auc_score"
    assert over_batches(area, logits, targets) == pytest.approx(over_batches(RocAucBinary, logits, targets), rel=1e-5)
    logits, targets = labels()
    micro = skm_to_fastai(skm.f1_score, thresh=0.4, average="micro", flatten=False)
    ours = F1ScoreMulti(thresh=0.4, average="micro")
    assert over_batches(micro, logits, targets) == pytest.approx(over_batches(ours, logits, targets))
    with pytest.raises(ConfigError, match="activation='softmaxx' is none of no, sigmoid, softmax, binarysoftmax"):
        skm_to_fastai(skm.roc_auc_score, is_class=False, activation="softmaxx")


def item_weights() -> list[float]:
    torch.manual_seed(7)
    return (torch.rand(sum(SIZES)) * 3).round(decimals=1).tolist()  # some of them 0


@pytest.mark.parametrize(
    ("ours", "peer", "what"),
    [
        (partial(F1Score, average="macro"), partial(skm.f1_score, average="macro"), "class"),
        (partial(FBeta, 2.0, average="weighted"), partial(skm.fbeta_score, beta=2.0, average="weighted"), "class"),
        (partial(Precision, average="micro"), partial(skm.precision_score, average="micro"), "class"),
        (partial(Recall, average="macro"), partial(skm.recall_score, average="macro"), "class"),
        (partial(Jaccard, average="macro"), partial(skm.jaccard_score, average="macro"), "class"),
        (BalancedAccuracy, skm.balanced_accuracy_score, "class"),
        (partial(CohenKappa, weights="linear"), partial(skm.cohen_kappa_score, weights="linear"), "class"),
        (MatthewsCorrCoef, skm.matthews_corrcoef, "class"),
        (HammingLoss, skm.hamming_loss, "class"),
        (RocAuc, partial(skm.roc_auc_score, multi_class="ovr"), "probabilities"),
        (
            partial(RocAuc, average="weighted"),
            partial(skm.roc_auc_score, multi_class="ovr", average="weighted"),
            "probabilities",
        ),
        (partial(F1ScoreMulti, average="macro"), partial(skm.f1_score, average="macro"), "labels"),
        (
            partial(FBetaMulti, 2.0, average="samples"),
            partial(skm.fbeta_score, beta=2.0, average="samples", zero_division=0),
            "labels",
        ),
        (partial(PrecisionMulti, average="micro"), partial(skm.precision_score, average="micro"), "labels"),
        (partial(RecallMulti, average="weighted"), partial(skm.recall_score, average="weighted"), "labels"),
        (JaccardMulti, partial(skm.jaccard_score, average="macro"), "labels"),
        (HammingLossMulti, skm.hamming_loss, "labels"),
        (RocAucMulti, skm.roc_auc_score, "scores"),
        (
            partial(RocAucMulti, average="weighted", max_fpr=None),
            partial(skm.roc_auc_score, average="weighted"),
            "scores",
        ),
        (partial(RocAucMulti, average="micro"), partial(skm.roc_auc_score, average="micro"), "scores"),
        (partial(APScoreMulti, average="weighted"), partial(skm.average_precision_score, average="weighted"), "scores"),
        (partial(APScoreMulti, average="samples"), partial(skm.average_precision_score, average="samples"), "some"),
        (RocAucBinary, skm.roc_auc_score, "second"),
        (partial(RocAucBinary, max_fpr=0.3), partial(skm.roc_auc_score, max_fpr=0.3), "second"),
        (APScoreBinary, skm.average_precision_score, "second"),
        (BrierScore, skm.brier_score_loss, "second"),
        (R2Score, skm.r2_score, "quantities"),
        (ExplainedVariance, skm.explained_variance_score, "quantities"),
    ],
)
def test_items_count_by_their_weights(ours: Callable[..., Metric], peer: Peer, what: str) -> None:
    weights = item_weights()
    if what in ("class", "probabilities"):
        preds, targets = classes(4)
        seen = preds.argmax(1) if what == "class" else preds.double().softmax(1)
    elif what in ("labels", "scores", "some"):
        preds, targets = labels()
        targets[:, 0] = 1 if what == "some" else targets[:, 0]  # not defined for an item without labels
        seen = preds > 0 if what == "labels" else preds.double().sigmoid()
    elif what == "second":
        preds, targets = classes(2)
        seen = preds.double().softmax(1)[:, 1]
    else:
        targets = torch.randn(sum(SIZES)).double()
        preds = seen = targets + 0.5
        preds = seen = seen + torch.randn(sum(SIZES)).double() / 3
    expected = peer(targets.numpy(), seen.numpy(), sample_weight=weights)
    assert over_batches(ours(sample_weight=weights), preds, targets) == pytest.approx(expected, rel=1e-4)


def test_weights_are_one_for_each_item_of_the_set() -> None:
    preds, targets = classes(4)
    few, many = F1Score(average="macro", sample_weight=[1.0] * 10), HammingLoss(sample_weight=torch.ones(300))
    with pytest.raises(ConfigError, match="F1Score: sample_weight has 10 weights, and 64 items have come"):
        over_batches(few, preds, targets)
    with pytest.raises(ConfigError, match="HammingLoss: sample_weight has 300 weights, and 203 items have come"):
        over_batches(many, preds, targets)
    for wrong in ([-1.0, 2.0], [math.nan], [[1.0]], [0.0, 0.0]):
        with pytest.raises(ConfigError, match="sample_weight takes one number, 0 or more, for each item"):
            R2Score(sample_weight=wrong)
    with pytest.raises(ConfigError, match="multi_class='ovr'"):
        RocAuc(multi_class="ovo", sample_weight=[1.0])


def test_decisions_can_be_scored_as_brier_and_some_labels_left_out() -> None:
    logits, targets = labels()
    wrong = skm.hamming_loss(targets.numpy(), logits.sigmoid().numpy() > 0.4)
    assert over_batches(BrierScoreMulti(thresh=0.4), logits, targets) == pytest.approx(wrong, rel=1e-5)
    some = skm.hamming_loss(targets[:, [0, 3]].numpy(), logits[:, [0, 3]].numpy() > 0)
    assert over_batches(HammingLossMulti(labels=[0, 3]), logits, targets) == pytest.approx(some, rel=1e-5)


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_rank_correlation_along_an_axis_and_with_numbers_that_are_none(axis: int | None) -> None:
    from scipy import stats

    torch.manual_seed(3)
    targets = torch.randn(sum(SIZES), 4)
    preds = targets + torch.randn(sum(SIZES), 4)
    a, b = preds.numpy(), targets.numpy()
    if axis is None:
        expected = stats.spearmanr(a.reshape(-1), b.reshape(-1)).statistic
    else:
        columns = zip(a.T, b.T, strict=True) if axis == 0 else zip(a, b, strict=True)
        expected = np.mean([stats.spearmanr(*pair).statistic for pair in columns])
    assert over_batches(SpearmanCorrCoef(axis), preds, targets) == pytest.approx(expected, rel=1e-4)
    preds[2, 1] = math.nan
    assert math.isnan(over_batches(SpearmanCorrCoef(axis), preds, targets))
    with pytest.raises(ConfigError, match="hold NaN"):
        over_batches(SpearmanCorrCoef(axis, nan_policy="raise"), preds, targets)
    omitted = over_batches(SpearmanCorrCoef(axis, nan_policy="omit"), preds, targets)
    if axis is None:
        assert omitted == pytest.approx(
            stats.spearmanr(a.reshape(-1), b.reshape(-1), nan_policy="omit").statistic, rel=1e-4
        )
    else:
        assert 0.3 < omitted < 1
