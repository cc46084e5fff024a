"""AWD-LSTM: what it computes, what it remembers, how its layers are grouped."""

import copy
import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from laminar.core.errors import ConfigError
from laminar.text.models.awd_lstm import (
    AWD_LSTM,
    AWD_QRNN,
    awd_lstm_clas_config,
    awd_lstm_lm_config,
)
from laminar.text.models.classifier import get_text_classifier
from laminar.text.models.encoder import awd_lstm_clas_split, awd_lstm_lm_split
from laminar.text.models.language_model import get_language_model
from laminar.text.models.transformer import TextTransformer

SMALL = {"emb_sz": 6, "n_hid": 8, "n_layers": 3}
ARCHS = [(AWD_LSTM, SMALL), (AWD_QRNN, SMALL), (TextTransformer, {"emb_sz": 8, "n_heads": 2, "n_layers": 3})]
every_arch = pytest.mark.parametrize(("arch", "config"), ARCHS, ids=lambda value: getattr(value, "__name__", ""))
recurrent = pytest.mark.parametrize("arch", [AWD_LSTM, AWD_QRNN])


def words(n_texts: int = 3, length: int = 7) -> torch.Tensor:
    return torch.randint(2, 20, (n_texts, length), generator=torch.Generator().manual_seed(length))


def test_it_is_a_stack_of_lstms_over_an_embedding() -> None:
    encoder = AWD_LSTM(20, **SMALL).eval()
    x = encoder.encoder(words())
    for layer in encoder.rnns:
        x = layer.module(x)[0]
    torch.testing.assert_close(encoder(words()), x)
    assert [layer.module.hidden_size for layer in encoder.rnns] == [8, 8, 6]


def test_the_usual_numbers_are_those_of_ulmfit() -> None:
    assert awd_lstm_lm_config == {
        "emb_sz": 400, "n_hid": 1152, "n_layers": 3, "pad_token": 1, "bidir": False, "output_p": 0.1, "hidden_p": 0.15,
        "input_p": 0.25, "embed_p": 0.02, "weight_p": 0.2, "tie_weights": True, "out_bias": True,
    }  # fmt: skip
    assert awd_lstm_clas_config == {
        "emb_sz": 400, "n_hid": 1152, "n_layers": 3, "pad_token": 1, "bidir": False, "output_p": 0.4, "hidden_p": 0.3,
        "input_p": 0.4, "embed_p": 0.05, "weight_p": 0.5,
    }  # fmt: skip


@recurrent
def test_reading_in_pieces_is_reading_the_whole_and_reset_begins_anew(arch) -> None:
    torch.manual_seed(0)
    encoder = arch(20, **SMALL).eval()
    whole = encoder(words())
    again = encoder(words())
    assert not torch.allclose(whole, again)
    encoder.reset()
    pieces = [encoder(piece) for piece in words().split((3, 1, 3), 1)]
    torch.testing.assert_close(torch.cat(pieces, 1), whole)
    assert not any(part.requires_grad for state in encoder.get_state() for part in state)


@recurrent
def test_texts_that_come_later_begin_anew_and_those_that_end_are_forgotten(arch) -> None:
    torch.manual_seed(0)
    encoder = arch(20, **SMALL).eval()
    first, second = words(2, 4), words(4, 5)
    encoder(first)
    more = encoder(second)
    fewer = encoder(first[:1])
    encoder.reset()
    torch.testing.assert_close(more[2:], encoder(second)[2:])
    encoder.reset()
    encoder(first[:1])
    torch.testing.assert_close(more[:1], encoder(second[:1]))
    torch.testing.assert_close(fewer, encoder(first[:1]))


@recurrent
def test_a_state_can_be_kept_and_taken_back(arch) -> None:
    encoder = arch(20, **SMALL).eval()
    encoder(words())
    kept = encoder.get_state()
    expected = encoder(words())
    encoder.reset()
    encoder.set_state(kept)
    torch.testing.assert_close(encoder(words()), expected)
    assert encoder.get_state() is not kept


@every_arch
def test_pain_69_models_with_the_same_weights_predict_alike_whatever_they_did_before(arch, config) -> None:
    model, other = (get_language_model(arch, 20, config) for _ in range(2))
    model.train()(words())
    other.load_state_dict(model.state_dict())
    twin = copy.deepcopy(model)
    outputs = []
    for each in (model, other, twin):
        each.eval()
        each.reset()
        outputs.append(each(words())[0])
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])


@every_arch
def test_a_word_is_scored_by_what_came_before_it(arch, config) -> None:
    model = get_language_model(arch, 20, config).eval()
    scores, raw, dropped = model(words())
    assert scores.shape == (3, 7, 20)
    assert raw.shape == dropped.shape == (3, 7, model[0].n_features)
    changed = words()
    changed[:, 4] = 19 - changed[:, 4]
    model.reset()
    other = model(changed)[0]
    torch.testing.assert_close(other[:, :4], scores[:, :4])
    assert not torch.allclose(other[:, 4], scores[:, 4])


@every_arch
def test_a_decoder_is_tied_to_the_embedding_unless_told_otherwise(arch, config) -> None:
    tied = get_language_model(arch, 20, config)
    assert tied[1].decoder.weight is tied[0].encoder.weight
    assert copy.deepcopy(tied)[1].decoder.weight is not tied[0].encoder.weight
    loose = get_language_model(arch, 20, {**config, "tie_weights": False, "out_bias": False})
    assert loose[1].decoder.weight is not loose[0].encoder.weight
    assert loose[1].decoder.bias is None


