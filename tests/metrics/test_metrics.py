from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laminar.core.errors import ConfigError
from laminar.metrics import (
    AccumMetric,
    APScoreBinary,
    AvgLoss,
    AvgMetric,
    AvgSmoothLoss,
    BalancedAccuracy,
    CohenKappa,
    CorpusBLEUMetric,
    Dice,
    F1Score,
    F1ScoreMulti,
    LossMetrics,
    MatthewsCorrCoef,
    Metric,
    MetricSet,
    R2Score,
    Recall,
    RocAucBinary,
    RootMeanSquaredError,
    ValueMetric,
    accuracy,
    accuracy_multi,
    accuracy_thresh_expand,
    error_rate,
    foreground_acc,
    mae,
    mk_metric,
    mk_metrics,
    mse,
    optim_metric,
    perplexity,
    rmse,
    smooth,
    top_k_accuracy,
)


def batch(pred, target, loss=0.0) -> SimpleNamespace:
    return SimpleNamespace(pred=pred, yb=(target,), xb=(pred,), loss=torch.tensor(loss))


def test_accuracy_counts_the_likeliest_class() -> None:
    preds = torch.tensor([[3.0, 1, 2], [1, 5, 2], [0, 1, 2]])
    targets = torch.tensor([0, 1, 1])
    assert accuracy(preds, targets).item() == pytest.approx(2 / 3)
    assert error_rate(preds, targets).item() == pytest.approx(1 / 3)
    assert top_k_accuracy(preds, targets, k=2).item() == 1
    assert top_k_accuracy(preds, targets, k=5).item() == 1


