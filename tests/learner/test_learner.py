import pytest
import torch
from torch import nn

from laminar.callbacks import Callback, CancelBatchException, GradientClip
from laminar.core.errors import ConfigError
from laminar.core.types import TensorCategory, TensorFloat, TensorMultiCategory
from laminar.learner import Learner, register_loss
from laminar.metrics import AvgMetric, accuracy, rmse
from laminar.nn import BCEWithLogitsLossFlat, CrossEntropyLossFlat, MSELossFlat
from laminar.optim import SGD, get_hyper, n_layer_groups


def test_training_learns(make_learner) -> None:
    learn = make_learner(n=256, metrics=accuracy)
    learn.fit_one_cycle(8, 2e-2)
    assert learn.final_record[2] > 0.8
    assert learn.validate()[1] == pytest.approx(learn.final_record[2])


# ---- optimiser and groups --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opt_func", [torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop, torch.optim.Adagrad])
def test_any_torch_optimiser_trains_and_takes_torchs_schedulers(make_learner, opt_func) -> None:
    learn = make_learner(opt_func=opt_func)
    opt = learn.create_opt()
    scheduler = torch.optim.lr_scheduler.StepLR(opt, 1, gamma=0.5)
    rates: list[float] = []
    step = Callback(
        after_batch=lambda cb: (rates.append(cb.opt.param_groups[0]["lr"]), cb.training and scheduler.step())
    )
    learn.fit(1, 0.1, cbs=step)
    assert rates[:3] == pytest.approx([0.1, 0.05, 0.025])
    learn.fit_one_cycle(1, 0.1)


@pytest.mark.parametrize("opt_func", [torch.optim.AdamW, torch.optim.SGD])
def test_weight_decay_spares_norm_and_bias_with_any_optimiser(make_learner, opt_func) -> None:
    learn = make_learner(opt_func=opt_func, wd=0.5)
    before = {name: p.detach().clone() for name, p in learn.model.named_parameters()}

    def no_gradient(cb: Callback) -> None:
        for p in cb.model.parameters():
            p.grad.zero_()

    learn.fit(1, 0.1, cbs=Callback(before_step=no_gradient))
    changed = {name for name, p in learn.model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"0.weight", "3.weight"}


def test_writes_to_the_groups_reach_the_optimiser(make_learner) -> None:
    learn = make_learner(opt_func=SGD)
    before = learn.model[0].weight.detach().clone()

    def stop(cb: Callback) -> None:
        for group in cb.opt.param_groups:
            group["lr"] = 0.0

    learn.fit(1, 0.1, cbs=Callback(before_fit=stop))
    assert torch.equal(before, learn.model[0].weight)


def test_freezing_one_group_is_an_error_with_the_remedy(make_learner) -> None:
    with pytest.raises(ConfigError, match=r"would freeze nothing: the model has one group.*Give Learner a splitter"):
        make_learner().freeze()
    with pytest.raises(ConfigError, match="cannot freeze up to group 3: the model has 1 parameter groups"):
        make_learner().freeze_to(3)


def test_trap_l9_fine_tuning_one_group_tells_that_nothing_is_frozen_and_trains(make_learner) -> None:
    learn = make_learner()
    with pytest.warns(UserWarning, match=r"one parameter group, so nothing is frozen .* give Learner a splitter"):
        learn.fine_tune(1)
    assert len(learn.recorder.losses) == 4


def test_frozen_groups_do_not_move_but_their_norm_layers_do(make_learner, toys) -> None:
    learn = make_learner(splitter=toys.halves)
    learn.freeze()
    before = {name: value.clone() for name, value in learn.model.state_dict().items()}
    learn.fit(1, 0.1)
    changed = {name for name, value in learn.model.state_dict().items() if not torch.equal(value, before[name])}
    norm = {"1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"}
    assert changed == {"3.weight", "3.bias", *norm}


