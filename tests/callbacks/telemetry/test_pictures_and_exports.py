"""Everything measured can be drawn, written into one page, and taken elsewhere."""

import re
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch import nn

from laminar.callbacks import ActivationStats, HookCallback, LayerTelemetry, compare_telemetry
from laminar.callbacks.telemetry import DEFAULT_STATISTICS, histogram
from laminar.callbacks.telemetry.densities import density_of_percentiles
from laminar.core.errors import ConfigError

WITH_HISTOGRAM = {**DEFAULT_STATISTICS, "activations": (*DEFAULT_STATISTICS["activations"], "histogram")}


@pytest.fixture
def telemetry(make_learner) -> LayerTelemetry:
    telemetry = LayerTelemetry(stats=WITH_HISTOGRAM, every=1)
    make_learner().fit(2, 0.01, cbs=telemetry)
    return telemetry


def test_a_line_is_drawn_for_each_layer_with_its_name(telemetry) -> None:
    ax = telemetry.plot("std")
    assert [line.get_label() for line in ax.get_lines()] == ["0", "2", "3"]
    drawn = ax.get_lines()[1].get_ydata()
    assert drawn == pytest.approx(telemetry.record.series("2", "activations", "std").values)
    assert len(telemetry.plot("norm", "weights", layers=[-1]).get_lines()) == 1
    assert telemetry.plot("update_to_weight").get_title() == "updates"
    assert telemetry.plot("norm", "weights", log=True).get_yscale() == "log"


def test_the_pictures_of_one_layer_show_all_its_statistics(telemetry) -> None:
    figure = telemetry.plot_layer_stats(1)
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert "std and mean absolute deviation" in titles
    assert "percentiles" in titles
    assert figure.get_suptitle() == "2: activations"
    assert len(telemetry.plot_ridge("0", "weights").get_yticks()) == 8
    assert telemetry.plot_ridge(0).get_xlabel() == "activations of 0"
    picture = telemetry.color_dim(0).get_images()[0]
    assert picture.get_array().shape == (40, 8)
    assert picture.get_extent()[2:] == [-10, 10]


def test_pictures_of_all_layers_have_an_axes_or_a_row_for_each(telemetry) -> None:
    titles = [ax.get_title() for ax in telemetry.plot_sheet().axes]
    assert titles[:3] == ["0", "2", "3"]
    chart = telemetry.dead_chart()
    assert [label.get_text() for label in chart.get_yticklabels()] == ["0", "2", "3"]
    assert chart.get_images()[0].get_array().shape == (3, 8)


def test_runs_are_drawn_side_by_side_on_one_scale(telemetry, make_learner) -> None:
    other = LayerTelemetry(nn.Linear, every=2)
    make_learner().fit(1, 1.0, cbs=other)
    figure = compare_telemetry({"small rate": telemetry, "large rate": other}, "update_to_weight")
    axes = [ax for ax in figure.axes if ax.get_title()]
    assert [ax.get_title() for ax in axes] == ["small rate", "large rate"]
    assert axes[0].get_ylim() == axes[1].get_ylim()


def test_what_cannot_be_drawn_is_an_error_that_says_what_can(telemetry, make_learner) -> None:
    with pytest.raises(ConfigError, match="plot_sheet and plot_ridge"):
        telemetry.plot("percentiles")
    with pytest.raises(ConfigError, match="'spread' was not measured"):
        telemetry.plot("spread")
    with pytest.raises(ConfigError, match="no layer 7"):
        telemetry.plot_ridge(7)
    plain = LayerTelemetry(nn.Linear)
    with pytest.raises(ConfigError, match="none yet"):
        plain.plot("std")
    make_learner().fit(1, cbs=plain)
    with pytest.raises(ConfigError, match="needs histograms"):
        plain.color_dim(0)


def test_a_curve_made_of_percentiles_has_them() -> None:
    values = np.percentile(np.random.default_rng(0).normal(3, 2, 100_000), [5, 25, 50, 75, 95])[None]
    places, curves = density_of_percentiles(values, [5, 25, 50, 75, 95])
    shares = np.cumsum(curves[0]) / curves[0].sum()
    found = np.interp([0.05, 0.25, 0.5, 0.75, 0.95], shares, places)
    assert found == pytest.approx(values[0], abs=0.4)


