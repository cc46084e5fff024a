import math

import pytest
import torch
from torch import nn

from laminar.callbacks import Callback, before_batch_cb
from laminar.core.errors import ConfigError, DataError
from laminar.metrics import accuracy, rmse
from laminar.nn import BCEWithLogitsLossFlat, CrossEntropyLossFlat, MSELossFlat


def loaders(toys, tmp_path, train, valid=None, **fields):
    dls = toys.Loaders([train, valid if valid is not None else train], tmp_path)
    for name, value in fields.items():
        setattr(dls, name, value)
    return dls


def torch_loader(n: int, bs: int, **options):
    data = [(torch.randn(4), i % 2) for i in range(n)]
    return torch.utils.data.DataLoader(data, batch_size=bs, **options)


def test_outputs_are_compared_with_classes(make_learner, toys, tmp_path) -> None:
    dls = loaders(toys, tmp_path, toys.batches(40, 20, classes=10), vocab=[f"c{i}" for i in range(10)])
    with pytest.raises(ConfigError, match=r"gives 3 outputs, but the data have 10 classes \(c0, c1, .*n_out=10"):
        make_learner(toys.net(3), dls=dls).fit(1)


def test_a_class_beyond_the_outputs_is_named(make_learner, toys, tmp_path) -> None:
    dls = loaders(toys, tmp_path, toys.batches(40, 20, classes=10))
    with pytest.raises(ConfigError, match=r"a target is class 3, but the model gives 3 outputs \(classes 0 to 2\)"):
        make_learner(toys.net(3), dls=dls).fit(1)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (MSELossFlat(), r"the loss MSELossFlat does not fit: predictions Tensor \(4, 2\) float32, targets .* int64"),
        (nn.MSELoss(), "the loss MSELoss does not fit.*For class indices, use CrossEntropyLossFlat"),
        (BCEWithLogitsLossFlat(), "the loss BCEWithLogitsLossFlat does not fit"),
        (CrossEntropyLossFlat(reduction="none"), r"must give one number.*it gives Tensor \(4,\).*reduction='mean'"),
        (lambda pred, a, b: pred.mean(), "the loss <lambda> does not fit.*missing 1 required positional argument"),
    ],
)
def test_a_loss_that_does_not_fit_is_named_with_shapes_and_remedy(make_learner, loss, message) -> None:
    with pytest.raises(ConfigError, match=message):
        make_learner(loss_func=loss).fit(1)


def test_targets_that_say_yes_or_no_get_a_remedy(make_learner, toys, tmp_path) -> None:
    batches = [(torch.randn(4, 4), torch.tensor([True, False, True, True])) for _ in range(2)]
    with pytest.raises(ConfigError, match=r"CrossEntropyLossFlat does not fit.*Targets are yes and no: .*int"):
        make_learner(toys.net(3), dls=loaders(toys, tmp_path, batches), loss_func=CrossEntropyLossFlat()).fit(1)


def test_a_metric_that_fails_is_named_when_the_learner_is_made(make_learner) -> None:
    with pytest.raises(ConfigError, match=r"the metric rmse fails on predictions Tensor \(4, 2\)"):
        make_learner(metrics=[accuracy, rmse])


def test_a_metric_given_later_is_named_before_the_first_epoch(make_learner) -> None:
    steps: list[int] = []
    learn = make_learner(cbs=Callback(after_step=lambda cb: steps.append(1)))
    learn.metrics = rmse
    with pytest.raises(ConfigError, match="the metric rmse fails"):
        learn.fit(1)
    assert steps == []


def test_a_model_that_cannot_take_the_inputs_is_named_with_them_when_the_learner_is_made(make_learner) -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2") as caught:
        make_learner(nn.Linear(5, 2))
    assert (
        "The model (Linear) was tried on the first training items: Tensor (4, 4) float32" in caught.value.__notes__[0]
    )


def test_a_last_batch_of_one_is_told_where_batch_norm_minds(make_learner) -> None:
    with pytest.raises(ConfigError, match=r"the last training batch has one item \(17 items, bs=8\)"):
        make_learner(dls=[torch_loader(17, 8)] * 2).fit(1)
    make_learner(dls=[torch_loader(17, 8, drop_last=True)] * 2).fit(1)
    make_learner(nn.Linear(4, 2), dls=[torch_loader(17, 8)] * 2).fit(1)
    pictures = nn.Sequential(nn.Unflatten(1, (1, 2, 2)), nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(4, 2))
    make_learner(pictures, dls=[torch_loader(17, 8)] * 2).fit(1)


