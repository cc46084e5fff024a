"""Classifiers of texts: padding changes nothing, long texts are read in pieces, pools see words only."""

import pytest
import torch
from torch import nn

from laminar.core.errors import ConfigError
from laminar.text.models.awd_lstm import AWD_LSTM, AWD_QRNN
from laminar.text.models.classifier import (
    PoolingLinearClassifier,
    SentenceEncoder,
    get_text_classifier,
    masked_concat_pool,
)
from laminar.text.models.transformer import TextTransformer

SMALL = {"emb_sz": 6, "n_hid": 8, "n_layers": 2}
ARCHS = [(AWD_LSTM, SMALL), (AWD_QRNN, SMALL), (TextTransformer, {"emb_sz": 8, "n_heads": 2, "n_layers": 2})]
PAD = 1


class Echo(nn.Module):
    """Says the numbers of the words, and keeps what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.seen, self.had_grad = nn.Parameter(torch.ones(1)), [], []

    def forward(self, words):
        self.seen.append(words)
        self.had_grad.append(torch.is_grad_enabled())
        return words[..., None].float() * self.scale


def texts(lengths=(3, 5, 11, 1, 30)) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(2, 20, (length,), generator=generator) for length in lengths]


def padded(parts: list[torch.Tensor], before, more: int = 0) -> torch.Tensor:
    """A batch with ``before(padding)`` of each text's padding in front of it."""
    longest = max(map(len, parts)) + more
    rows = []
    for part in parts:
        missing = longest - len(part)
        front = before(missing)
        rows.append(torch.cat([torch.full((front,), PAD), part, torch.full((missing - front,), PAD)]))
    return torch.stack(rows)


@pytest.mark.parametrize(("arch", "config"), ARCHS, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize("max_len", [None, 7])
def test_padding_does_not_change_what_is_said_of_a_text(arch, config, max_len) -> None:
    torch.manual_seed(0)
    seq_len = 40 if arch is TextTransformer else 4
    model = get_text_classifier(arch, 20, 3, seq_len, config, max_len=max_len).double().eval()
    alone = torch.cat([model(text[None])[0] for text in texts()])
    for before in (lambda n: 0, lambda n: n, lambda n: n // 2, lambda n: n // 4 * 4):
        for more in (0, 6):
            torch.testing.assert_close(model(padded(texts(), before, more))[0], alone)
    assert len(alone.unique(dim=0)) == len(alone)


def test_a_text_read_in_pieces_is_a_text_read_whole() -> None:
    torch.manual_seed(0)
    encoder = AWD_LSTM(20, **SMALL).double().eval()
    text = torch.randint(2, 20, (2, 23))
    said, mask = SentenceEncoder(5, encoder)(text)
    encoder.reset()
    torch.testing.assert_close(said[~mask].view(2, 23, -1), encoder(text))
    assert encoder.get_state() is not None
    SentenceEncoder(5, encoder)(text)
    assert encoder.get_state() is None


def test_only_the_end_of_a_text_is_used_and_learnt_from() -> None:
    echo = Echo()
    text = torch.arange(2, 25)[None]
    said, mask = SentenceEncoder(5, echo, max_len=7)(text)
    assert said[~mask].flatten().tolist() == list(range(18, 25))
    assert echo.had_grad == [False, False, False, True, True]
    assert torch.cat(echo.seen, 1)[0, :23].tolist() == list(range(2, 25))


def test_a_text_is_not_read_before_it_begins() -> None:
    echo = Echo()
    short, long = torch.tensor([7, 8, 9]), torch.arange(2, 19)
    said, mask = SentenceEncoder(5, echo)(padded([short, long], lambda n: n))
    assert [len(piece) for piece in echo.seen] == [1, 1, 1, 2]
    assert said[0][~mask[0]].flatten().tolist() == [7, 8, 9]
    assert said[1][~mask[1]].flatten().tolist() == list(range(2, 19))


@pytest.mark.parametrize(("remembers", "read"), [(True, [4, 4, 4, 4, 4]), (False, [4, 4])])
def test_what_is_not_used_is_read_only_by_an_encoder_that_remembers_it(remembers, read) -> None:
    lengths: list[int] = []

    class Reader(torch.nn.Module):
        remembers_texts = remembers

        def forward(self, words):
            lengths.append(words.shape[1])
            return words[:, :, None].float()

    usual = [arch(20, **config).remembers_texts for arch, config in ARCHS]
    assert usual == [True, True, False]
    said, _ = SentenceEncoder(4, Reader(), max_len=8)(torch.arange(2, 22)[None])
    assert lengths == read
    assert said[0, :, 0].tolist() == list(range(14, 22))


def test_pools_are_last_largest_and_mean_of_the_words() -> None:
    output = torch.tensor([[[1.0], [5.0], [3.0], [99.0]], [[-4.0], [-2.0], [99.0], [99.0]], [[9.0]] * 4])
    mask = torch.tensor([[0, 0, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1]]).bool()
    assert masked_concat_pool(output, mask).tolist() == [[3, 5, 3], [-2, -2, -3], [0, 0, 0]]


def test_a_text_of_nothing_but_padding_is_answered() -> None:
    model = get_text_classifier(AWD_LSTM, 20, 3, 4, SMALL).eval()
    batch = padded([*texts((4, 9)), torch.empty(0, dtype=torch.int64)], lambda n: n)
    assert torch.isfinite(model(batch)[0]).all()
    torch.testing.assert_close(model(batch)[0][2], model(torch.ones(1, 2, dtype=torch.int64))[0][0])


def test_the_head_is_as_asked_for() -> None:
    model = get_text_classifier(AWD_LSTM, 20, 3, config=SMALL, lin_ftrs=[10, 5], ps=[0.2, 0.3])
    linear = [part for part in model[1].modules() if isinstance(part, nn.Linear)]
    assert [(part.in_features, part.out_features) for part in linear] == [(18, 10), (10, 5), (5, 3)]
    assert [part.p for part in model[1].modules() if isinstance(part, nn.Dropout)] == [0.4, 0.2, 0.3]
    bounded = get_text_classifier(AWD_LSTM, 20, 1, config=SMALL, y_range=(0, 5)).eval()
    assert (bounded(torch.randint(2, 20, (8, 5)))[0] - 2.5).abs().max() < 2.5


def test_the_penalties_see_zeros_where_there_is_no_word() -> None:
    model = get_text_classifier(AWD_LSTM, 20, 3, seq_len=5, config=SMALL)
    scores, raw, dropped = model(padded(texts((3, 12)), lambda n: n))
    assert scores.shape == (2, 3)
    assert raw is dropped
    assert [int(text.any(-1).sum()) for text in raw] == [3, 12]


def test_what_makes_no_classifier_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"one dropout for each layer.*makes 2 layers.*has 1"):
        PoolingLinearClassifier([6, 4, 2], [0.1])
    with pytest.raises(ConfigError, match="at least 1, got 0 and None"):
        SentenceEncoder(0, Echo())
    with pytest.raises(TypeError, match="tie_weights"):
        get_text_classifier(AWD_LSTM, 20, 2, config={**SMALL, "tie_weights": True})
