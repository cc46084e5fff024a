import matplotlib.pyplot as plt
import pytest

from laminar.callbacks import Callback, CSVLogger, Recorder
from laminar.callbacks.recorder import format_time
from laminar.core.errors import ConfigError
from laminar.metrics import accuracy, error_rate, smooth


def test_the_table_has_a_row_for_each_epoch(make_learner) -> None:
    rows: list[list] = []
    learn = make_learner(metrics=[accuracy, error_rate, accuracy])
    learn.logger = rows.append
    learn.fit(2)
    assert rows[0] == ["epoch", "train_loss", "valid_loss", "accuracy", "error_rate", "accuracy_2", "time"]
    assert [row[0] for row in rows[1:]] == [0, 1]
    assert rows[1][1:-1] == learn.recorder.values[0]
    assert learn.final_record == learn.recorder.values[1]
    assert learn.final_record[3] == pytest.approx(1 - learn.final_record[4])


def test_losses_are_those_of_every_batch_smoothed(make_learner) -> None:
    losses: list[float] = []
    learn = make_learner(cbs=Callback(after_batch=lambda cb: losses.append(cb.loss.item()) if cb.training else None))
    learn.fit(2)
    recorder = learn.recorder
    assert recorder.batch_losses == pytest.approx(losses)
    assert recorder.losses == pytest.approx(smooth(losses))
    assert recorder.values[-1][0] == pytest.approx(smooth(losses)[-1])
    assert recorder.iters == [4, 8]
    assert learn.smooth_loss == recorder.losses[-1]


def test_fetching_in_groups_changes_nothing(make_learner, monkeypatch) -> None:
    learn = make_learner()
    learn.fit(2)
    monkeypatch.setattr("laminar.callbacks.recorder._PENDING", 3)
    other = make_learner()
    other.fit(2)
    assert other.recorder.losses == pytest.approx(learn.recorder.losses)


def test_training_metrics_on_request(make_learner) -> None:
    learn = make_learner(metrics=accuracy, default_cbs=False, cbs=Recorder(train_metrics=True, add_time=False))
    learn.fit(1)
    assert learn.recorder.metric_names == ["epoch", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy"]
    assert 0 <= learn.final_record[1] <= 1


def test_learning_rates_are_kept_for_every_group(make_learner, toys) -> None:
    learn = make_learner(splitter=toys.halves)
    learn.fit(1, slice(1e-3, 1e-2))
    assert learn.recorder.lrs == pytest.approx([1e-2] * 4)
    assert learn.recorder.hps["lr"][0] == pytest.approx((1e-3, 1e-2))


def test_the_record_is_there_after_an_interruption(make_learner) -> None:
    def interrupt(cb: Callback) -> None:
        if cb.train_iter == 6:
            raise KeyboardInterrupt

    learn = make_learner()
    with pytest.raises(KeyboardInterrupt):
        learn.fit_one_cycle(2, cbs=Callback(before_batch=interrupt))
    assert len(learn.recorder.losses) == 6
    assert len(learn.recorder.values) == 1
    assert set(learn.recorder.hps) == {"lr", "mom"}


def test_an_evaluation_leaves_the_record_alone(make_learner) -> None:
    learn = make_learner(metrics=accuracy)
    learn.fit(1)
    before = (list(learn.recorder.values), list(learn.recorder.losses))
    learn.validate(0)
    assert (learn.recorder.values, learn.recorder.losses) == before


def test_a_record_can_be_saved_and_gone_on_with(make_learner) -> None:
    learn = make_learner()
    learn.fit(1)
    other = Recorder()
    other.load_state_dict(learn.recorder.state_dict())
    assert other.values == learn.recorder.values
    assert other.losses == learn.recorder.losses


@pytest.mark.parametrize(("n_epoch", "drawn"), [(0, 0), (1, 2), (3, 7)])
def test_of_a_short_fit_at_least_half_of_the_losses_is_drawn(make_learner, n_epoch: int, drawn: int) -> None:
    learn = make_learner()  # 4 batches in an epoch
    learn.fit(n_epoch)
    ax = learn.recorder.plot_loss()
    assert ax.lines[0].get_ydata().tolist() == learn.recorder.losses[len(learn.recorder.losses) - drawn :]
    validated = [iteration for line in ax.lines[1:] for iteration in line.get_xdata()]
    assert validated == [iteration for iteration in learn.recorder.iters if iteration >= 4 * n_epoch - drawn]


def test_a_single_loss_is_drawn_as_a_point(make_learner) -> None:
    learn = make_learner(n=16)
    learn.fit(1)
    line = learn.recorder.plot_loss(with_valid=False).lines[0]
    assert len(line.get_ydata()) == 1
    assert line.get_marker() == "o"


def test_pictures_show_what_was_recorded(make_learner) -> None:
    learn = make_learner()
    learn.fit_one_cycle(3)
    ax = learn.recorder.plot_loss(skip_start=2, show_epochs=True, log=True)
    assert ax.lines[0].get_ydata().tolist() == learn.recorder.losses[2:]
    assert ax.get_yscale() == "log"
    assert learn.recorder.plot_loss(ax=plt.subplots()[1], with_valid=False) is not None
    fig = learn.recorder.plot_sched()
    assert [a.get_ylabel() for a in fig.axes] == ["lr", "mom"]
    with pytest.raises(ConfigError, match="'wd' was not recorded; these were: lr, mom"):
        learn.recorder.plot_sched(["wd"])
    with pytest.raises(ConfigError, match=r"call learn.lr_find\(\) first"):
        learn.recorder.plot_lr_find()


def test_times_are_written_shortly() -> None:
    assert [format_time(s) for s in (0, 61.9, 7322)] == ["00:00", "01:01", "2:02:02"]


def test_csv_logger_writes_rows_that_can_be_read(make_learner) -> None:
    learn = make_learner(metrics=accuracy, cbs=CSVLogger())
    learn.fit(2)
    log = learn.csv_logger.read_log()
    assert log["accuracy"].tolist() == pytest.approx([row[2] for row in learn.recorder.values])
    learn.fit(1)
    assert len(learn.csv_logger.read_log()) == 1
    learn.csv_logger.append = True
    learn.fit(2)
    assert learn.csv_logger.read_log()["epoch"].tolist() == [0, 0, 1]
    with pytest.raises(ConfigError, match="CSVLogger writes what the Recorder keeps"):
        make_learner(default_cbs=False, cbs=CSVLogger).fit(1)


def test_csv_rows_are_on_the_disk_when_training_fails(make_learner) -> None:
    def fail(cb: Callback) -> None:
        if cb.epoch == 1:
            raise RuntimeError

    learn = make_learner(cbs=CSVLogger())
    with pytest.raises(RuntimeError):
        learn.fit(3, cbs=Callback(before_batch=fail))
    assert learn.csv_logger.read_log()["epoch"].tolist() == [0]
