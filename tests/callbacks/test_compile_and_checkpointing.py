"""The same results in another way: compiled, or computed twice to save memory."""

import copy

import pytest
import torch
from torch import nn

from laminar.callbacks import ActivationCheckpointing, Callback, CompileModel, GradientAccumulation, MixedPrecision
from laminar.callbacks.blocks import blocks_of
from laminar.core.errors import ConfigError


class Counted(nn.Module):
    """Counts how often it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x


def block() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), Counted(), nn.Dropout(0.3), nn.Tanh())


class Net(nn.Module):
    """Two blocks and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = block(), block(), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.second(self.first(x)))


def trained(make_learner, cbs, n_epoch: int = 2, model: type[nn.Module] = Net):
    torch.manual_seed(1)
    learn = make_learner(model())
    learn.fit(n_epoch, 0.1, cbs=cbs)
    return learn


def same(first, second) -> bool:
    a, b = first.model.state_dict(), second.model.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def both(model: nn.Module) -> list[nn.Module]:
    return [model.first, model.second]


@pytest.mark.parametrize("extra", [list, lambda: [GradientAccumulation(32), MixedPrecision("bf16")]])
def test_checkpointing_changes_no_bit_of_the_result(make_learner, extra) -> None:
    plain = trained(make_learner, extra())
    twice = trained(make_learner, [ActivationCheckpointing(both), *extra()])
    assert same(plain, twice)
    assert twice.model.first[2].calls - plain.model.first[2].calls == 8  # training batches, once more


def test_checkpointed_blocks_keep_less_for_the_backward_pass(make_learner) -> None:
    def kept(cbs) -> int:
        sizes: list[int] = []

        class Weighed(Net):
            def forward(self, x):
                with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
                    return super().forward(x)

        trained(make_learner, cbs, 1, Weighed)
        return sum(sizes)

    assert kept([ActivationCheckpointing(both)]) < kept([]) / 2


def test_blocks_that_have_layers_inside_are_found() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs = nn.Sequential(nn.Linear(2, 2), nn.ReLU())

    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.ModuleList([Residual(), Residual()])), nn.Linear(2, 2))
    assert [type(found).__name__ for found in blocks_of(model)] == ["Linear", "Residual", "Residual", "Linear"]
    assert len(blocks_of(Net())) == 11  # three children in its two blocks are opened


def test_a_network_without_blocks_is_told_how_to_name_some(make_learner) -> None:
    with pytest.raises(ConfigError, match=r"ActivationCheckpointing finds no blocks in Sequential; say which"):
        make_learner(nn.Sequential(nn.Linear(4, 2)), cbs=ActivationCheckpointing()).fit(1)


class Backend:
    """Runs graphs as they are, and counts them."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph, inputs):
        self.graphs += 1
        return graph.forward


class Plain(nn.Module):
    """Something to compile."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))

    def forward(self, x):
        return self.layers(x) * 2


@pytest.fixture
def fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.usefixtures("fresh_compiler")
def test_a_compiled_model_learns_the_same_and_is_compiled_once(make_learner) -> None:
    backend = Backend()
    compiled = trained(make_learner, CompileModel(backend=backend), 2, Plain)
    assert same(trained(make_learner, [], 2, Plain), compiled)
    graphs = backend.graphs
    assert graphs == 2  # training and validation


@pytest.mark.usefixtures("fresh_compiler")
def test_later_fits_use_what_is_compiled_and_files_do_not_notice(make_learner) -> None:
    backend = Backend()
    learn = make_learner(Plain(), cbs=CompileModel(backend=backend))
    names, saved = list(learn.model.state_dict()), []
    learn.fit(1, cbs=Callback(after_epoch=lambda cb: saved.append(list(cb.model.state_dict()))))
    graphs = backend.graphs
    learn.fit(1)
    learn.get_preds()
    assert backend.graphs == graphs
    assert saved == [names]
    assert "forward" not in vars(learn.model)
    copy.deepcopy(learn.model)


def test_an_unknown_option_of_the_compiler_is_told() -> None:
    with pytest.raises(TypeError, match=r"bakend.*Did you mean 'backend'"):
        CompileModel(bakend="eager")


class Twice(nn.Module):
    """Blocks without batch norms."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(2))

    def forward(self, x):
        return self.second(self.first(x))


@pytest.mark.usefixtures("fresh_compiler")
def test_checkpointed_blocks_can_be_compiled_but_for_batch_norms(make_learner) -> None:
    cbs = [CompileModel(backend="aot_eager"), ActivationCheckpointing(both)]
    assert same(trained(make_learner, [], 1, Twice), trained(make_learner, cbs, 1, Twice))
    with pytest.raises(ConfigError, match="blocks with batch norms and CompileModel exclude each other"):
        trained(make_learner, [CompileModel(), ActivationCheckpointing(both)])