@pytest.mark.parametrize("affine", [True, False])
def test_without_train_bn_frozen_statistics_stand_still(make_learner, affine: bool) -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8, affine=affine)), nn.ReLU(), nn.Linear(8, 2))
    learn = make_learner(model, splitter=lambda m: [list(m[0].parameters()), list(m[2].parameters())], train_bn=False)
    learn.freeze()
    before = {name: value.clone() for name, value in learn.model.state_dict().items()}
    learn.fit(1, 0.1)
    changed = {name for name, value in learn.model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"2.weight", "2.bias"}
    learn.unfreeze()
    learn.fit(1, 0.1)
    assert not torch.equal(learn.model[0][1].running_mean, before["0.1.running_mean"])


def test_fine_tune_freezes_then_unfreezes_and_passes_options_to_both(make_learner, toys) -> None:
    phases: list[tuple[bool, float]] = []
    note = Callback(
        before_train=lambda cb: phases.append((cb.model[0].weight.requires_grad, get_hyper(cb.opt, "wd")[0]))
    )
    learn = make_learner(splitter=toys.halves)
    learn.fine_tune(2, cbs=note, wd=0.3)
    assert phases == [(False, 0.3), (True, 0.3), (True, 0.3)]
    with pytest.raises(TypeError, match=r"Learner.fine_tune\(\) got an unexpected keyword argument 'wdd'"):
        learn.fine_tune(1, wdd=0.3)


def test_rates_spread_over_groups(make_learner, toys) -> None:
    learn = make_learner(splitter=toys.halves, lr=slice(1e-4, 1e-2))
    assert get_hyper(learn.create_opt(), "lr") == pytest.approx([1e-4, 1e-2])
    assert n_layer_groups(learn.opt) == 2
    with pytest.raises(ConfigError, match="lr has 3 values"):
        learn.fit(1, lr=[1, 2, 3])


def test_start_epoch_skips_epochs(make_learner) -> None:
    epochs: list[int] = []
    learn = make_learner(cbs=Callback(before_epoch=lambda cb: epochs.append(cb.epoch)))
    learn.fit(3, start_epoch=2)
    assert epochs == [2]
    with pytest.raises(ConfigError, match="start_epoch=4 must be from 0 to n_epoch=3"):
        learn.fit(3, start_epoch=4)


# ---- predictions -----------------------------------------------------------------------------------------------------


def test_predictions_are_probabilities_in_the_order_of_the_data(make_learner, toys) -> None:
    data = [(torch.randn(4), i % 2) for i in range(20)]
    loader = torch.utils.data.DataLoader(data, batch_size=8, shuffle=True, drop_last=True)
    learn = make_learner(dls=[loader, loader])
    preds, targets, decided, losses = learn.get_preds(with_decoded=True, with_loss=True)
    assert targets.tolist() == [y for _, y in data]
    assert torch.allclose(preds.sum(1), torch.ones(20))
    assert torch.equal(decided, preds.argmax(1))
    assert losses.shape == (20,)
    assert losses.mean().item() == pytest.approx(learn.validate()[0], rel=1e-5)
    inputs = learn.get_preds(ds_idx=0, with_input=True)[0]
    assert torch.equal(inputs, torch.stack([x for x, _ in data]))


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), nn.functional.cross_entropy])
def test_plain_losses_give_probabilities_too(make_learner, loss) -> None:
    preds, _ = make_learner(loss_func=loss).get_preds()
    assert torch.allclose(preds.sum(1), torch.ones(32))


def test_unknown_losses_give_raw_outputs_and_act_overrules(make_learner) -> None:
    learn = make_learner(loss_func=lambda p, t: p.mean())
    raw, _ = learn.get_preds()
    assert torch.allclose(learn.get_preds(act=torch.sigmoid)[0], raw.sigmoid())