def test_the_report_is_one_file_that_needs_no_other(make_learner, tmp_path) -> None:
    telemetry = LayerTelemetry("0", stats=["std", "percentiles", "dead_units", "histogram"], every=2)
    make_learner().fit(1, 0.01, cbs=telemetry)
    page = telemetry.report(tmp_path / "new" / "run.html", "Run <1>", pngs=True).read_text()
    assert "Run &lt;1&gt;" in page
    assert re.findall(r'(?:src|href)="(?!data:image/png;base64,)', page) == []
    pictures = {path.stem for path in (tmp_path / "new" / "run").glob("*.png")}
    assert {"std_of_activations", "dead_units", "percentiles_of_weights", "histograms_of_0"} <= pictures
    assert page.count("<img") == len(pictures)
    assert plt.get_fignums() == []


def test_tensorboard_gets_a_curve_for_each_statistic_of_each_layer(telemetry, tmp_path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(telemetry.to_tensorboard(tmp_path / "run")))
    events.Reload()
    written = events.Scalars("weights/norm/3")
    series = telemetry.record.series("3", "weights", "norm")
    assert [event.step for event in written] == series.batches.tolist()
    assert [event.value for event in written] == pytest.approx(series.values)
    assert "activations/percentiles 50 %/0" in events.Tags()["scalars"]


def test_without_a_run_of_wandb_the_export_says_what_to_call(telemetry) -> None:
    with pytest.raises(ConfigError, match=r"wandb\.init"):
        telemetry.to_wandb()


def test_a_live_picture_in_a_notebook_is_updated_in_its_place(make_learner, monkeypatch) -> None:
    from fastprogress import core
    from IPython import display

    shown, updates = [], []

    class Handle:
        def update(self, figure):
            updates.append(len(figure.axes[0].get_lines()))

    monkeypatch.setattr(core, "IN_NOTEBOOK", True)
    monkeypatch.setattr(display, "display", lambda figure, display_id: shown.append(figure) or Handle())
    make_learner().fit(1, 0.01, cbs=LayerTelemetry(every=1, live="std"))
    assert len(shown) == 1
    assert updates == [3]
    assert plt.get_fignums() == []


def test_activation_stats_have_the_lists_that_fastais_users_know(make_learner) -> None:
    seen = []
    stats = ActivationStats(with_hist=True)
    learn = make_learner(cbs=stats)
    learn.fit(1, 0.01, cbs=HookCallback([learn.model[0]], hook=lambda m, i, o: seen.append(o)))
    means, stds, zeros = learn.activation_stats.layer_stats(0)
    outputs = seen[:4]
    assert means == pytest.approx([float(o.mean()) for o in outputs], rel=1e-4)
    assert stds == pytest.approx([float(o.std(correction=0)) for o in outputs], rel=1e-4)
    assert zeros == pytest.approx([float((o <= 0.05).float().mean()) for o in outputs])
    assert torch.allclose(stats.hist(0)[:, 0].expm1(), outputs[0].histc(40, 0, 10), atol=1e-4)
    assert stats.record.layers("activations") == ["0", "1", "3"]
    assert stats.color_dim(-1).get_title() == "3: activations"
    assert len(stats.plot_layer_stats(0).axes) >= 3


def test_hook_callbacks_hook_every_so_many_training_batches_and_leave_nothing(make_learner) -> None:
    class Shapes(HookCallback):
        def hook(self, m, i, o):
            seen.append(tuple(o.shape))
            return o.shape

    seen: list = []
    learn, callback = make_learner(), Shapes(every=3)
    learn.fit(1, cbs=callback)
    assert seen == [(16, 8), (16, 8), (16, 2)] * 2
    assert callback.hooks.stored[-1] == (16, 2)
    assert all(not m._forward_hooks for m in learn.model.modules())
    with pytest.raises(ConfigError, match="no hook"):
        HookCallback()


def test_a_histogram_of_ones_own_range_is_drawn_over_it(make_learner) -> None:
    telemetry = LayerTelemetry("0", of="activations", stats=[partial(histogram, bins=8, low=0.0, high=2.0)], every=1)
    make_learner().fit(1, 0.01, cbs=telemetry)
    assert telemetry.color_dim(0).get_images()[0].get_extent()[2:] == [0, 2]


def test_histograms_of_weights_and_of_activations_keep_each_its_own_range(make_learner) -> None:
    narrow, wide = partial(histogram, bins=4, low=-0.5, high=0.5), partial(histogram, bins=4, low=0.0, high=8.0)
    telemetry = LayerTelemetry(of=["weights", "activations"], stats={"weights": [narrow], "activations": [wide]})
    make_learner().fit(1, 0.01, cbs=telemetry)
    assert telemetry.record.series("0", "weights", "histogram").parts[0] == "-0.5 to -0.25"
    assert telemetry.record.series("0", "activations", "histogram").parts[-1] == "6 to 8"
    assert telemetry.color_dim("0", "weights").get_ylim() == (-0.5, 0.5)
