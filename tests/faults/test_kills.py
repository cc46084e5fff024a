"""A training is killed at random moments, again and again, and resumed: its end is that of one never killed.

A few kills by default; ``make faults`` does 200 with each of two signals.
"""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from tests.faults.training import Process, train

KILLS = int(os.environ.get("LAMINAR_KILLS", "2"))
WORKERS = (0, 0, 0, 2, 1)  # of each attempt in turn
STOPPED = 75  # the exit code of a process that has written a checkpoint and stopped

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes as POSIX does")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, float]:
    """The result of a training that nobody kills, and how long it takes."""
    folder = tmp_path_factory.mktemp("whole")
    begun = time.monotonic()
    assert Process(train, folder).wait() == 0, (folder / "output").read_text()
    return json.loads((folder / "result.json").read_text()), time.monotonic() - begun


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_training_killed_at_random_moments_ends_as_if_it_had_not_been(tmp_path: Path, whole, number: int) -> None:
    expected, seconds = whole
    draw = random.Random(2024)
    kills = runs = attempts = 0
    while kills < KILLS:
        folder, code = tmp_path / f"run_{runs}", -1
        while code != 0:
            process = Process(train, folder, workers=WORKERS[attempts % len(WORKERS)])
            time.sleep(draw.uniform(0.02, seconds))
            process.send(number)
            code = process.wait()
            assert code in (0, -number, STOPPED), process.output
            attempts, kills = attempts + 1, kills + (code != 0)
        assert json.loads((folder / "result.json").read_text()) == expected, process.output
        runs += 1
    print(f"{signal.Signals(number).name}: {kills} kills in {runs} trainings, {attempts} processes")
