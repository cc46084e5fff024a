import pytest
import torch
from torch import nn

from laminar.callbacks import AMPMode, Callback, ChannelsLast, MixedPrecision
from laminar.callbacks.mixed_precision import CountingScaler
from laminar.core.errors import ConfigError


def conv_net() -> nn.Sequential:
    return nn.Sequential(
        nn.Unflatten(1, (2, 1, 2)), nn.Conv2d(2, 4, (1, 2), padding=1), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2)
    )


def ready() -> nn.Sequential:
    torch.manual_seed(0)
    model = conv_net()
    model(torch.zeros(1, 4))
    return model


def test_bfloat16_is_used_inside_on_a_cpu_and_predictions_are_float32(make_learner) -> None:
    inside: set[torch.dtype] = set()

    class Look(nn.Module):
        def forward(self, x):
            inside.add(x.dtype)
            return x

    learn = make_learner(nn.Sequential(nn.Linear(4, 8), Look(), nn.Linear(8, 2)), check=False).to_bf16()
    learn.fit(1)
    assert inside == {torch.bfloat16}
    preds, _ = learn.get_preds()
    assert preds.dtype == torch.float32
    assert all(p.dtype == torch.float32 for p in learn.model.parameters())
    inside.clear()
    learn.to_fp32().fit(1)
    assert inside == {torch.float32}


def test_bfloat16_trains_nearly_as_float32(make_learner) -> None:
    exact, half = make_learner(n=256), make_learner(n=256).to_bf16()
    for learn in (exact, half):
        learn.fit_one_cycle(4, 2e-2)
    assert half.final_record[1] == pytest.approx(exact.final_record[1], abs=0.05)


def test_float16_on_a_cpu_warns_and_stays_in_float32(make_learner) -> None:
    learn = make_learner().to_fp16(init_scale=8.0)
    with pytest.warns(UserWarning, match=r"training stays in float32. to_bf16\(\) works here"):
        learn.fit(1)
    assert learn.mixed_precision.skipped == 0


def test_switching_replaces_the_other_precision(make_learner) -> None:
    learn = make_learner().to_fp16().to_bf16()
    assert learn.mixed_precision.amp_mode is AMPMode.BF16
    with pytest.raises(ConfigError, match=r"amp_mode='bf17' is none of fp16, bf16. Did you mean"):
        MixedPrecision("bf17")
    with pytest.raises(TypeError, match="unexpected keyword argument 'init_scal'"):
        MixedPrecision(init_scal=2)


def test_an_exception_inside_autocast_leaves_it(make_learner) -> None:
    def fail(cb: Callback) -> None:
        raise RuntimeError

    learn = make_learner(cbs=Callback(after_pred=fail)).to_bf16()
    with pytest.raises(RuntimeError):
        learn.fit(1)
    assert not torch.is_autocast_enabled("cpu")


def test_steps_with_infinite_gradients_are_skipped_and_counted(make_learner) -> None:
    learn = make_learner(nn.Linear(4, 2), check=False)
    weights: list[torch.Tensor] = []

    def scale(cb: Callback) -> None:
        cb.learn.scaler = CountingScaler("cpu", init_scale=4.0)

    def spoil(cb: Callback) -> None:
        weights.append(cb.model.weight.detach().clone())
        if cb.train_iter == 1:
            cb.learn.loss_grad = cb.loss_grad * float("inf")

    scalers: list[CountingScaler] = []
    learn.fit(
        1, cbs=Callback(before_fit=scale, before_backward=spoil, cleanup_fit=lambda cb: scalers.append(cb.learn.scaler))
    )
    assert scalers[0].skipped == 1
    assert torch.equal(weights[1], weights[2])
    assert not torch.equal(weights[0], weights[1])
    assert scalers[0].get_scale() == 2.0


def test_channels_last_changes_layout_not_results(make_learner) -> None:
    seen: list[bool] = []

    def look(cb: Callback) -> None:
        seen.append(cb.model[1].weight.is_contiguous(memory_format=torch.channels_last))

    plain, last = make_learner(ready()), make_learner(ready()).to_channelslast()
    plain.fit(2)
    last.fit(2, cbs=Callback(after_pred=look))
    assert all(seen)
    assert seen
    for a, b in zip(plain.model.parameters(), last.model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)
        assert b.is_contiguous()
    assert last.to_channelslast().to_contiguous().get_cb(ChannelsLast) is None


def test_the_optimisers_state_follows_the_layout(make_learner) -> None:
    plain, switched = make_learner(ready()), make_learner(ready())
    plain.fit(3)
    switched.fit(1)
    switched.to_channelslast()
    switched.fit(1)
    switched.save("middle")
    other = make_learner(ready()).load("middle")
    other.fit(1)
    three = make_learner(ready())
    for _ in range(3):
        three.fit(1)
    for a, b in zip(three.model.parameters(), other.model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_a_model_that_is_channels_last_already_stays_so(make_learner) -> None:
    model = ready().to(memory_format=torch.channels_last)
    learn = make_learner(model, cbs=ChannelsLast)
    learn.fit(1)
    assert model[1].weight.is_contiguous(memory_format=torch.channels_last)


def test_inputs_become_channels_last(make_learner, toys, tmp_path) -> None:
    seen: list[bool] = []
    batch = (torch.randn(4, 3, 5, 5), torch.zeros(4, dtype=torch.long))
    model = nn.Sequential(nn.Conv2d(3, 2, 5), nn.Flatten())

    def look(cb: Callback) -> None:
        seen.append(cb.x.is_contiguous(memory_format=torch.channels_last))

    make_learner(
        model, dls=toys.Loaders([[batch], [batch]], tmp_path), cbs=[ChannelsLast, Callback(after_pred=look)]
    ).fit(1)
    assert seen == [True, True]
