import copy
import random

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from laminar.callbacks import Callback, minimum, slide, steep, valley
from laminar.core.errors import ConfigError
from laminar.learner import SuggestionMethod
from laminar.optim import get_hyper


def picture(learn) -> dict:
    return {
        "weights": copy.deepcopy(learn.model.state_dict()),
        "opt": copy.deepcopy(learn.opt.state_dict()) if learn.opt else None,
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state()[1].tolist(),
        "python": random.getstate(),
        "values": copy.deepcopy(learn.recorder.values),
        "losses": list(learn.recorder.batch_losses),
        "modes": [m.training for m in learn.model.modules()],
        "cbs": list(learn.cbs),
    }


def same(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def test_everything_is_as_before(make_learner) -> None:
    learn = make_learner()
    learn.fit(1)
    learn.path = "/nowhere"  # nothing is written
    before, opt = picture(learn), learn.opt
    found = learn.lr_find(num_it=30)
    assert 1e-7 < found.valley < 10
    assert same(picture(learn), before)
    assert learn.opt is opt


@pytest.mark.parametrize("exception", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("event", ["before_fit", "after_pred", "after_step", "after_batch", "after_fit"])
def test_everything_is_as_before_after_an_interruption(make_learner, event, exception) -> None:
    def fail(cb: Callback) -> None:
        raise exception

    learn = make_learner()
    learn.fit(1)
    before = picture(learn)
    with pytest.raises(exception), learn.added_cbs(Callback(**{event: fail})):
        learn.lr_find(num_it=30)
    assert same(picture(learn), before)


def test_the_training_that_follows_is_the_same(make_learner) -> None:
    def weights(find: bool):
        learn = make_learner()
        if find:
            learn.lr_find(num_it=20, show_plot=False)
        learn.fit_one_cycle(2)
        return learn.model.state_dict()

    assert same(dict(weights(False)), dict(weights(True)))


def test_loaders_that_can_be_copied_are_not_touched(make_learner, toys, tmp_path) -> None:
    class Copying(toys.ListLoader):
        def new(self):
            return Copying(self)

    dls = toys.Loaders([Copying(toys.batches(64, 16)), toys.batches(32, 16)], tmp_path)
    learn = make_learner(dls=dls)
    dls[0].epochs = 0
    learn.lr_find(num_it=20, show_plot=False)
    assert dls[0].epochs <= 1  # the copy was made by reading it


def test_a_loss_that_explodes_at_once_is_told(make_learner) -> None:
    learn = make_learner(loss_func=lambda p, t: torch.nn.functional.cross_entropy(p, t) * float("nan"))
    before = picture(learn)
    with pytest.raises(ConfigError, match=r"diverged after 0 of 30 batches.*Start lower.*as it was"):
        learn.lr_find(num_it=30)
    assert same(picture(learn), before)


def test_too_few_points_are_told(make_learner) -> None:
    with pytest.raises(ConfigError, match="num_it=3 gives too few points"):
        make_learner().lr_find(num_it=3)
    with pytest.raises(ConfigError, match="end_lr=1e-09 above it"):
        make_learner().lr_find(end_lr=1e-9)


def test_each_group_may_have_rates_of_its_own(make_learner, toys) -> None:
    learn = make_learner(splitter=toys.halves)
    same_for_all = learn.lr_find(1e-5, 1, num_it=20).valley
    assert learn.lr_find([1e-6, 1e-5], [0.1, 1], num_it=20).valley == pytest.approx(same_for_all, rel=1)
    assert learn.lr_find(slice(1e-6, 1e-5), 1, num_it=20).valley > 0
    for rates in ([1e-6, 1e-5, 1e-4], [1e-5]):
        with pytest.raises(ConfigError, match=f"start_lr has {len(rates)} values .* the model has 2 parameter groups"):
            learn.lr_find(rates, 1, num_it=20)
    with pytest.raises(ConfigError, match=r"start_lr=1e-05 must be above 0, and end_lr=\[1e-06, 1.0\] above it"):
        learn.lr_find(1e-5, [1e-6, 1], num_it=20)


def test_rules_and_own_functions_name_their_answers(make_learner, toys) -> None:
    def fixed(lrs, losses, num_it):
        return 0.5

    learn = make_learner(splitter=toys.halves)
    found = learn.lr_find(num_it=40, suggest_funcs=(valley, SuggestionMethod.Slide, minimum, steep, fixed))
    assert found._fields == ("valley", "slide", "minimum", "steep", "fixed")
    assert found.fixed == 0.5
    assert len(plt.get_fignums()) == 1
    learn.lr_find(num_it=10, show_plot=False)
    assert len(plt.get_fignums()) == 1
    assert learn.recorder.plot_lr_find() is not None
    assert learn.lr_find([1e-6, 1e-5], [1e-1, 1], num_it=20, show_plot=False).valley < 1


def curve():
    lrs = np.geomspace(1e-6, 10, 100)
    x = np.log10(lrs)
    return lrs, 2 - 1.5 / (1 + np.exp(-3 * (x + 3))) + np.where(x > -0.5, (x + 0.5) ** 2 * 3, 0)


@pytest.mark.parametrize(
    ("rule", "low", "high"), [(valley, 1e-5, 0.1), (slide, 1e-4, 1), (minimum, 1e-2, 0.2), (steep, 3e-4, 3e-3)]
)
def test_rules_answer_where_the_curve_falls(rule, low: float, high: float) -> None:
    lrs, losses = curve()
    lr, point = rule(lrs, losses, 100)
    assert low <= lr <= high
    assert point[0] == pytest.approx(lr)


@pytest.mark.parametrize("rule", [valley, slide, minimum, steep])
def test_rules_survive_flat_and_rising_curves(rule) -> None:
    lrs = np.geomspace(1e-6, 10, 12)
    for losses in (np.ones(12), np.arange(12.0), np.arange(12.0)[::-1]):
        lr, _ = rule(lrs, losses, 12)
        assert 0 < lr <= 10


def test_the_learners_weight_decay_holds_in_the_sweep(make_learner) -> None:
    class Watch(Callback):
        passes = ("lr_find",)

        def after_step(self):
            seen.append(max(get_hyper(self.opt, "wd")))

    seen = []
    make_learner(wd=0.3, cbs=Watch()).lr_find(num_it=8)
    assert set(seen) == {0.3}


def test_rules_without_a_name_and_rules_given_twice_get_names(make_learner) -> None:
    found = make_learner().lr_find(suggest_funcs=[valley, valley, lambda lrs, losses, n: 1e-3], show_plot=False)
    assert found._fields == ("valley", "suggestion_2", "suggestion_3")
    assert found.suggestion_3 == 1e-3
