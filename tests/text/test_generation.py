"""Writing on: which words can be drawn, that draws can be repeated, and that nothing is read twice."""

from collections import Counter

import pytest
import torch
from torch import nn

from laminar.core.errors import ConfigError
from laminar.text.generation import generate, sample_next
from laminar.text.models.awd_lstm import AWD_LSTM, AWD_QRNN
from laminar.text.models.language_model import get_language_model
from laminar.text.models.transformer import TextTransformer

SMALL = {"emb_sz": 8, "n_hid": 8, "n_layers": 2}
ARCHS = [(AWD_LSTM, SMALL), (AWD_QRNN, SMALL), (TextTransformer, {"emb_sz": 8, "n_heads": 2, "n_layers": 2})]
SCORES = torch.tensor([0.1, 0.2, 0.3, 0.4]).log()


def drawn(n: int = 300, **options) -> Counter:
    generator = torch.Generator().manual_seed(0)
    return Counter(sample_next(SCORES, generator=generator, **options) for _ in range(n))


def test_words_are_drawn_by_their_probability() -> None:
    counts = drawn(2000)
    assert [counts[word] / 2000 for word in range(4)] == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.04)
    sharper = drawn(2000, temperature=0.5)  # squares, normalised
    assert [sharper[word] / 2000 for word in range(4)] == pytest.approx([1 / 30, 4 / 30, 9 / 30, 16 / 30], abs=0.04)
    assert set(drawn(temperature=0)) == {3}


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"top_k": 2}, {2, 3}),
        ({"top_k": 100}, {0, 1, 2, 3}),
        ({"top_p": 0.5}, {2, 3}),
        ({"top_p": 0.0}, {3}),
        ({"top_p": 1.0}, {0, 1, 2, 3}),
        ({"min_p": 0.15}, {1, 2, 3}),
        ({"min_p": 0.9}, {3}),
        ({"banned": [3]}, {0, 1, 2}),
        ({"banned": [3], "top_k": 1}, {2}),
    ],
)
def test_unlikely_words_are_left_out_as_asked(options, left) -> None:
    assert set(drawn(**options)) == left


def test_numbers_out_of_range_are_refused() -> None:
    for options, message in (
        ({"temperature": -1}, "temperature must be 0 or more, got -1"),
        ({"top_k": 0}, "top_k must be at least 1, got 0"),
        ({"top_p": 2}, "top_p is a probability from 0 to 1, got 2"),
        ({"min_p": -0.5}, r"min_p is a probability from 0 to 1, got -0\.5"),
    ):
        with pytest.raises(ConfigError, match=message):
            sample_next(SCORES, **options)
    with pytest.raises(ConfigError, match="at least one word"):
        generate(nn.Identity(), torch.empty(0), 3)


@pytest.mark.parametrize(("arch", "config"), ARCHS, ids=lambda value: getattr(value, "__name__", ""))
def test_what_is_written_is_what_reading_all_again_for_each_word_would_give(arch, config) -> None:
    torch.manual_seed(0)
    model = get_language_model(arch, 30, config)
    nn.init.normal_(model[0].encoder.weight)
    prompt = torch.tensor([2, 7, 11])
    lengths: list[int] = []
    handle = model.register_forward_pre_hook(lambda _, inputs: lengths.append(inputs[0].shape[1]))
    written = generate(model, prompt, 6, temperature=0)
    handle.remove()
    assert lengths == [3, 1, 1, 1, 1, 1]
    again: list[int] = []
    model.eval()
    for _ in range(6):
        model.reset()
        again.append(int(model(torch.cat([prompt, torch.tensor(again, dtype=torch.int64)])[None])[0][0, -1].argmax()))
    assert written == again


def test_draws_can_be_repeated_and_the_model_is_as_before() -> None:
    model = get_language_model(AWD_LSTM, 30, SMALL).train()
    model(torch.randint(2, 30, (4, 5)))
    state = model.get_state()
    first, second = (
        generate(model, torch.tensor([2, 3]), 8, generator=torch.Generator().manual_seed(1)) for _ in range(2)
    )
    assert first == second
    assert model.training
    assert model.get_state() is state


def test_a_text_ends_at_a_word_that_ends_it() -> None:
    model = get_language_model(AWD_LSTM, 30, SMALL)
    with torch.no_grad():
        model[1].decoder.bias[5] = 100
    assert generate(model, torch.tensor([2]), 8, stop=[5]) == [5]
    assert 5 not in generate(model, torch.tensor([2]), 8, banned=[5])