def test_loaders_are_asked_for_their_evaluation_form(make_learner, toys, tmp_path) -> None:
    class Augmenting(toys.ListLoader):
        def eval_loader(self):
            return [(x * 0, y) for x, y in self]

    learn = make_learner(dls=toys.Loaders([Augmenting(toys.batches(32, 16)), toys.batches(32, 16)], tmp_path))
    assert learn.get_preds(ds_idx=0, with_input=True)[0].abs().max() == 0
    with pytest.raises(ConfigError, match=r"ds_idx=2: there are 2 loaders. Pass a loader: dl=dls.test_dl"):
        learn.get_preds(ds_idx=2)


def test_batches_without_targets_are_predicted(make_learner, toys) -> None:
    preds, targets = make_learner().get_preds(dl=[(x,) for x, _ in toys.batches(20, 8)])
    assert (preds.shape, targets) == ((20, 2), None)


def test_nothing_to_predict_is_told(make_learner) -> None:
    with pytest.raises(ConfigError, match="nothing to predict"):
        make_learner().get_preds(dl=[])


def test_validate_weighs_items_alike(make_learner, toys) -> None:
    learn = make_learner(metrics=[accuracy, rmse_of_classes])
    assert learn.validate(dl=toys.batches(20, 8)) == pytest.approx(learn.validate(dl=toys.batches(20, 20)), rel=1e-5)


def rmse_of_classes(preds, targets):
    return (preds.argmax(1) == targets).float().mean()


def test_predict_and_show_results_use_the_loaders_own_way_back(make_learner, toys, tmp_path) -> None:
    shown: list[torch.Tensor] = []

    class Showing(toys.ListLoader):
        target_types = (TensorCategory,)

        def one_batch(self):
            return self[0]

        def show_results(self, b, out, max_n=9, **options):
            shown.append((len(b[0]), out, max_n, options))

    class Predicting(toys.Loaders):
        target_types = (TensorCategory,)

        def test_dl(self, items, num_workers):
            return [(torch.stack(items),)]

        def decode_batch(self, b, max_n):
            return [(b[0][i], ("no", "yes")[int(b[1][i])]) for i in range(len(b[0]))]

    dls = Predicting([toys.batches(32, 16), Showing(toys.batches(32, 16))], tmp_path)
    learn = make_learner(dls=dls)
    learn.fit_one_cycle(5, 0.05)
    word, decided, probabilities = learn.predict(torch.tensor([3.0, 0, 0, 0]))
    assert (word, int(decided)) == ("yes", 1)
    assert isinstance(decided, TensorCategory)
    assert float(probabilities.sum()) == pytest.approx(1)
    assert torch.equal(learn.predict(torch.tensor([3.0, 0, 0, 0]), with_input=True)[0], torch.tensor([3.0, 0, 0, 0]))
    learn.show_results(max_n=3, figsize=(2, 2))
    assert shown[0][0] == 16
    assert isinstance(shown[0][1], TensorCategory)
    assert shown[0][2:] == (3, {"figsize": (2, 2)})
    with pytest.raises(ConfigError, match="cannot show results"):
        learn.show_results(ds_idx=0)


def test_evaluation_leaves_modes_and_random_state(make_learner) -> None:
    learn = make_learner()
    learn.model[1].eval()
    state = torch.get_rng_state()
    learn.validate()
    learn.get_preds()
    assert [m.training for m in learn.model] == [True, False, True, True]
    assert torch.equal(state, torch.get_rng_state())


# ---- the learner itself ----------------------------------------------------------------------------------------------


def test_callbacks_are_found_by_name_and_a_wrong_name_lists_them(make_learner) -> None:
    learn = make_learner(cbs=GradientClip)
    assert learn.gradient_clip.max_norm == 1
    with pytest.raises(
        AttributeError,
        match="no attribute or callback 'gradient_clop'; callbacks: gradient_clip, recorder, progress",
    ):
        _ = learn.gradient_clop


def test_describe_shows_who_is_asked_when(make_learner, capsys) -> None:
    make_learner(cbs=GradientClip).describe()
    lines = capsys.readouterr().out.splitlines()
    assert "before_step            gradient_clip" in lines
    assert "after_batch            recorder, progress" in lines


