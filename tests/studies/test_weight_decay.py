"""The study of weight decay does what it says: rates follow norms, and what it writes is what it measured."""

import json
import math

import pytest

from laminar.core.errors import DataError
from laminar.studies.weight_decay import TREATMENTS, Plan, load_pictures, main, train, with_interval

BY_NAME = {treatment.name: treatment for treatment in TREATMENTS}
QUICK = Plan(epochs=4, momentum=0.0, much=0.2, bs=16, width=4, every=2)


def test_without_momentum_a_rate_that_follows_the_norm_is_weight_decay_under_batch_norm_and_only_there() -> None:
    pictures = load_pictures(n=12)
    for batch_norm in (True, False):
        decayed = train(pictures, QUICK, BY_NAME["much decay"], batch_norm, 0)
        plain = train(pictures, QUICK, BY_NAME["no decay"], batch_norm, 0)
        follows = train(pictures, QUICK, BY_NAME["rate follows much"], batch_norm, 0, decayed)
        assert follows.norms[1][-1] > (1.5 if batch_norm else 1.05) * decayed.norms[1][-1]
        if batch_norm:
            apart = abs(plain.train_loss[-1] - decayed.train_loss[-1])
            assert abs(follows.train_loss[-1] - decayed.train_loss[-1]) < 0.1 * apart
            assert follows.rates[1] == pytest.approx([rate / (1 - 0.1 * 0.2) for rate in decayed.rates[1]], rel=0.02)
        else:
            assert abs(follows.train_loss[-1] - plain.train_loss[-1]) < 1e-3
            assert abs(follows.train_loss[-1] - decayed.train_loss[-1]) > 1e-3


def test_a_run_is_the_same_again_and_another_from_another_seed() -> None:
    pictures, plan = load_pictures(n=4), Plan(epochs=1, bs=16, width=4)
    runs = [train(pictures, plan, BY_NAME["little decay"], True, seed) for seed in (0, 0, 1)]
    assert runs[0] == runs[1]
    assert runs[0].train_loss != runs[2].train_loss


def test_the_command_writes_runs_table_and_picture(tmp_path, capsys) -> None:
    options = ["--seeds", "1", "--epochs", "1", "--per-class", "8", "--out", str(tmp_path / "out")]
    assert main(options) == 0
    written = json.loads((tmp_path / "out" / "runs.json").read_text())
    assert len(written["runs"]) == 10
    assert written["plan"]["epochs"] == 1
    assert (tmp_path / "out" / "study.png").stat().st_size > 10_000
    assert "| rate follows much − much decay, points |" in capsys.readouterr().out


def test_intervals_are_those_of_student() -> None:
    mean, half = with_interval([1.0, 2.0, 3.0])
    assert mean == 2
    assert half == pytest.approx(4.303 / math.sqrt(3), rel=1e-3)
    assert with_interval([1.0])[1] == math.inf


def test_a_folder_without_classes_is_an_error_that_names_it(tmp_path) -> None:
    with pytest.raises(DataError, match="train: there are no folders of classes"):
        load_pictures(tmp_path)