def test_accuracy_takes_masks_along_another_axis() -> None:
    preds, targets = torch.randn(2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
    assert accuracy(preds, targets, axis=1).item() == pytest.approx((preds.argmax(1) == targets).float().mean().item())
    assert 0 <= top_k_accuracy(preds, targets, k=2, axis=1).item() <= 1


def test_accuracy_refuses_other_counts() -> None:
    with pytest.raises(ConfigError, match=r"predictions \(4, 3\).*need 4 targets; there are 8, \(4, 2\)"):
        accuracy(torch.zeros(4, 3), torch.zeros(4, 2))


def test_multi_label_accuracy_thresholds_probabilities() -> None:
    raw, targets = torch.tensor([[2.0, -2.0], [0.1, -3.0]]), torch.tensor([[1, 0], [0, 0]])
    assert accuracy_multi(raw, targets).item() == 0.75
    assert accuracy_multi(raw.sigmoid(), targets, thresh=0.6, sigmoid=False).item() == 1.0


def test_regression_metrics_agree_with_numpy() -> None:
    preds, targets = torch.randn(7, 1), torch.randn(7)
    difference = preds[:, 0].numpy() - targets.numpy()
    assert mse(preds, targets).item() == pytest.approx((difference**2).mean(), rel=1e-5)
    assert mae(preds, targets).item() == pytest.approx(np.abs(difference).mean(), rel=1e-5)
    assert rmse(preds, targets).item() == pytest.approx((difference**2).mean() ** 0.5, rel=1e-5)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_averages_weigh_batches_by_their_items(sizes: list[int]) -> None:
    preds, targets = torch.randn(sum(sizes), 3), torch.randint(0, 3, (sum(sizes),))
    metric, root = AvgMetric(accuracy), RootMeanSquaredError()
    for part in torch.arange(sum(sizes)).split(sizes):
        metric.accumulate(batch(preds[part], targets[part]))
        root.accumulate(batch(preds[part, 0], targets[part].float()))
    assert float(metric.value) == pytest.approx(accuracy(preds, targets).item(), abs=1e-6)
    assert float(root.value) == pytest.approx(rmse(preds[:, 0], targets.float()).item(), rel=1e-5)


def test_metrics_of_nothing_have_no_value() -> None:
    assert AvgMetric(accuracy).value is None
    assert AvgLoss().value is None
    assert AvgSmoothLoss().value is None


def test_instances_are_copied_so_that_two_learners_share_nothing() -> None:
    first, second = mk_metric(rmse), mk_metric(rmse)
    first.accumulate(batch(torch.ones(2), torch.zeros(2)))
    assert second.value is None
    assert rmse.value is None
    assert float(first.value) == 1


def test_mk_metric_takes_functions_classes_and_partials() -> None:
    names = [m.name for m in mk_metrics([accuracy, AvgLoss, partial(top_k_accuracy, k=2), rmse, AvgMetric(mae)])]
    assert names == ["accuracy", "loss", "top_k_accuracy", "rmse", "mae"]
    assert mk_metrics(None) == []
    assert [m.name for m in mk_metrics(accuracy)] == ["accuracy"]
    with pytest.raises(ConfigError, match="str 'accuracy' is no metric"):
        mk_metrics(["accuracy"])


def test_equal_names_get_a_suffix() -> None:
    assert MetricSet(mk_metrics([accuracy, partial(accuracy, axis=1), accuracy])).names == [
        "accuracy",
        "accuracy_2",
        "accuracy_3",
    ]


def test_a_failing_metric_is_named_with_what_it_was_given() -> None:
    metrics = MetricSet(mk_metrics(accuracy))
    with pytest.raises(ConfigError) as caught:
        metrics.accumulate(batch(torch.zeros(4, 3), torch.zeros(4, 2)))
    assert any("metric accuracy: predictions Tensor (4, 3) float32" in note for note in caught.value.__notes__)


def test_masks_and_quotients_are_exact_over_uneven_batches() -> None:
    torch.manual_seed(0)
    preds, targets = torch.randn(10, 3, 4, 4), torch.randint(0, 3, (10, 4, 4))
    targets[:6] = 2  # pictures of background alone
    metric = mk_metric(partial(foreground_acc, bkg_idx=2))
    for part in torch.arange(10).split([6, 3, 1]):
        metric.accumulate(batch(preds[part], targets[part]))
    foreground = targets != 2
    expected = (preds.argmax(1) == targets)[foreground].float().mean().item()
    assert float(metric.value) == pytest.approx(expected)
    assert foreground_acc(preds, targets, bkg_idx=2).item() == pytest.approx(expected)
    assert (metric.name, mk_metric(foreground_acc).value) == ("foreground_acc", None)


def test_ignored_targets_count_for_nothing_and_wrong_ones_are_named() -> None:
    preds, targets = torch.tensor([[2.0, 1.0], [0.0, 1.0], [0.0, 3.0]]), torch.tensor([0, -100, 1])
    assert float(F1Score()(preds, targets)) == 1
    assert float(F1Score(ignore_index=0)(preds, targets.clamp(min=0))) == 1
    with pytest.raises(ConfigError, match=r"1 targets are no class: the predictions have 2 classes \(0 to 1\)"):
        F1Score(ignore_index=None)(preds, targets)


def test_metrics_for_another_number_of_classes_fail_at_the_first_batch() -> None:
    preds, targets = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    for metric, message in (
        (
            F1Score(),
            r"F1Score\(average='binary'\) is for two classes, and the predictions have 3. Pass average='macro'",
        ),
        (Recall(average="macro", labels=[3]), r"class 3 is none of the 3 classes \(0 to 2\)"),
        (RocAucBinary(), r"for two classes; the predictions \(4, 3\) have 3"),
        (MatthewsCorrCoef(axis=0), "need 3 targets; there are 4"),
    ):
        with pytest.raises(ConfigError, match=message):
            mk_metric(metric).accumulate(batch(preds, targets))
    with pytest.raises(ConfigError, match="have 1 class along axis -1: nothing to choose from"):
        MatthewsCorrCoef()(preds[:, :1], targets)
    with pytest.raises(ConfigError, match=r"average='makro' is none of .* Did you mean 'macro'"):
        F1Score(average="makro")
    with pytest.raises(ConfigError, match="average='binary' is none of"):
        F1ScoreMulti(average="binary")


@pytest.mark.parametrize("metric", [RocAucBinary(), APScoreBinary(), R2Score(), CohenKappa(), Dice()])
def test_what_is_not_defined_has_no_value(metric: Metric) -> None:
    preds = torch.tensor([[1.0, 0.0], [2.0, 0.0]]) if not isinstance(metric, R2Score) else torch.zeros(2)
    fresh = mk_metric(metric)
    assert fresh.value is None
    if isinstance(metric, Dice):
        fresh = mk_metric(Dice(axis=-1))
    fresh.accumulate(batch(preds, torch.zeros(2).long()))
    assert fresh.value is None


def test_a_metric_of_several_numbers_is_told_to_average() -> None:
    metrics = MetricSet([AccumMetric(lambda preds, targets: preds[:3], name="three")])
    metrics.accumulate(batch(torch.zeros(4), torch.zeros(4)))
    with pytest.raises(
        ConfigError, match=r"it gives Tensor \(3,\) float32, where a column .* takes one number"
    ) as caught:
        metrics.values()
    assert "metric three" in caught.value.__notes__[0]


def test_a_threshold_and_an_axis_of_0_are_heeded() -> None:
    def share(decided: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (decided == targets).float().mean()

    logits, yes = torch.tensor([-2.0, -0.5, 0.5, 2.0]), torch.tensor([0, 0, 1, 1])
    above_nothing = mk_metric(AccumMetric(share, thresh=0))
    above_nothing.accumulate(batch(logits, yes))
    assert above_nothing.value == 1
    along_the_first = mk_metric(AccumMetric(share, dim_argmax=0, flatten=False))
    along_the_first.accumulate(batch(torch.tensor([[3.0, 0.0, 0.0], [0.0, 2.0, 1.0]]), torch.tensor([0, 1, 1])))
    assert along_the_first.value == 1


def test_accumulated_functions_see_the_whole_epoch() -> None:
    def correlation(preds: torch.Tensor, targets: torch.Tensor, scale: float) -> float:
        return float(torch.corrcoef(torch.stack([preds, targets]))[0, 1]) * scale

    metric = mk_metric(AccumMetric(correlation, name="r", scale=2.0))
    preds, targets = torch.randn(9, 1), torch.randn(9)
    for part in torch.arange(9).split([4, 4, 1]):
        metric.accumulate(batch(preds[part], targets[part]))
    assert metric.name == "r"
    assert metric.value == pytest.approx(2 * np.corrcoef(preds[:, 0], targets)[0, 1], rel=1e-5)
    with pytest.raises(ConfigError, match="must hold as many numbers, unless flatten=False"):
        metric.accumulate(batch(torch.zeros(4, 2), torch.zeros(4)))


def test_classes_and_partials_of_classes_are_metrics() -> None:
    metric = mk_metric(partial(F1Score, average="macro"))
    assert (type(metric), metric.average) == (F1Score, "macro")
    assert mk_metric(BalancedAccuracy).name == "balanced_accuracy_score"


def test_optim_metric_finds_a_threshold() -> None:
    raw, targets = torch.tensor([[0.3], [0.5], [0.62], [0.9]]), torch.tensor([[0], [0], [1], [1]])
    best = optim_metric(partial(accuracy_multi, sigmoid=False), "thresh", (0.1, 0.9), get_x=True)
    value, thresh = best(raw, targets)
    assert value == 1
    assert 0.5 <= thresh < 0.62
    assert optim_metric(accuracy_multi, "thresh", (0.1, 0.9), do_neg=False)(raw, targets) == 0.5


def test_each_item_is_compared_with_its_one_target() -> None:
    preds = torch.tensor([[[3.0, -3.0]], [[2.0, 2.0]]])
    assert accuracy_thresh_expand(preds, torch.tensor([1, 0])).item() == 0.25


def test_perplexity_is_the_exponential_of_the_mean_loss() -> None:
    metric = mk_metric(perplexity)
    metric.accumulate(batch(torch.zeros(3), torch.zeros(3), 1.0))
    metric.accumulate(batch(torch.zeros(1), torch.zeros(1), 5.0))
    assert float(metric.value) == pytest.approx(np.exp(2.0))
    assert (metric.name, metric.smaller_is_better) == ("perplexity", True)


def test_bleu_is_one_for_the_same_text_and_counts_no_word_twice() -> None:
    def said(*texts: list[int]) -> torch.Tensor:
        return torch.nn.functional.one_hot(torch.tensor(texts), 10).float()

    text = [1, 2, 3, 4, 5, 6]
    assert CorpusBLEUMetric()(said(text), torch.tensor([text])) == pytest.approx(1)
    other = [1, 2, 3, 4, 4, 9]
    # shared n-grams: 4 of 6 words, 3 of 5 pairs, 2 of 4, 1 of 3
    expected = (4 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25
    assert CorpusBLEUMetric()(said(other), torch.tensor([text])) == pytest.approx(expected)
    shorter = CorpusBLEUMetric()(said(text[:5]), torch.tensor([text]))
    assert shorter == pytest.approx(np.exp(1 - 6 / 5))
    assert CorpusBLEUMetric()(said([7, 7, 7, 7, 7]), torch.tensor([text])) == 0
    with pytest.raises(ConfigError, match="compares texts"):
        CorpusBLEUMetric()(torch.zeros(2, 3), torch.zeros(2))


def test_columns_of_what_the_loss_keeps(make_learner) -> None:
    class TwoParts(torch.nn.Module):
        def forward(self, pred, target):
            self.near, self.far = pred.square().mean(), pred.abs().mean()
            return self.near + self.far

    learn = make_learner(loss_func=TwoParts(), metrics=LossMetrics("near, far"))
    learn.fit(1)
    loss, near, far = learn.validate()
    assert near + far == pytest.approx(loss)
    assert learn.recorder.metric_names[3:5] == ["near", "far"]
    learn.metrics = LossMetrics("nearr", "n")
    with pytest.raises(ConfigError, match=r"has not set 'nearr'. Did you mean 'near'"):
        learn.validate()
    with pytest.raises(ConfigError, match=r"2 attributes .* need as many titles"):
        LossMetrics("near,far", "n")


def test_value_metric_asks_a_function() -> None:
    metric = ValueMetric(lambda: 3.5, "answer")
    assert (metric.name, metric.value) == ("answer", 3.5)


def test_smoothing_is_debiased_and_can_go_on() -> None:
    assert smooth([2.0, 2.0, 2.0]) == pytest.approx([2.0, 2.0, 2.0])
    running = AvgSmoothLoss(0.9)
    for loss in (1.0, 2.0, 4.0):
        running.accumulate(batch(torch.zeros(1), torch.zeros(1), loss))
    assert float(running.value) == pytest.approx(smooth([1.0, 2.0, 4.0], 0.9)[-1])


def test_an_own_metric_overrides_three_things() -> None:
    class Count(Metric):
        def reset(self):
            self.n = 0

        def accumulate(self, learn):
            self.n += len(learn.pred)

        @property
        def value(self):
            return self.n

    metric = mk_metric(Count)
    metric.accumulate(batch(torch.zeros(3), torch.zeros(3)))
    assert (metric.name, metric.value) == ("count", 3)
