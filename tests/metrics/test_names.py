"""The names and arguments that programs written for fastai use; what is left out has no effect there."""

import inspect

import pytest

import laminar.metrics
import laminar.nn

SCORES = "axis labels pos_label average sample_weight"
LABELS = "thresh sigmoid labels average sample_weight"
METRICS = {
    "accuracy": "inp targ axis",
    "error_rate": "inp targ axis",
    "top_k_accuracy": "inp targ k axis",
    "APScoreBinary": "axis pos_label sample_weight",
    "BalancedAccuracy": "axis sample_weight adjusted",
    "BrierScore": "axis sample_weight",
    "CohenKappa": "axis labels weights sample_weight",
    "F1Score": SCORES,
    "FBeta": f"beta {SCORES}",
    "HammingLoss": "axis sample_weight",
    "Jaccard": SCORES,
    "Precision": SCORES,
    "Recall": SCORES,
    "RocAuc": "axis average sample_weight max_fpr multi_class",
    "RocAucBinary": "axis sample_weight max_fpr",
    "MatthewsCorrCoef": "sample_weight",
    "accuracy_multi": "inp targ thresh sigmoid",
    "APScoreMulti": "sigmoid average sample_weight",
    "BrierScoreMulti": "thresh sigmoid sample_weight",
    "F1ScoreMulti": LABELS,
    "FBetaMulti": f"beta {LABELS}",
    "HammingLossMulti": "thresh sigmoid labels sample_weight",
    "JaccardMulti": LABELS,
    "MatthewsCorrCoefMulti": "thresh sigmoid sample_weight",
    "PrecisionMulti": LABELS,
    "RecallMulti": LABELS,
    "RocAucMulti": "sigmoid average sample_weight max_fpr",
    "mse": "inp targ",
    "mae": "inp targ",
    "msle": "inp targ",
    "ExplainedVariance": "sample_weight",
    "R2Score": "sample_weight",
    "PearsonCorrCoef": "",
    "SpearmanCorrCoef": "axis nan_policy",
    "foreground_acc": "inp targ bkg_idx axis",
    "Dice": "axis",
    "DiceMulti": "axis",
    "JaccardCoeff": "axis",
    "JaccardCoeffMulti": "axis",
    "CorpusBLEUMetric": "vocab_sz axis",
    "Perplexity": "",
    "accuracy_thresh_expand": "y_pred y_true thresh sigmoid",
    "LossMetric": "attr nm",
    "LossMetrics": "attrs nms",
    "AccumMetric": "func dim_argmax activation thresh to_np invert_arg flatten name",
    "skm_to_fastai": "func is_class thresh axis activation",
    "optim_metric": "f argname bounds tol do_neg get_x",
    "AvgMetric": "func",
    "AvgSmoothLoss": "beta",
    "ValueMetric": "func metric_name",
    "mk_metric": "m",
}
LOSSES = {
    "BaseLoss": "axis flatten floatify is_2d",
    "CrossEntropyLossFlat": "axis weight ignore_index reduction",
    "BCEWithLogitsLossFlat": "axis floatify thresh weight pos_weight reduction",
    "BCELossFlat": "axis floatify weight reduction",
    "MSELossFlat": "axis floatify reduction",
    "L1LossFlat": "axis floatify reduction",
    "LabelSmoothingCrossEntropy": "eps weight reduction",
    "LabelSmoothingCrossEntropyFlat": "axis eps weight reduction",
    "FocalLoss": "gamma weight reduction",
    "FocalLossFlat": "gamma axis weight reduction",
    "DiceLoss": "axis smooth reduction square_in_union",
}


@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [(laminar.metrics, *entry) for entry in METRICS.items()] + [(laminar.nn, *entry) for entry in LOSSES.items()],
)
def test_the_name_is_there_and_takes_the_arguments_that_programs_give(module, name: str, arguments: str) -> None:
    takes = inspect.signature(getattr(module, name)).parameters
    assert set(arguments.split()) <= takes.keys()
    assert name in module.__all__


@pytest.mark.parametrize("name", ["rmse", "exp_rmspe", "perplexity"])
def test_ready_metrics_are_there(name: str) -> None:
    assert isinstance(getattr(laminar.metrics, name), laminar.metrics.Metric)