@every_arch
def test_groups_hold_every_parameter_once_from_first_layer_to_last(arch, config) -> None:
    model = get_language_model(arch, 20, config)
    groups = awd_lstm_lm_split(model)
    ids = [id(p) for group in groups for p in group]
    assert len(groups) == 4
    assert sorted(ids) == sorted(id(p) for p in model.parameters())
    assert any(p is model[0].encoder.weight for p in groups[-1])
    classifier = get_text_classifier(arch, 20, 3, config=config)
    groups = awd_lstm_clas_split(classifier)
    assert len(groups) == 5
    assert sorted(id(p) for group in groups for p in group) == sorted(map(id, classifier.parameters()))
    assert groups[0][0] is classifier[0].module.encoder.weight


def test_all_dropouts_are_multiplied() -> None:
    model = get_language_model(AWD_LSTM, 20, drop_mult=0.5, config={**awd_lstm_lm_config, **SMALL})
    encoder = model[0]
    shares = [encoder.encoder_dp.embed_p, encoder.input_dp.p, encoder.hidden_dps[0].p, encoder.rnns[0].weight_p]
    assert [*shares, model[1].output_dp.p] == [0.01, 0.125, 0.075, 0.1, 0.05]
    assert awd_lstm_lm_config["input_p"] == 0.25


@every_arch
def test_it_learns_a_language_whose_words_follow_each_other(arch, config) -> None:
    torch.manual_seed(0)
    wider = {name: value * 4 if name != "n_layers" else 1 for name, value in config.items()}
    model = get_language_model(arch, 12, wider, drop_mult=0.1)
    opt = torch.optim.Adam(model.parameters(), 0.02)
    stream = 2 + torch.arange(200).view(4, 50) % 10
    for step in range(40):
        model.reset()
        piece = stream[:, step % 20 : step % 20 + 20]
        loss = F.cross_entropy(model(piece[:, :-1])[0].flatten(0, 1), piece[:, 1:].flatten())
        opt.zero_grad()
        loss.backward()
        opt.step()
    assert loss < 1


def test_what_makes_no_network_is_refused() -> None:
    with pytest.raises(TypeError, match=r"config of AWD_LSTM.*'n_hidden'.*Did you mean 'n_hid'"):
        get_language_model(AWD_LSTM, 20, {**SMALL, "n_hidden": 3})
    with pytest.raises(ConfigError, match="n_layers must be a whole number from 1 on, got 0"):
        AWD_LSTM(20, 4, 4, 0)
    with pytest.raises(ConfigError, match="more than 200 layers"):
        AWD_LSTM(20, 4, 4, 10**9)
    with pytest.raises(ConfigError, match="second model on backwards=True data"):
        AWD_LSTM(20, **SMALL, bidir=True)
    with pytest.raises(ConfigError, match=r"no encoder of texts is called 'AWD_LSTMS'. Did you mean 'AWD_LSTM'"):
        get_language_model("AWD_LSTMS", 20)
    with pytest.raises(ConfigError, match="a class of encoders, such as AWD_LSTM, got Linear"):
        get_language_model(nn.Linear, 20)
    with pytest.raises(ConfigError, match="emb_sz=6 cannot be divided among 4 heads"):
        TextTransformer(20, 6, 4, 1)


class Counted(TorchDispatchMode):
    """Counts the numbers that operations write, in all and in results as large as the embedding or larger."""

    def __init__(self, large: int) -> None:
        super().__init__()
        self.large, self.written, self.large_ones = large, 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, torch.Tensor) and not func.is_view:
                self.written += tensor.numel()
                self.large_ones += tensor.numel() >= self.large
        return result


class PlainStack(nn.Module):
    def __init__(self, vocab_sz: int, widths: list[int]) -> None:
        super().__init__()
        self.emb = nn.Embedding(vocab_sz, widths[0])
        self.rnns = nn.ModuleList(nn.LSTM(*pair, batch_first=True) for pair in itertools.pairwise(widths))
        self.decoder = nn.Linear(widths[-1], vocab_sz)
        self.decoder.weight = self.emb.weight

    def forward(self, x):
        x = self.emb(x)
        for rnn in self.rnns:
            x, _ = rnn(x)
        return self.decoder(x)


def test_pain_38_a_training_step_does_little_more_than_the_same_layers_without_dropout() -> None:
    """What a step writes, which no clock of a busy machine can tell: only masks and weights with some dropped come on
    top, and nothing as large as the embedding.
    """
    vocab_sz, x = 2000, torch.randint(2, 2000, (8, 40))
    usual = get_language_model(AWD_LSTM, vocab_sz, {"emb_sz": 48, "n_hid": 64, "n_layers": 3}).train()
    plain = PlainStack(vocab_sz, [48, 64, 64, 48]).train()
    counts = []
    for model in (usual, plain):
        with Counted(large=vocab_sz * 48) as counted:
            output = model(x)
            scores = output[0] if isinstance(output, tuple) else output
            F.cross_entropy(scores.flatten(0, 1), x.flatten()).backward()
        counts.append(counted)
    assert counts[0].written < 1.15 * counts[1].written
    assert counts[0].large_ones == counts[1].large_ones
