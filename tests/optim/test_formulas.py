"""Each optimiser against its paper's formula, written out in float64: several steps, groups and shapes."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from laminar.optim import SGD, Adam, Lamb, Larc, Lion, Lookahead, Muon, QHAdam, RAdam, ranger

STEPS = 13
GROUPS = [{"lr": 0.1, "weight_decay": 0.05}, {"lr": 0.03, "weight_decay": 0.0}]
SHAPES = [[(3, 4), (4,)], [(2, 3, 2)]]

Step = Callable[[Tensor, Tensor], Tensor]  # weight and gradient to the next weight
Rule = Callable[[float, float], Step]  # learning rate and weight decay to a step with its own memory
Make = Callable[..., torch.optim.Optimizer]


def gradient(weight: Tensor, step: int) -> Tensor:
    return torch.cos(weight * (step + 1)) / (step % 3 + 1)


def has_gradient(weight: Tensor, step: int) -> bool:
    return weight.ndim != 3 or step not in (0, 4)  # one weight joins late, and pauses once


def starts() -> list[list[Tensor]]:
    torch.manual_seed(1)
    return [[torch.randn(shape, dtype=torch.float64) for shape in group] for group in SHAPES]


def trained(make: Make, steps: int = STEPS) -> list[Tensor]:
    weights = [[nn.Parameter(start) for start in group] for group in starts()]
    opt = make([{"params": group, **hypers} for group, hypers in zip(weights, GROUPS, strict=True)], lr=1.0)
    for step in range(steps):
        for weight in [weight for group in weights for weight in group]:
            weight.grad = gradient(weight.detach(), step) if has_gradient(weight, step) else None
        opt.step()
    return [weight.detach() for group in weights for weight in group]


def expected(rule: Rule, steps: int = STEPS) -> list[Tensor]:
    ends = []
    for group, hypers in zip(starts(), GROUPS, strict=True):
        for weight in group:
            take = rule(hypers["lr"], hypers["weight_decay"])
            for step in range(steps):
                if has_gradient(weight, step):
                    weight = take(weight, gradient(weight, step))
            ends.append(weight)
    return ends


def norm(x: Tensor) -> float:
    return math.sqrt(float((x * x).sum()))


def adam_terms(beta1: float, beta2: float) -> Callable[[Tensor], tuple[Tensor, Tensor, int]]:
    """Moving averages of gradient and squared gradient without bias, and the count of steps."""
    m: Tensor | float = 0.0
    v: Tensor | float = 0.0
    t = 0

    def advance(g: Tensor) -> tuple[Tensor, Tensor, int]:
        nonlocal m, v, t
        m, v, t = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2, t + 1
        return m / (1 - beta1**t), v / (1 - beta2**t), t

    return advance


def adam(lr: float, decay: float, mom: float = 0.9) -> Step:
    terms = adam_terms(mom, 0.99)

    def step(w: Tensor, g: Tensor) -> Tensor:
        m, v, _ = terms(g)
        return w - lr * decay * w - lr * m / (v**0.5 + 1e-5)

    return step


def lamb(lr: float, decay: float, coupled: bool = False) -> Step:
    terms = adam_terms(0.9, 0.99)

    def step(w: Tensor, g: Tensor) -> Tensor:
        m, v, _ = terms(g + decay * w if coupled else g)
        w = w if coupled else w - lr * decay * w
        r = m / (v**0.5 + 1e-5)
        return w - lr * min(norm(w) / norm(r), 10) * r

    return step


def larc(lr: float, decay: float, clip: bool, coupled: bool = False) -> Step:
    velocity: Tensor | float = 0.0

    def step(w: Tensor, g: Tensor) -> Tensor:
        nonlocal velocity
        local = 0.02 * norm(w) / (norm(g) + decay * norm(w) + 1e-8)
        velocity = 0.9 * velocity + lr * (min(local, 1) if clip else local) * (g + decay * w if coupled else g)
        return (w if coupled else w * (1 - lr * decay)) - velocity

    return step


def qhadam(lr: float, decay: float, nu_1: float, nu_2: float) -> Step:
    terms = adam_terms(0.999, 0.999)

    def step(w: Tensor, g: Tensor) -> Tensor:
        m, v, _ = terms(g)
        move = ((1 - nu_1) * g + nu_1 * m) / (((1 - nu_2) * g**2 + nu_2 * v) ** 0.5 + 1e-8)
        return w - lr * decay * w - lr * move

    return step


def lion(lr: float, decay: float) -> Step:
    m: Tensor | float = 0.0

    def step(w: Tensor, g: Tensor) -> Tensor:
        nonlocal m
        direction = torch.where(0.9 * m + 0.1 * g > 0, 1.0, -1.0)
        m = 0.99 * m + 0.01 * g
        return w - lr * (direction + decay * w)

    return step


def radam(lr: float, decay: float, mom: float = 0.9, eps: float = 1e-5, beta: float = 0.0) -> Step:
    terms = adam_terms(mom, 0.99)
    most = 2 / (1 - 0.99) - 1

    def step(w: Tensor, g: Tensor) -> Tensor:
        m, v, t = terms(g)
        bias = 1 - 0.99**t
        length = most - 2 * t * 0.99**t / bias
        w = w - lr * decay * w
        if length <= 5:
            return w - lr * m
        r = ((length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)) ** 0.5
        if beta:
            return w - lr * r * m / (torch.log(1 + torch.exp(beta * (v**0.5 + eps))) / beta)
        return w - lr * r * m / (v**0.5 + eps / bias**0.5)  # torch adds eps before it takes the bias off

    return step


def sgd(lr: float, decay: float) -> Step:
    return lambda w, g: w - lr * decay * w - lr * g


def lookahead(lr: float, decay: float, inner: Rule, k: int, alpha: float) -> Step:
    take, count = inner(lr, decay), 0
    slow: Tensor | None = None

    def step(w: Tensor, g: Tensor) -> Tensor:
        nonlocal slow, count
        slow = w if slow is None else slow
        w, count = take(w, g), count + 1
        if count % k == 0:
            slow = w = slow + alpha * (w - slow)
        return w

    return step


def around(opt: Make, **options: float) -> Make:
    return lambda params, lr: Lookahead(opt(params, lr=lr), **options)


FORMULAS: dict[str, tuple[Make, Rule]] = {
    "Lamb": (Lamb, lamb),
    "Lamb coupled": (partial(Lamb, decouple_wd=False), partial(lamb, coupled=True)),
    "Larc": (Larc, partial(larc, clip=True)),
    "Lars": (partial(Larc, clip=False, trust_coeff=0.02), partial(larc, clip=False)),
    "Lars coupled": (partial(Larc, clip=False, decouple_wd=False), partial(larc, clip=False, coupled=True)),
    "QHAdam": (QHAdam, partial(qhadam, nu_1=0.7, nu_2=1.0)),
    "QHAdam with both": (partial(QHAdam, nu_1=0.4, nu_2=0.6), partial(qhadam, nu_1=0.4, nu_2=0.6)),
    "Lion": (Lion, lion),
    "RAdam": (RAdam, radam),
    "RAdam calibrated": (partial(RAdam, beta=50.0), partial(radam, beta=50.0)),
    "Lookahead of Adam": (around(Adam, k=4, alpha=0.3), partial(lookahead, inner=adam, k=4, alpha=0.3)),
    "Lookahead of SGD": (around(SGD), partial(lookahead, inner=sgd, k=6, alpha=0.5)),
    "ranger": (ranger, partial(lookahead, inner=partial(radam, mom=0.95, eps=1e-6), k=6, alpha=0.5)),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_the_optimiser_follows_its_papers_formula(name: str) -> None:
    make, rule = FORMULAS[name]
    for ours, theirs in zip(trained(make), expected(rule), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("clip", [True, False])
def test_larcs_rate_is_bounded_by_the_learning_rate_only_if_asked(clip: bool) -> None:
    weight = nn.Parameter(torch.full((4,), 10.0, dtype=torch.float64))
    opt = Larc([weight], lr=0.1, clip=clip, trust_coeff=3.0)
    weight.grad = torch.full_like(weight, 0.5)
    opt.step()
    moved = 10.0 - weight.detach()
    torch.testing.assert_close(moved, torch.full_like(moved, 0.1 * (0.5 if clip else 3.0 * 20 * 0.5)))


@pytest.mark.parametrize("make", [Lamb, Larc])
def test_a_weight_of_zeros_moves_by_the_learning_rate(make: Make) -> None:
    weight = nn.Parameter(torch.zeros(3))
    opt = make([weight], lr=0.1)
    weight.grad = torch.ones(3)
    opt.step()
    torch.testing.assert_close(weight.detach(), torch.full((3,), -0.1), rtol=1e-4, atol=0)


def newton_schulz(x: Tensor) -> Tensor:
    x = x / norm(x)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.775 * square + 2.0315 * square @ square) @ x
    return x


def muon_or_adam(lr: float, decay: float) -> Step:
    momentum: Tensor | float = 0.0
    others = adam(lr, decay, mom=0.95)

    def step(w: Tensor, g: Tensor) -> Tensor:
        nonlocal momentum
        if w.ndim != 2:
            return others(w, g)
        momentum = 0.95 * momentum + g
        move = newton_schulz(g + 0.95 * momentum)
        return w * (1 - lr * decay) - lr * 0.2 * math.sqrt(max(w.shape)) * move

    return step


def test_muon_steps_matrices_and_adam_all_else() -> None:
    matrix, *others = zip(trained(Muon, 4), expected(muon_or_adam, 4), strict=True)
    torch.testing.assert_close(*matrix, rtol=0, atol=2e-3)  # torch makes a step orthogonal in bfloat16
    for ours, theirs in others:
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)