def test_callbacks_and_logging_can_be_lent_and_borrowed(make_learner, capsys) -> None:
    learn = make_learner()
    rows: list[list] = []
    learn.logger = rows.append
    with learn.no_logging():
        learn.fit(1)
    assert rows == []
    with learn.removed_cbs(type(learn.recorder)), learn.added_cbs(GradientClip):
        assert [cb.name for cb in learn.cbs] == ["gradient_clip", "progress"]
        learn.fit(1)
    assert [cb.name for cb in learn.cbs] == ["recorder", "progress"]
    learn.fit(1)
    assert [row[0] for row in rows] == ["epoch", 0]


@pytest.mark.parametrize(
    ("kind", "loss"),
    [(TensorCategory, CrossEntropyLossFlat), (TensorMultiCategory, BCEWithLogitsLossFlat), (TensorFloat, MSELossFlat)],
)
def test_the_loss_follows_from_the_kind_of_target(toys, tmp_path, kind, loss) -> None:
    dls = toys.Loaders([toys.batches(16, 16)], tmp_path)
    dls.target_types = (kind,)
    assert type(Learner(dls, toys.net(), check=False).loss_func) is loss


def test_an_unknown_target_asks_for_a_loss(toys, tmp_path) -> None:
    class Wave(torch.Tensor):
        pass

    dls = toys.Loaders([toys.batches(16, 16)], tmp_path)
    with pytest.raises(ConfigError, match=r"the targets are unknown. Pass one: Learner"):
        Learner(dls, toys.net())
    dls.target_types = (Wave,)
    with pytest.raises(ConfigError, match="the targets are Wave"):
        Learner(dls, toys.net())
    register_loss(Wave, MSELossFlat)
    assert type(Learner(dls, toys.net(), check=False).loss_func) is MSELossFlat


def test_metrics_of_two_learners_are_apart(make_learner, toys, tmp_path) -> None:
    metric = AvgMetric(accuracy)
    first, second = make_learner(metrics=[metric, rmse], check=False), make_learner(metrics=metric)
    assert first.metrics[0] is not metric
    second.fit(1)
    assert metric.count == 0


def test_a_misspelt_argument_of_the_learner_gets_a_suggestion():
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'metric'. Did you mean 'metrics'"):
        Learner([[], []], nn.Linear(1, 1), loss_func=nn.MSELoss(), metric=None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, "1e-3"), r"lr must be a number, 0 or more, got '1e-3'"),
        ((1, -0.1), r"lr must be a number, 0 or more, got -0.1"),
        ((1, slice("a", 1)), r"got 'a'"),
        ((1.5,), r"n_epoch is a whole number of epochs, 0 or more, got float 1.5"),
    ],
)
def test_odd_epochs_and_learning_rates_are_refused_in_words(make_learner, arguments, message) -> None:
    learn = make_learner()
    with pytest.raises(ConfigError, match=message):
        learn.fit(*arguments)
    with pytest.raises(ConfigError, match=message):
        learn.fit_one_cycle(*arguments)


def test_predictions_of_a_cancelled_batch_are_left_out(make_learner) -> None:
    class SkipFirst(Callback):
        passes = ("evaluation",)

        def before_batch(self):
            if self.iter == 0:
                raise CancelBatchException

    preds, targets = make_learner(cbs=SkipFirst()).get_preds()
    assert len(preds) == len(targets) == 16


def test_predicting_several_files_at_once_is_pointed_to_test_dl(make_learner, toys, tmp_path) -> None:
    learn = make_learner()
    learn.dls.test_dl = lambda items, **options: torch.as_tensor(items)
    with pytest.raises(Exception, match=r"predict takes one item.*get_preds\(dl=learn.dls.test_dl\(items\)\)"):
        learn.predict([tmp_path / "a", tmp_path / "b"])


