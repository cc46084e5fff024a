"""What `LayerTelemetry` measures is what went through the layers, in sampled batches alone, and memory is bounded."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from laminar.callbacks import Callback, CompileModel, GradientAccumulation, GradientClip, MixedPrecision
from laminar.callbacks.telemetry import InGroup, LayerTelemetry, cosine_to_previous, effective_learning_rate
from laminar.core.errors import ConfigError


def hooks_on(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def keep(what: dict, name: str, value) -> None:
    what.setdefault(name, []).append(copy.deepcopy(value))


def test_values_are_those_of_outputs_weights_gradients_and_updates(make_learner) -> None:
    seen: dict = {}

    def before_step(cb: Callback) -> None:
        keep(seen, "gradients", cb.model[0].weight.grad)
        keep(seen, "weights", cb.model[0].weight.detach())

    def after_step(cb: Callback) -> None:
        keep(seen, "updates", cb.model[0].weight.detach() - seen["weights"][-1])

    def output(cb: Callback) -> None:
        if cb.training:
            keep(seen, "activations", (cb.x @ cb.model[0].weight.T + cb.model[0].bias).detach())

    telemetry = LayerTelemetry(layers="0", stats=["mean", "norm"], every=2)
    watch = Callback(before_step=before_step, after_step=after_step, before_batch=output)
    make_learner().fit(2, 0.01, cbs=[telemetry, watch])
    for kind in ("activations", "weights", "gradients", "updates"):
        series = telemetry.record.series("0", kind, "norm")
        assert series.batches.tolist() == [0, 2, 4, 6]
        assert series.values == pytest.approx([float(t.norm()) for t in seen[kind][::2]], rel=1e-4)


def test_hooks_are_on_only_while_a_sampled_batch_goes_through_the_model(make_learner) -> None:
    learn, counts = make_learner(), []
    count = Callback(after_pred=lambda cb: None, before_batch=lambda cb: None)
    inside = lambda module, inputs: counts.append(hooks_on(learn.model) - 1)  # noqa: E731
    handle = learn.model[-1].register_forward_pre_hook(inside)
    learn.fit(1, 0.01, cbs=[LayerTelemetry(every=3), count])
    handle.remove()
    assert [n > 0 for n in counts] == [True, False, False, True, False, False]  # 4 of training, 2 of validation


def test_a_users_own_statistic_is_a_function_of_a_tensor_and_of_what_it_names(make_learner) -> None:
    def top(t):
        return t.max()

    def ratio(t, weight, lr):
        return lr * t.norm() / weight.norm()

    telemetry = LayerTelemetry(of=["weights", "gradients"], stats=[top, ratio, "std"], every=1)
    make_learner().fit(1, 0.01, cbs=telemetry)
    assert telemetry.record.layers("weights", "top") == ["0", "3"]
    assert telemetry.record.layers("weights", "ratio") == []  # there is no weight of a weight
    assert (telemetry.record.series("3", "gradients", "ratio").values > 0).all()


def test_previous_is_the_tensor_of_the_batch_before_whatever_the_distance(make_learner) -> None:
    def run(every):
        telemetry = LayerTelemetry(of="gradients", stats=[cosine_to_previous], every=every)
        make_learner(n=128).fit(1, 0.01, cbs=telemetry)
        return telemetry.record.series("0", "gradients", "cosine_to_previous")

    each, fourth = run(1), run(4)
    assert each.batches.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert fourth.batches.tolist() == [4]
    assert fourth.values[0] == pytest.approx(each.values[3], rel=1e-5)


def test_the_effective_rate_is_that_of_the_layers_own_group(make_learner, toys) -> None:
    telemetry = LayerTelemetry(of="weights", stats=["norm", effective_learning_rate], every=1)
    make_learner(splitter=toys.halves).fit(1, slice(1e-4, 1e-2), cbs=telemetry)
    for layer, lr in (("0", 1e-4), ("3", 1e-2)):
        norms = telemetry.record.series(layer, "weights", "norm").values
        assert telemetry.record.series(layer, "weights", "effective_learning_rate").values == pytest.approx(
            lr / norms**2, rel=1e-4
        )


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        (nn.Linear, ["0", "3"]),
        ("[12]", ["1", "2"]),
        (lambda m: getattr(m, "out_features", 0) == 8, ["0"]),
        (InGroup(-1), ["3"]),
        ([nn.ReLU, InGroup(0)], ["0", "1", "2"]),
        (None, ["0", "2", "3"]),
    ],
)
def test_layers_are_chosen_by_class_name_function_and_group(make_learner, toys, choice, names) -> None:
    telemetry = LayerTelemetry(choice, of="activations", stats=["mean"], every=4)
    make_learner(splitter=toys.halves).fit(1, 0.01, cbs=telemetry)
    assert telemetry.record.layers("activations") == names


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": "body*"}, "no layer is called 'body\\*'"),
        ({"layers": nn.Conv2d}, "it has BatchNorm1d, Linear, ReLU"),
        ({"layers": InGroup(3)}, "has 1 groups"),
        ({"stats": ["meen"]}, "Did you mean 'mean'"),
        ({"of": ["gradient"]}, "Did you mean 'gradients'"),
        ({"stats": [lambda t, wight: t]}, "Did you mean 'weight'"),
        ({"stats": [lambda t: t.mean(), lambda t: t.std()]}, "two statistics of activations are called '<lambda>'"),
        ({"every": 0}, "every=0"),
    ],
)
def test_what_cannot_be_measured_is_an_error_that_says_what_can(make_learner, options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        make_learner().fit(1, cbs=LayerTelemetry(**options))


def test_an_error_in_a_statistic_names_it_and_the_layer(make_learner) -> None:
    def broken(t):
        return t.reshape(7)

    learn = make_learner()
    with pytest.raises(RuntimeError) as caught:
        learn.fit(1, cbs=LayerTelemetry(stats=[broken]))
    assert any("statistic broken of activations of 0" in note for note in caught.value.__notes__)
    assert hooks_on(learn.model) == 0


class Odd(nn.Module):
    """Tied weights, a layer called twice, outputs in tuples and dicts."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.lstm = nn.Embedding(9, 4), nn.LSTM(4, 4, batch_first=True)
        self.encode = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        self.act, self.out = nn.ReLU(), nn.Linear(4, 9, bias=False)
        self.out.weight = self.embed.weight
        self.named = Named()

    def forward(self, x):
        x, _ = self.lstm(self.act(self.embed(x)))
        return self.named(self.act(self.encode(x)))["all"] @ self.embed.weight.T


