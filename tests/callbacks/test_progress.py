import pytest

from laminar.callbacks import Callback
from laminar.callbacks.progress import RowPrinter


def test_without_a_terminal_rows_are_aligned_lines(make_learner, capsys) -> None:
    learn = make_learner()
    learn.logger = RowPrinter()
    learn.fit(2)
    lines = capsys.readouterr().out.splitlines()
    assert [len(line) for line in lines] == [len(lines[0])] * 3
    assert lines[0].split() == ["epoch", "train_loss", "valid_loss", "time"]
    assert lines[2].split()[0] == "1"


def test_missing_values_are_dashes(capsys) -> None:
    printer = RowPrinter()
    printer(["epoch", "loss"])
    printer([0, None])
    printer([1, 0.5, 2])
    assert capsys.readouterr().out.splitlines() == ["epoch       loss", "    0          -", "1  0.500000  2"]


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr("laminar.callbacks.progress._has_display", lambda: True)


def test_in_a_terminal_bars_are_drawn_and_the_table_written(make_learner, terminal, capsys) -> None:
    learn = make_learner()
    logger = learn.logger = RowPrinter()
    learn.fit(2)
    out = capsys.readouterr().out
    assert "Epoch 1/2" in out
    assert "100.00%" in out
    assert out.count("valid_loss") == 1
    assert learn.logger is logger
    assert learn.progress._master is None


def test_bars_go_away_after_an_interruption_and_for_no_bar(make_learner, terminal, capsys) -> None:
    def interrupt(cb: Callback) -> None:
        raise KeyboardInterrupt

    learn = make_learner()
    learn.logger = RowPrinter()
    with pytest.raises(KeyboardInterrupt):
        learn.fit(2, cbs=Callback(after_step=interrupt))
    assert learn.progress._master is None
    capsys.readouterr()
    with learn.no_bar():
        learn.fit(1)
    assert "%" not in capsys.readouterr().out
    assert [cb.name for cb in learn.cbs] == ["recorder", "progress"]


def test_predictions_have_a_bar_of_their_own_and_none_inside_a_fit(make_learner, terminal, capsys) -> None:
    learn = make_learner()
    learn.get_preds()
    assert "100.00% [2/2" in capsys.readouterr().out
    masters: list[object] = []

    def predict(cb: Callback) -> None:
        before = cb.learn.progress._bar
        cb.learn.get_preds()
        masters.append(cb.learn.progress._bar is before)

    learn.fit(1, cbs=Callback(after_train=predict))
    assert masters == [True]


def test_a_stream_without_length_has_a_bar(make_learner, toys, tmp_path, terminal, capsys) -> None:
    class Stream:
        def __iter__(self):
            return iter(toys.batches(48, 16))

    make_learner(dls=toys.Loaders([Stream(), Stream()], tmp_path)).fit(1)
    assert "/?" in capsys.readouterr().out


def test_own_loggers_are_not_taken_away(make_learner, terminal, capsys) -> None:
    rows: list[list] = []
    learn = make_learner()
    learn.logger = rows.append
    learn.fit(1)
    assert len(rows) == 2
