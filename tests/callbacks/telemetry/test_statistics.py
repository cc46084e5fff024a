"""Every statistic against numpy, in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from laminar.callbacks.telemetry import statistics as stats

VALUES = st.floats(-1e3, 1e3, allow_nan=False).map(lambda x: round(x, 3))
ARRAYS = hnp.arrays(np.float64, hnp.array_shapes(min_dims=1, max_dims=4, max_side=5), elements=VALUES)
MATRICES = hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=VALUES)

BY_NUMPY = {
    stats.mean: np.mean,
    stats.variance: np.var,
    stats.std: np.std,
    stats.mean_absolute_deviation: lambda a: np.mean(np.abs(a - np.mean(a))),
    stats.percentiles: lambda a: np.percentile(a, [5, 25, 50, 75, 95]),
    stats.share_below_zero: lambda a: np.mean(a < 0),
    stats.share_near_zero: lambda a: np.mean(np.abs(a) <= 0.05),
    stats.norm: lambda a: np.sqrt(np.sum(a**2)),
    stats.rms: lambda a: np.sqrt(np.mean(a**2)),
    stats.abs_max: lambda a: np.max(np.abs(a)),
    stats.histogram: lambda a: np.histogram(a, 40, (-10, 10))[0],
}


@pytest.mark.parametrize("statistic", BY_NUMPY, ids=lambda function: function.__name__)
@given(array=ARRAYS)
def test_statistics_are_those_of_numpy(statistic, array: np.ndarray) -> None:
    found = statistic(torch.from_numpy(array)).numpy()
    assert found.dtype == np.float64 if statistic is not stats.histogram else True
    assert np.allclose(found, BY_NUMPY[statistic](array), rtol=1e-9, atol=1e-9)


@given(array=ARRAYS)
def test_std_over_mean_is_infinite_where_the_mean_is_zero(array: np.ndarray) -> None:
    found, centre = float(stats.std_over_mean(torch.from_numpy(array))), abs(np.mean(array))
    if centre > 1e-9:
        assert math.isclose(found, np.std(array) / centre, rel_tol=1e-6, abs_tol=1e-9)
    assert math.isinf(float(stats.std_over_mean(torch.tensor([-1.0, 1.0]))))


@given(array=ARRAYS, unit_dim=st.integers(-4, 3), seed=st.integers(0, 99))
def test_dead_units_are_zero_for_all_items_and_places(array: np.ndarray, unit_dim: int, seed: int) -> None:
    if array.ndim < 2:
        unit_dim = 0
    unit_dim = unit_dim % array.ndim
    dead = np.random.default_rng(seed).random(array.shape[unit_dim]) < 0.5
    np.moveaxis(array, unit_dim, 0)[dead] = 0
    expected = np.mean([not unit.any() for unit in np.moveaxis(array, unit_dim, 0)])
    assert math.isclose(float(stats.dead_units(torch.from_numpy(array), unit_dim)), expected)


@given(a=MATRICES, lr=st.floats(1e-5, 1.0), seed=st.integers(0, 99))
def test_what_compares_two_tensors_is_that_of_numpy(a: np.ndarray, lr: float, seed: int) -> None:
    b = np.random.default_rng(seed).standard_normal(a.shape)
    a = a + 0.01
    one, two = torch.from_numpy(a), torch.from_numpy(b)
    size = np.linalg.norm
    assert math.isclose(float(stats.update_to_weight(one, two)), size(a) / size(b), rel_tol=1e-9)
    assert math.isclose(float(stats.effective_learning_rate(two, lr)), lr / size(b) ** 2, rel_tol=1e-9)
    cosine = np.sum(a * b) / size(a) / size(b)
    assert math.isclose(float(stats.cosine_to_previous(one, two)), cosine, rel_tol=1e-9, abs_tol=1e-12)
    noise = size(a - b) ** 2 / (size(a) ** 2 + size(b) ** 2)
    assert math.isclose(float(stats.gradient_noise(one, two)), noise, rel_tol=1e-9)


@given(matrix=MATRICES)
@settings(max_examples=20)
def test_effective_rank_is_the_entropy_of_singular_values(matrix: np.ndarray) -> None:
    values = np.linalg.svd(matrix, compute_uv=False)
    if values.sum() < 1e-6:
        return
    shares = values / values.sum()
    expected = np.exp(-sum(p * np.log(p) for p in shares if p > 1e-300))
    assert math.isclose(float(stats.effective_rank(torch.from_numpy(matrix), 1)), expected, rel_tol=1e-5)


@given(seed=st.integers(0, 99), rows=st.integers(2, 8), columns=st.integers(2, 8))
@settings(max_examples=20)
def test_the_power_iteration_finds_the_largest_singular_value(seed: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    left, _ = np.linalg.qr(rng.standard_normal((rows, rows)))
    right, _ = np.linalg.qr(rng.standard_normal((columns, columns)))
    matrix = sum(3.0 * 0.4**i * np.outer(left[:, i], right[:, i]) for i in range(min(rows, columns)))
    assert math.isclose(float(stats.spectral_norm(torch.from_numpy(matrix))), 3.0, rel_tol=1e-6)


def test_a_kernel_is_a_matrix_of_units_for_its_spectral_norm() -> None:
    kernel = torch.randn(4, 3, 2, 2, dtype=torch.float64)
    exact = torch.linalg.matrix_norm(kernel.flatten(1), 2)
    assert float(stats.spectral_norm(kernel, iterations=200)) == pytest.approx(float(exact), rel=1e-6)
    turned = kernel.transpose(0, 1)
    assert float(stats.spectral_norm(turned, 1, 200)) == pytest.approx(float(exact), rel=1e-6)


def test_percentiles_of_a_large_tensor_are_near_those_of_all_values_in_any_layout() -> None:
    x = torch.randn(16, 8, 32, 32) + 10 * torch.arange(8.0)[:, None, None]  # a step of 8 would see one channel
    exact = np.percentile(x.numpy(), [5, 25, 50, 75, 95])
    for layout in (x, x.to(memory_format=torch.channels_last), x.transpose(1, 2)):
        ranks = [float((x.numpy() < value).mean()) for value in stats.percentiles(layout).numpy()]
        assert ranks == pytest.approx([0.05, 0.25, 0.5, 0.75, 0.95], abs=0.02)
    assert stats.percentiles(x, at_most=None).numpy() == pytest.approx(exact, rel=1e-3)


def test_what_is_no_number_is_counted_and_does_not_fail() -> None:
    x = torch.tensor([[1.0, float("nan")], [float("inf"), 0.0]])
    assert float(stats.share_of_nan(x)) == float(stats.share_of_infinity(x)) == 0.25
    assert stats.histogram(x).sum() == 2
    assert math.isnan(float(stats.mean(x)))
    assert math.isnan(float(stats.effective_rank(x, 1)))
    assert float(stats.dead_units(x, 1)) == 0
