import math
from functools import partial

import pytest
import torch

from laminar.callbacks import (
    Callback,
    CSVLogger,
    EarlyStoppingCallback,
    ReduceLROnPlateau,
    SaveModelCallback,
    TrackerCallback,
)
from laminar.core.errors import ConfigError
from laminar.metrics import ValueMetric, accuracy, mae, mk_metric, mse, rmse, smaller_is_better
from laminar.optim import Adam, OptimWrapper, get_hyper


def scripted(values):
    """A metric with these values, one after the other."""
    numbers = iter(values)
    return ValueMetric(lambda: next(numbers), "score")


def weight(learn) -> float:
    return learn.model[0].weight[0, 0].item()


def test_direction_follows_from_the_name() -> None:
    assert TrackerCallback("valid_loss").best == math.inf
    assert TrackerCallback("error_rate").best == math.inf
    assert TrackerCallback("accuracy").best == -math.inf


def test_unknown_monitor_is_an_error_with_the_columns(make_learner) -> None:
    learn = make_learner(metrics=accuracy, cbs=TrackerCallback("acuracy"))
    with pytest.raises(ConfigError, match=r"'acuracy'\): there is no such column. Did you mean 'accuracy'.*valid_loss"):
        learn.fit(1)


def test_monitoring_validation_without_any_is_an_error(make_learner, toys, tmp_path) -> None:
    learn = make_learner(dls=toys.Loaders([toys.batches(32, 16)], tmp_path), cbs=TrackerCallback())
    with pytest.raises(ConfigError, match=r"epoch 0 has no value for it. Is there a validation set"):
        learn.fit(1)


def test_early_stopping_waits_for_its_patience(make_learner, capsys) -> None:
    learn = make_learner(metrics=scripted([1, 2, 2, 2.05, 5]))
    learn.fit(5, cbs=EarlyStoppingCallback("score", patience=2, min_delta=0.1))
    assert len(learn.recorder.values) == 4
    assert "No improvement of score since epoch 1" in capsys.readouterr().out


@pytest.mark.parametrize("opt_func", [Adam, partial(OptimWrapper, opt=torch.optim.AdamW)])
def test_pain_19_plateau_lowers_the_rates_of_the_optimiser_itself(make_learner, toys, opt_func) -> None:
    rates: list[list[float]] = []
    learn = make_learner(metrics=scripted([2, 1, 1, 1, 1]), splitter=toys.halves, opt_func=opt_func)
    track = Callback(before_epoch=lambda cb: rates.append([g["lr"] for g in cb.opt.param_groups]))
    learn.fit(5, slice(1e-3, 1e-2), cbs=[ReduceLROnPlateau("score", factor=10, min_lr=1e-4), track])
    assert [r[-1] for r in rates] == pytest.approx([1e-2, 1e-2, 1e-3, 1e-4, 1e-4])
    assert [r[0] for r in rates] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-4])
    assert get_hyper(learn.opt, "lr") == [1e-3, 1e-3]


def test_plateau_and_schedule_exclude_each_other(make_learner) -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        make_learner(cbs=ReduceLROnPlateau).fit_one_cycle(1)


def set_weight(cb: Callback) -> None:
    with torch.no_grad():
        cb.model[0].weight.fill_(cb.epoch)


def test_the_best_weights_come_back(make_learner, capsys) -> None:
    learn = make_learner(metrics=scripted([1, 3, 2]))
    learn.fit(3, cbs=[SaveModelCallback("score"), Callback(after_validate=set_weight)])
    assert weight(learn) == 1
    assert (learn.path / "models" / "model.safetensors").exists()


def test_every_epoch_and_at_end_save_without_going_back(make_learner, capsys) -> None:
    learn = make_learner()
    learn.fit(3, cbs=[SaveModelCallback(every_epoch=2, fname="each"), Callback(after_validate=set_weight)])
    assert sorted(p.name for p in (learn.path / "models").iterdir()) == ["each_0.safetensors", "each_2.safetensors"]
    learn.fit(2, cbs=[SaveModelCallback(at_end=True, fname="last"), Callback(after_validate=set_weight)])
    assert weight(learn) == 1


def test_nan_never_loads_a_stale_file(make_learner, capsys) -> None:
    learn = make_learner()
    with torch.no_grad():
        learn.model[0].weight.fill_(123)
    learn.save("model")
    learn = make_learner(metrics=scripted([math.nan, math.nan]))
    with pytest.raises(ConfigError, match=r"saved nothing: no epoch improved it, its values were \[nan, nan\]"):
        learn.fit(2, cbs=[SaveModelCallback("score"), Callback(after_validate=set_weight)])
    assert weight(learn) == 1


def test_a_file_overwritten_by_another_run_is_not_loaded(make_learner, capsys) -> None:
    learn, other = make_learner(metrics=scripted([1, 0])), make_learner()
    with pytest.raises(ConfigError, match="another run has written it since"):
        learn.fit(2, cbs=[SaveModelCallback("score"), Callback(after_fit=lambda cb: other.save("model"))])


def test_saving_works_from_a_later_epoch_on(make_learner, capsys) -> None:
    learn = make_learner()
    learn.fit(4, cbs=SaveModelCallback(), start_epoch=2)
    assert len(learn.recorder.values) == 2


def rising(preds, targets):
    return next(rising.values)


@pytest.mark.parametrize(
    ("metric", "best"), [(smaller_is_better(lambda p, t: next(rising.values)), 1.0), (rising, 3.0)]
)
def test_the_metric_says_whether_smaller_is_better(make_learner, metric, best) -> None:
    rising.values = iter([2.0, 1.0, 3.0])
    learn = make_learner(n=32, bs=32, metrics=metric, check=False)
    tracker = TrackerCallback(mk_metric(metric).name)
    learn.fit(3, cbs=tracker)
    assert tracker.best == best


@pytest.mark.parametrize("metric", [mse, mae, rmse])
def test_smaller_errors_are_better(make_learner, toys, metric) -> None:
    learn = make_learner(metrics=metric, model=toys.net(1), loss_func=lambda p, t: (p[:, 0] - t).square().mean())
    tracker = TrackerCallback(mk_metric(metric).name)
    learn.fit(4, 0.1, cbs=tracker)
    assert tracker.best == min(row[-1] for row in learn.recorder.values)


def test_stopping_early_hides_no_epoch_from_those_who_save_and_note(make_learner, capsys) -> None:
    learn = make_learner(metrics=scripted([1, 0.5, 7]))
    saver, log = SaveModelCallback("score", every_epoch=True), CSVLogger()
    learn.fit(3, cbs=[EarlyStoppingCallback("score", patience=1), saver, log])
    assert saver.last_saved_path.stem == "model_1"
    assert len(log.path.read_text().splitlines()) == 3


def test_a_folder_that_cannot_be_written_to_is_found_before_an_epoch_is_spent(make_learner, tmp_path) -> None:
    (tmp_path / "models").write_text("a file")
    learn = make_learner()
    before = weight(learn)
    with pytest.raises(ConfigError, match=r"models: weights cannot be written there .*model_dir=") as caught:
        learn.fit(1, 0.1, cbs=SaveModelCallback())
    assert caught.value.__cause__.errno
    assert weight(learn) == before