class Named(nn.Module):
    def forward(self, x):
        return {"all": x.mean(1), "first": (x[:, 0], x[:, 1])}


def test_recurrent_transformer_tied_shared_and_nested_layers_are_measured(make_learner, toys, tmp_path) -> None:
    batch = (torch.randint(9, (8, 5)), torch.randint(9, (8,)))
    dls = toys.Loaders([toys.ListLoader([batch] * 2), toys.ListLoader([batch])], tmp_path)
    telemetry = LayerTelemetry([nn.LSTM, nn.Embedding, nn.ReLU, nn.Linear, Named, nn.MultiheadAttention], every=1)
    make_learner(Odd(), dls=dls).fit(1, cbs=telemetry)
    names = telemetry.record.layers("activations")
    assert {"lstm", "lstm[1]", "act", "act (call 2)", "encode.self_attn", "named[all]", "named[first][1]"} <= {*names}
    weights = telemetry.record.layers("weights")
    assert "lstm.weight_ih_l0" in weights
    assert "encode.self_attn.in_proj_weight" in weights
    assert "embed" in weights
    assert "out" not in weights  # the same weights as embed's


def test_units_of_sequences_and_pictures_are_features_and_channels(make_learner, toys, tmp_path) -> None:
    conv = nn.Sequential(nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    with torch.no_grad():
        conv[1].bias[:2] = -100
    telemetry = LayerTelemetry(nn.ReLU, of="activations", stats=["dead_units"], every=4, rules=())
    make_learner(conv).fit(1, 1e-5, cbs=telemetry)
    assert telemetry.record.series("2", "activations", "dead_units").values[0] == 0.5
    linear = nn.Sequential(nn.Unflatten(1, (2, 2)), nn.Linear(2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
    with torch.no_grad():
        linear[1].bias[:1] = -100
    telemetry.clear()
    make_learner(linear).fit(1, 1e-5, cbs=telemetry)
    assert telemetry.record.series("2", "activations", "dead_units").values[0] == 0.25


def test_units_of_an_activation_that_is_watched_alone_are_those_of_the_layer_before_it(make_learner, toys, tmp_path):
    class Cut(nn.Module):
        def forward(self, x):
            return x[:, :, None].expand(-1, -1, 7)

    convolution = nn.Conv1d(4, 8, 3)
    with torch.no_grad():
        convolution.bias[:4] = -50
    model = nn.Sequential(Cut(), convolution, nn.ReLU(), nn.Flatten(), nn.Linear(40, 3))
    telemetry = LayerTelemetry(nn.ReLU, "activations", ["dead_units"])
    make_learner(model).fit(1, 1e-6, cbs=telemetry)
    assert telemetry.record.series("2", "activations", "dead_units").values.tolist() == [0.5]


def test_gradients_are_measured_before_they_are_clipped_and_unscaled(make_learner) -> None:
    def norms(*cbs):
        telemetry = LayerTelemetry("0", of="gradients", stats=["norm"], every=4)
        make_learner().fit(1, 0.01, cbs=[telemetry, *cbs])
        return telemetry.record.series("0", "gradients", "norm").values

    assert norms(GradientClip(1e-6)) == pytest.approx(norms())
    assert norms(MixedPrecision("bf16")) == pytest.approx(norms(), rel=0.1)


def test_with_accumulation_gradients_and_updates_are_those_of_the_next_step(make_learner) -> None:
    telemetry = LayerTelemetry("0", stats=["norm"], every=4)
    make_learner(n=128).fit(1, 0.01, cbs=[telemetry, GradientAccumulation(48)])
    assert telemetry.record.series("0", "activations", "norm").batches.tolist() == [0, 4]
    assert telemetry.record.series("0", "updates", "norm").batches.tolist() == [2, 5]


def test_a_compiled_model_is_measured_too(make_learner) -> None:
    def run(*cbs):
        telemetry = LayerTelemetry(of="activations", stats=["std"], every=2)
        make_learner().fit(1, 0.01, cbs=[telemetry, *cbs])
        return telemetry.record.series("2", "activations", "std").values

    assert run(CompileModel(backend="eager")) == pytest.approx(run())


def test_the_training_is_the_same_with_and_without(make_learner) -> None:
    def weights(cbs):
        learn = make_learner()
        learn.fit(2, 0.01, cbs=cbs)
        return learn.model.state_dict()

    alone, watched = weights([]), weights([LayerTelemetry(every=1, stats=["effective_rank", "spectral_norm"])])
    assert all(torch.equal(alone[name], watched[name]) for name in alone)


def test_memory_is_bounded_by_taking_and_keeping_half_as_many_samples(make_learner) -> None:
    telemetry = LayerTelemetry("0", of="weights", stats=["norm"], every=1, max_samples=8)
    make_learner(n=320, bs=4).fit(1, 0.01, cbs=telemetry)
    batches = telemetry.record.series("0", "weights", "norm").batches
    assert len(batches) <= 8
    assert batches.tolist() == list(range(0, 80, 16))


def test_the_record_goes_on_in_later_fits_and_after_a_checkpoint(make_learner) -> None:
    telemetry = LayerTelemetry("0", of="weights", every=2)
    learn = make_learner(cbs=telemetry)
    learn.fit(1, 0.01)
    state = copy.deepcopy(telemetry.state_dict())
    learn.fit(1, 0.01)
    expected = telemetry.record.series("0", "weights", "norm")
    assert expected.batches.tolist() == [0, 2, 4, 6]
    other = LayerTelemetry("0", of="weights", every=2)
    other.load_state_dict(state)
    assert other.record.series("0", "weights", "norm").batches.tolist() == [0, 2]
    assert other.state_dict() == state
    learn.undo()
    assert telemetry.record.series("0", "weights", "norm").batches.tolist() == [0, 2]


def test_a_prediction_in_the_middle_of_a_sampled_batch_is_not_measured(make_learner) -> None:
    telemetry = LayerTelemetry("0", of="activations", stats=["mean"], every=1)
    ask = Callback(before_batch=lambda cb: cb.learn.get_preds() if cb.training else None)
    make_learner().fit(1, 0.01, cbs=[telemetry, ask])
    assert telemetry.record.layers("activations") == ["0"]


def test_the_record_is_exported_as_rows_and_says_what_was_not_measured(make_learner, tmp_path) -> None:
    telemetry = LayerTelemetry(nn.Linear, every=4)
    make_learner().fit(1, 0.01, cbs=telemetry)
    frame = telemetry.record.to_frame()
    percentiles = frame[(frame.layer == "0") & (frame.of == "weights") & (frame.stat == "percentiles")]
    assert percentiles.part.tolist() == ["5 %", "25 %", "50 %", "75 %", "95 %"]
    assert np.allclose(percentiles.value, telemetry.record.series("0", "weights", "percentiles").values[0])
    lines = telemetry.record.to_csv(tmp_path / "new" / "t.csv").read_text().splitlines()
    assert len(lines) == len(frame) + 1
    with pytest.raises(ConfigError, match=r"'rank' of weights of 0 was not measured"):
        telemetry.record.series("0", "weights", "rank")
