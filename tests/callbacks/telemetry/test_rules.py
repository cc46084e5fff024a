"""Eight faults are planted, and each is named; ten healthy runs are not disturbed."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from laminar.callbacks import Callback, Finding, LayerTelemetry, warn_if
from laminar.learner import Learner
from laminar.nn import CrossEntropyLossFlat, MSELossFlat, ResBlock
from laminar.optim import SGD, Adam


class Loaders(list):
    device, n_inp, vocab, path = torch.device("cpu"), 1, None, "."


def vectors(n: int = 512, shift: float = 0.0, scale: float = 1.0, classes: int = 3) -> Loaders:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 10, generator=generator)
    y = (x @ torch.randn(10, classes, generator=generator)).argmax(1)
    return loaders(x * scale + shift, y)


def loaders(x: torch.Tensor, y: torch.Tensor, bs: int = 32) -> Loaders:
    batches = [(x[i : i + bs], y[i : i + bs]) for i in range(0, len(x), bs)]
    return Loaders([batches, batches[:2]])


def mlp(depth: int = 3, width: int = 24, act: type[nn.Module] = nn.ReLU, gain: float = 1.0) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Linear(10 if i == 0 else width, width), act()]
        with torch.no_grad():
            layers[-2].weight.mul_(gain)
    return nn.Sequential(*layers, nn.Linear(width, 3))


def run(model, dls, epochs: int = 3, lr: float = 3e-3, **options) -> LayerTelemetry:
    telemetry = LayerTelemetry(every=4, **options.pop("telemetry", {}))
    options = {"loss_func": CrossEntropyLossFlat(), "default_cbs": False, "check": False, **options}
    learn = Learner(dls, model, cbs=telemetry, **options)
    learn.fit(epochs, lr)
    return telemetry


class Root(nn.Module):
    """Takes a root of what is below zero in some batches."""

    def forward(self, x):
        return x.sqrt()


def dead_layer():
    model = mlp()
    with torch.no_grad():
        model[2].bias.fill_(-50)
    return run(model, vectors())


def layer_frozen_by_hand():
    model = mlp()
    model[2].requires_grad_(False)
    return run(model, vectors())


def input_not_normalised():
    return run(mlp(), vectors(shift=0.48, scale=0.25))


def rate_past_the_cliff():
    return run(mlp(), vectors(), lr=3.0, opt_func=SGD, epochs=4)


def exploding_gradients():
    return run(mlp(8, gain=4.0), vectors(), lr=1e-6, opt_func=SGD)


def vanishing_gradients():
    return run(mlp(8, act=nn.Sigmoid), vectors(), lr=1e-3)


def layer_in_no_group():
    return run(mlp(), vectors(), splitter=lambda m: [list(m[:2].parameters()) + list(m[4:].parameters())])


def source_of_nan():
    model = mlp()
    model.insert(3, Root())
    return run(model, vectors())


FAULTS = {
    dead_layer: ("dead units", "3"),
    layer_frozen_by_hand: ("frozen layer", "2"),
    input_not_normalised: ("input is not normalised", "input 0"),
    rate_past_the_cliff: ("learning rate is too high", ""),
    exploding_gradients: ("exploding gradients", None),
    vanishing_gradients: ("vanishing gradients", "0"),
    layer_in_no_group: ("layer in no parameter group", "2"),
    source_of_nan: ("NaN", "4"),
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_each_planted_fault_is_named_with_its_layer(fault, capsys) -> None:
    torch.manual_seed(0)
    rule, layer = FAULTS[fault]
    findings = fault().findings
    assert rule in [finding.rule for finding in findings], findings
    if layer is not None:
        assert layer in [finding.layer for finding in findings if finding.rule == rule]
    assert f"LayerTelemetry: {rule}" in capsys.readouterr().out


def pictures() -> Loaders:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(256) % 3
    x = torch.randn(256, 1, 12, 12, generator=generator)
    for i, label in enumerate(y):
        x[i, 0, 3 * label : 3 * label + 3] += 2
    return loaders((x - x.mean()) / x.std(), y)


def healthy_network_of_linear_layers():
    return run(mlp(), vectors())


def healthy_residual_network():
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), ResBlock(1, 8, 16, stride=2), ResBlock(1, 16, 16),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3),
    )  # fmt: skip
    return run(model, pictures(), lr=1e-2)


class Reader(nn.Module):
    """Embedding, LSTM and a transformer layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.lstm = nn.Embedding(20, 16), nn.LSTM(16, 16, batch_first=True)
        self.encode = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.out = nn.Linear(16, 3)

    def forward(self, x):
        return self.out(self.encode(self.lstm(self.embed(x))[0]).mean(1))


def healthy_reader_of_words():
    words = torch.randint(20, (256, 8), generator=torch.Generator().manual_seed(0))
    return run(Reader(), loaders(words, words[:, 0] % 3), lr=1e-3)


def healthy_training_of_a_head_on_a_frozen_body():
    model = mlp()
    learn = Learner(
        vectors(), model, loss_func=CrossEntropyLossFlat(), default_cbs=False, check=False, opt_func=Adam,
        splitter=lambda m: [list(m[:4].parameters()), list(m[4:].parameters())],
    )  # fmt: skip
    telemetry = LayerTelemetry(every=4)
    learn.fine_tune(2, 3e-3, cbs=telemetry)
    return telemetry


