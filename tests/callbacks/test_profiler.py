"""Where time goes: a profile of some batches, and the speed of each epoch."""

import json
import time

import pytest

from laminar.callbacks import Callback, ProfilerCallback, ThroughputMonitor
from laminar.core.errors import ConfigError


def test_a_trace_and_a_table_of_the_batches_asked_for(make_learner) -> None:
    learn = make_learner(n=160, cbs=ProfilerCallback(wait=2, warmup=1, active=3))
    learn.fit(2)
    events = json.loads(learn.profiler.path.read_text())["traceEvents"]
    steps = {event["name"] for event in events if str(event.get("name", "")).startswith("ProfilerStep#")}
    assert steps == {"ProfilerStep#3", "ProfilerStep#4", "ProfilerStep#5"}
    assert any(event["name"] == "aten::addmm" for event in events if "name" in event)
    table = learn.profiler.table(sort_by="cpu_time_total", row_limit=50)
    assert "aten::addmm" in table


def test_a_fit_that_is_too_short_records_what_there_is(make_learner) -> None:
    learn = make_learner(cbs=ProfilerCallback(wait=1, warmup=1, active=100))
    learn.fit(1)
    assert learn.profiler.path.exists()
    assert "aten::" in learn.profiler.table()
    short = make_learner(n=16, cbs=ProfilerCallback())
    short.fit(1)
    with pytest.raises(ConfigError, match="has recorded nothing: it begins after 3 training batches"):
        short.profiler.table()


def test_the_speed_of_each_epoch_is_measured(make_learner, toys, capsys) -> None:
    class Slow(list):
        def __iter__(self):
            for batch in super().__iter__():
                time.sleep(0.02)
                yield batch

    learn = make_learner(dls=[Slow(toys.batches(40, 16)), toys.batches(16, 16)], cbs=ThroughputMonitor())
    learn.fit(2, cbs=Callback(after_pred=lambda cb: time.sleep(0.01)))
    first, second = learn.throughput_monitor.epochs
    assert (first.epoch, first.items, first.batches) == (0, 40, 3)
    assert second.epoch == 1
    assert first.seconds >= 0.09
    assert 0.3 < first.waiting < 0.9
    assert first.items_per_second == pytest.approx(40 / first.seconds)
    assert first.memory > 2**20
    assert "items/s" in capsys.readouterr().out