def test_a_loader_without_batches_is_told_with_its_numbers(make_learner) -> None:
    with pytest.raises(ConfigError, match="the training loader gives no batch: 5 items, bs=8, drop_last=True"):
        make_learner(dls=[torch_loader(5, 8, drop_last=True), torch_loader(8, 8)]).fit(1)
    with pytest.raises(ConfigError, match="the validation loader gives no batch"):
        make_learner(dls=[torch_loader(8, 8), torch_loader(5, 8, drop_last=True)]).fit(1)


def test_inputs_that_are_no_numbers_are_told(make_learner, toys, tmp_path) -> None:
    (x, y), *_ = toys.batches(16, 16)
    x[2, 1] = math.nan
    with pytest.raises(
        DataError, match="input 0 of the training data holds NaN or infinite values, in 1 of the first 4"
    ):
        make_learner(dls=loaders(toys, tmp_path, [(x, y)])).fit(1)


def test_a_model_with_nothing_to_train_is_told(make_learner) -> None:
    learn = make_learner()
    learn.create_opt()
    learn.model.requires_grad_(False)
    with pytest.raises(ConfigError, match="every parameter of the model is frozen"):
        learn.fit(1)


def test_the_check_leaves_nothing_behind(make_learner, toys, tmp_path) -> None:
    def losses(check: bool) -> list[float]:
        torch.manual_seed(3)
        learn = make_learner(
            nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2)),
            dls=[torch_loader(32, 8, shuffle=True)] * 2,
            metrics=accuracy,
            check=check,
        )
        learn.fit(2)
        return [*learn.recorder.batch_losses, *learn.final_record, torch.rand(1).item()]

    assert losses(True) == losses(False)


def test_the_check_runs_once_for_a_combination(make_learner, toys, tmp_path) -> None:
    class Counting(nn.Linear):
        in_eval = 0

        def forward(self, x):
            self.in_eval += not self.training and len(x) == 4
            return super().forward(x)

    learn = make_learner(Counting(4, 2))
    for _ in range(3):
        learn.fit(1)
    assert learn.model.in_eval == 1
    learn.loss_func = nn.CrossEntropyLoss()
    learn.fit(1)
    assert learn.model.in_eval == 2


def test_callbacks_that_change_batches_are_not_second_guessed(make_learner) -> None:
    @before_batch_cb
    def shape_up(cb, xb, yb):
        return xb[0].reshape(-1, 4), yb

    model = nn.Sequential(nn.Linear(4, 2))
    make_learner(model, loss_func=CrossEntropyLossFlat(), cbs=shape_up).fit(1)

    class Pick(Callback):
        def after_pred(self):
            self.learn.pred = self.pred[0]

    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(4, 2)

        def forward(self, x):
            return self.lin(x), x

    make_learner(Pair(), cbs=Pick).fit(1)


@pytest.mark.parametrize("n_out", [2])
def test_healthy_set_ups_pass(make_learner, toys, tmp_path, n_out) -> None:
    soft = [(x, torch.stack([1.0 - y, y.float()], 1)) for x, y in toys.batches(32, 16)]
    make_learner(dls=loaders(toys, tmp_path, soft), loss_func=nn.CrossEntropyLoss()).fit(1)
    numbers = [(x, x[:, :2]) for x, _ in toys.batches(32, 16)]
    make_learner(dls=loaders(toys, tmp_path, numbers), loss_func=nn.MSELoss(), metrics=rmse).fit(1)
    multi = [(x, (x[:, :2] > 0).long()) for x, _ in toys.batches(32, 16)]
    make_learner(dls=loaders(toys, tmp_path, multi, vocab=["a", "b"]), loss_func=BCEWithLogitsLossFlat()).fit(1)
    ignored = [(x, torch.where(y == 0, -100, y)) for x, y in toys.batches(32, 16)]
    make_learner(dls=loaders(toys, tmp_path, ignored)).fit(1)
