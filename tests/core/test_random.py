import random
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laminar.core.random import (
    address_hash,
    batch_random,
    current_seed,
    item_random,
    keep_generators,
    permutation,
    rand_per_item,
    uniform_per_item,
)
from laminar.core.seed import get_random_states, no_random, set_random_states, set_seed

addresses = st.tuples(st.integers(0, 2**63), st.integers(0, 1000), st.integers(0, 10**9))


def draw_all():
    return random.random(), np.random.rand(), torch.rand(()).item()


def draws_at(address):
    with item_random(*address):
        return draw_all()


@given(addresses)
def test_one_address_always_draws_the_same(address):
    assert draws_at(address) == draws_at(address)


@given(addresses, addresses)
def test_other_addresses_draw_otherwise(one, other):
    if one != other:
        assert draws_at(one) != draws_at(other)
        assert address_hash(*one) != address_hash(*other)


def test_the_callers_generators_are_given_back():
    set_seed(7)
    undisturbed = [draw_all(), draw_all()]
    set_seed(7)
    first = draw_all()
    with item_random(1, 2, 3):
        draw_all()
    with batch_random(1, 2, 3, [0, 1]):
        draw_all()
    with pytest.raises(ZeroDivisionError), keep_generators():
        set_seed(1 // 0)
    assert [first, draw_all()] == undisturbed


def test_reading_the_seed_does_not_disturb_it():
    set_seed(1234)
    assert current_seed() == 1234
    torch.rand(3)
    with item_random(1, 2, 3):
        pass
    assert current_seed() == 1234


def test_an_items_draw_does_not_depend_on_its_batch():
    with batch_random(1, 0, number=0, items=[5, 6, 7]):
        first, second = rand_per_item(3), rand_per_item(3)
    with batch_random(1, 0, number=9, items=[7, 2]):
        again, again_second = rand_per_item(2), rand_per_item(2)
    assert first[2] == again[0]
    assert second[2] == again_second[0]
    assert first[2] != second[2]
    with batch_random(1, 1, number=0, items=[5, 6, 7]):
        assert not torch.equal(rand_per_item(3), first)


def test_draws_are_uniform():
    with batch_random(3, 0, 0, list(range(20_000))):
        values = uniform_per_item(20_000, -1.0, 1.0)
    assert values.min() >= -1
    assert values.max() < 1
    assert abs(values.mean().item()) < 0.02
    assert abs(values.std().item() - 3**-0.5) < 0.01
    assert abs(torch.corrcoef(torch.stack([values[:-1], values[1:]]))[0, 1].item()) < 0.03


def test_without_a_loader_draws_come_from_torchs_generator():
    set_seed(3)
    first = rand_per_item(4)
    set_seed(3)
    assert torch.equal(first, rand_per_item(4))


def test_threads_draw_what_each_would_alone_and_leave_the_generators_as_they_were():
    def draw(item):
        with batch_random(1, 0, item, [item, item + 10]):
            of_items = rand_per_item(2)
            time.sleep(1e-4)  # lets other threads run, between what is drawn for items and from global generators
            return [*of_items.tolist(), torch.rand(1).item(), random.random()]

    set_seed(5)
    alone, after = [draw(item) for item in range(30)], torch.rand(2)
    set_seed(5)
    with ThreadPoolExecutor(6) as threads:
        together = list(threads.map(draw, range(30)))
    assert together == alone
    assert torch.equal(torch.rand(2), after)


@given(st.integers(0, 200), st.integers(0, 2**63), st.integers(0, 50))
def test_a_permutation_holds_every_item_once_and_is_repeatable(n, seed, epoch):
    order = permutation(n, seed, epoch)
    assert sorted(order) == list(range(n))
    assert order == permutation(n, seed, epoch)


def test_epochs_are_shuffled_differently():
    assert permutation(50, 1, 0) != permutation(50, 1, 1)


def test_no_random_seeds_inside_and_restores_outside():
    states = get_random_states()
    with no_random(3):
        inside = draw_all()
    after = draw_all()
    with no_random(3):
        assert draw_all() == inside
    set_random_states(**states)
    assert draw_all() == after