def healthy_regression_with_momentum():
    x = torch.randn(512, 10, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.Linear(10, 32), nn.GELU(), nn.LayerNorm(32), nn.Linear(32, 1))
    return run(model, loaders(x, x[:, :1] * 2 - x[:, 1:2] ** 2), loss_func=MSELossFlat(), lr=0.02, opt_func=SGD)


def healthy_training_by_single_items():
    dls = vectors(128)
    return run(
        mlp(width=64), loaders(*(torch.cat(parts) for parts in zip(*dls[0], strict=True)), bs=1), epochs=2, lr=1e-3
    )


class Scaled(nn.Module):
    """A residual branch that begins as almost nothing, as ConvNeXt's."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.GELU())
        self.scale = nn.Parameter(torch.full((8, 1, 1), 1e-6))

    def forward(self, x):
        return x + self.scale * self.branch(x)


def healthy_network_of_scaled_branches():
    model = nn.Sequential(
        nn.Conv2d(1, 8, 2, 2), Scaled(), Scaled(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    )
    return run(model, pictures(), lr=1e-3)


def healthy_reader_of_a_large_vocabulary():
    words = torch.randint(50000, (256, 40), generator=torch.Generator().manual_seed(0))
    words[:, :5] = torch.arange(256)[:, None] % 3
    model = Reader()
    model.embed = nn.Embedding(50000, 16)
    return run(model, loaders(words, words[:, 0]), lr=1e-3)


class MaskedAtTimes(nn.Module):
    """Normalises its first input itself, and takes a mask and times besides."""

    class Normalised(nn.Module):
        def forward(self, x):
            return (x - 0.48) / 0.25

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.body = self.Normalised(), mlp()

    def forward(self, x, mask, times):
        return self.body(self.norm(x) * mask + 0.1 * times[:, None])


def healthy_network_that_normalises_itself_beside_masks_and_times():
    batches = [(x, torch.ones(len(x), 10), torch.rand(len(x)), y) for x, y in vectors(shift=0.48, scale=0.25)[0]]
    dls = Loaders([batches, batches[:2]])
    dls.n_inp = 3
    return run(MaskedAtTimes(), dls)


def healthy_run_whose_scaler_looks_for_its_scale():
    scale = Callback(
        before_fit=lambda cb: setattr(cb.learn, "scaler", torch.amp.GradScaler("cpu", init_scale=3.4e38)),
        cleanup_fit=lambda cb: setattr(cb.learn, "scaler", torch.amp.GradScaler("cpu", enabled=False)),
    )
    loss = lambda logits, y: 100 * nn.functional.cross_entropy(logits, y)  # noqa: E731
    learn = Learner(vectors(), mlp(), loss_func=loss, default_cbs=False, check=False)
    telemetry = LayerTelemetry(every=4)
    learn.fit(2, 3e-3, cbs=[telemetry, scale])
    assert not telemetry.record.series("0", "gradients", "norm").values[0] < float("inf")  # a step was skipped
    return telemetry


HEALTHY = [
    healthy_network_of_linear_layers,
    healthy_residual_network,
    healthy_reader_of_words,
    healthy_training_of_a_head_on_a_frozen_body,
    healthy_regression_with_momentum,
    healthy_training_by_single_items,
    healthy_network_of_scaled_branches,
    healthy_reader_of_a_large_vocabulary,
    healthy_network_that_normalises_itself_beside_masks_and_times,
    healthy_run_whose_scaler_looks_for_its_scale,
]


@pytest.mark.parametrize("healthy", HEALTHY, ids=lambda healthy: healthy.__name__)
@pytest.mark.parametrize("seed", [0, 1])
def test_nothing_is_said_of_healthy_runs(healthy, seed: int, capsys) -> None:
    torch.manual_seed(seed)
    telemetry = healthy()
    assert len(telemetry.record) >= 6
    assert telemetry.findings == []
    assert capsys.readouterr().out == ""


def test_a_finding_is_printed_once_and_rules_are_off_by_one_argument(capsys) -> None:
    model = mlp()
    model[2].requires_grad_(False)
    run(model, vectors())
    assert capsys.readouterr().out.count("frozen layer") == 1
    assert run(model, vectors(), telemetry={"rules": ()}).findings == []
    assert capsys.readouterr().out == ""


def test_anyone_can_add_a_rule() -> None:
    def weights_grow(watched) -> Iterator[Finding]:
        for layer in watched.record.layers("weights", "norm"):
            norms = watched.record.series(layer, "weights", "norm").values
            if norms[-1] > norms[0]:
                yield Finding("weights grow", layer, watched.record.last_batch, f"by {norms[-1] / norms[0] - 1:.0%}")

    limit = warn_if("large weights", "weights", "abs_max", above=0.1, causes="no weight decay")
    findings = run(mlp(), vectors(), telemetry={"rules": [weights_grow, limit]}).findings
    assert {finding.rule for finding in findings} == {"weights grow", "large weights"}
    assert "Usual causes: no weight decay." in str(next(f for f in findings if f.rule == "large weights"))
    assert next(f for f in findings if f.rule == "large weights").batch == 0