def test_metrics_may_be_assigned_as_they_are_given(make_learner) -> None:
    learn = make_learner()
    learn.metrics = accuracy
    learn.fit(1)
    assert learn.recorder.metric_names[3] == "accuracy"
    learn.metrics = [accuracy, rmse]
    assert [metric.name for metric in learn.metrics] == ["accuracy", "rmse"]


def test_a_new_model_or_layer_gets_a_new_optimiser(make_learner) -> None:
    learn = make_learner()
    learn.fit(1)
    learn.model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    before = learn.model[0].weight.detach().clone()
    learn.fit(1, 0.1)
    assert not torch.equal(learn.model[0].weight, before)
    learn.model[2] = nn.Linear(8, 2)
    before = learn.model[2].weight.detach().clone()
    learn.fit(1, 0.1)
    assert not torch.equal(learn.model[2].weight, before)


def test_a_new_layer_is_checked_before_it_trains(make_learner) -> None:
    learn = make_learner(model=nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2)))
    learn.fit(1)
    learn.model[1] = nn.Linear(8, 1)
    with pytest.raises(ConfigError, match="the model gives 1 outputs"):
        learn.fit(1)


def test_the_same_optimiser_goes_on_where_a_callback_gave_it_more_to_train(make_learner) -> None:
    more = nn.Parameter(torch.zeros(1))
    add = Callback(before_fit=lambda cb: cb.learn.opt.add_param_group({"params": [more]}))
    learn = make_learner()
    learn.fit(1, cbs=add)
    opt = learn.opt
    learn.fit(1)
    assert learn.opt is opt
    assert any(parameter is more for group in opt.param_groups for parameter in group["params"])


def test_scaling_the_loss_in_place_leaves_the_reported_loss_alone(make_learner) -> None:
    class Scale(Callback):
        def after_loss(self) -> None:
            self.learn.loss_grad *= 1000

    plain, scaled = make_learner(), make_learner()
    scaled.model.load_state_dict(plain.model.state_dict())
    assert scaled.validate(cbs=Scale()) == plain.validate()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda learn: learn.fine_tune(1, base_lrr=1), "Did you mean 'base_lr'"),
        (lambda learn: learn.fine_tune(1, lr=1), "Did you mean 'base_lr'"),
        (lambda learn: learn.fit_one_cycle(1, max_lr=1), r"Learner.fit_one_cycle\(\) .* Did you mean 'lr_max'"),
        (lambda learn: learn.fit_one_cycle(1, lr=1), "Did you mean 'lr_max'"),
        (lambda learn: learn.fit(1, epochs=2), "Did you mean 'n_epoch'"),
        (lambda learn: learn.get_preds(with_decode=True), r"Learner.get_preds\(\) .* Did you mean 'with_decoded'"),
        (lambda learn: learn.get_preds(reorder=False), r"Learner.get_preds\(\) .* 'reorder'.* It takes: act, cbs, dl"),
        (lambda learn: learn.validate(ds_id=0), "Did you mean 'ds_idx'"),
        (lambda learn: learn.lr_find(suggest_func="valley"), "Did you mean 'suggest_funcs'"),
        (lambda learn: learn.save("x", with_optimizer=True), r"Learner.save\(\) .* 'with_optimizer'"),
    ],
)
def test_a_misspelt_argument_is_answered_with_the_nearest(make_learner, call, message) -> None:
    with pytest.raises(TypeError, match=message):
        call(make_learner())


def test_classes_in_place_of_instances_are_refused_when_the_learner_is_made(make_learner) -> None:
    with pytest.raises(ConfigError, match="loss_func is the class CrossEntropyLoss; give an instance"):
        make_learner(loss_func=nn.CrossEntropyLoss)
    with pytest.raises(ConfigError, match="model is the class Linear"):
        make_learner(model=nn.Linear)


def test_a_learner_tells_what_it_is_made_of(make_learner) -> None:
    text = repr(make_learner())
    assert "parameters, loss" in text
    assert "callbacks: recorder" in text
