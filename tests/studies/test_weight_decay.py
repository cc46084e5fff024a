"""The study of weight decay does what it says: rates follow norms, and what it writes is what it measured."""

import json
import math

import pytest

from laminar.core.errors import ConfigError, DataError
from laminar.studies.pictures import load_pictures
from laminar.studies.weight_decay import TREATMENTS, main
from laminar.studies.weight_decay_results import cosines, with_interval
from laminar.studies.weight_decay_runs import Plan, train

BY_NAME = {treatment.name: treatment for treatment in TREATMENTS}


def test_with_momentum_too_a_rate_that_follows_the_norm_is_weight_decay_under_batch_norm_and_only_there() -> None:
    pictures, plan = load_pictures(n=12), Plan(epochs=4, momentum=0.9, much=0.02, bs=16, width=4, every=2)
    for batch_norm in (True, False):
        decayed = train(pictures, plan, BY_NAME["much decay"], batch_norm, 0)
        plain = train(pictures, plan, BY_NAME["no decay"], batch_norm, 0)
        follows = train(pictures, plan, BY_NAME["rate follows much"], batch_norm, 0, decayed)
        assert follows.norms[1][-1] > (1.3 if batch_norm else 1.04) * decayed.norms[1][-1]
        apart = abs(plain.train_loss[-1] - decayed.train_loss[-1])
        if batch_norm:
            assert abs(follows.train_loss[-1] - decayed.train_loss[-1]) < 0.1 * apart
            assert 1 - cosines(follows, decayed)[-1] < 0.01 * (1 - cosines(plain, decayed)[-1])
            assert follows.rates[1] == pytest.approx(decayed.rates[1], rel=0.03)
        else:
            assert abs(follows.train_loss[-1] - plain.train_loss[-1]) < 0.5 * apart


def test_decay_that_swings_weights_through_zero_cannot_be_followed() -> None:
    pictures, plan = load_pictures(n=4), Plan(epochs=1, bs=16, width=4, much=0.5)
    decayed = train(pictures, plan, BY_NAME["much decay"], True, 0)
    with pytest.raises(ConfigError, match=r"no rate follows weight decay 0\.5 .* decay beyond 0\.0263"):
        train(pictures, plan, BY_NAME["rate follows much"], True, 0, decayed)


def test_a_run_that_diverged_has_no_result_and_nor_has_one_that_follows_it() -> None:
    pictures, plan = load_pictures(n=4), Plan(epochs=2, bs=16, width=4, little=0.0, lr_without_norm=1e6)
    decayed = train(pictures, plan, BY_NAME["little decay"], False, 0)
    follows = train(pictures, plan, BY_NAME["rate follows little"], False, 0, decayed)
    assert decayed.diverged
    assert follows.diverged
    assert math.isnan(follows.last("accuracies"))


def test_a_run_is_the_same_again_and_another_from_another_seed() -> None:
    pictures, plan = load_pictures(n=4), Plan(epochs=1, bs=16, width=4)
    runs = [train(pictures, plan, BY_NAME["little decay"], True, seed) for seed in (0, 0, 1)]
    assert runs[0] == runs[1]
    assert runs[0].train_loss != runs[2].train_loss


def test_the_command_writes_runs_table_and_picture(tmp_path, capsys) -> None:
    options = ["--seeds", "2", "--epochs", "1", "--per-class", "8", "--out", str(tmp_path / "out")]
    assert main(options) == 0
    written = json.loads((tmp_path / "out" / "runs.json").read_text())
    assert len(written["runs"]) == 24
    assert written["plan"]["epochs"] == 1
    assert (tmp_path / "out" / "study.png").stat().st_size > 10_000
    shown = capsys.readouterr().out
    assert "| rate follows much − much decay, training loss |" in shown
    assert "| much decay, nudged: cosine to weights of much decay | 1.000 ± 0.000 | 1.000 ± 0.000 |" in shown


def test_intervals_are_those_of_student() -> None:
    mean, half = with_interval([1.0, 2.0, 3.0])
    assert mean == 2
    assert half == pytest.approx(4.303 / math.sqrt(3), rel=1e-3)
    assert with_interval([1.0])[1] == math.inf


def test_a_folder_without_classes_is_an_error_that_names_it(tmp_path) -> None:
    with pytest.raises(DataError, match="train: there are no folders of classes"):
        load_pictures(tmp_path)
