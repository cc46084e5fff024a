"""Learners of texts: what they save, load, refuse, write and predict together."""

import json
import random
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from laminar.callbacks import RNNRegularizer
from laminar.core.errors import ConfigError, DataError, WeightsError
from laminar.core.types import TensorText, plain
from laminar.data.datasets import Datasets
from laminar.data.transforms import Categorize
from laminar.interpret import Interpretation
from laminar.learner import load_learner
from laminar.metrics import Perplexity, accuracy
from laminar.text.attribution import token_attributions
from laminar.text.data import TextDataLoaders
from laminar.text.ensemble import ensemble_preds
from laminar.text.learner import language_model_learner, text_classifier_learner
from laminar.text.models.awd_lstm import AWD_LSTM, AWD_QRNN
from laminar.text.models.transformer import TextTransformer
from laminar.text.numericalize import Numericalize
from laminar.text.pretrained import match_embeds, read_text_weights
from laminar.text.text_learner import LMLearner, TextLearner, text_vocab
from laminar.text.tokenizer import Tokenizer

SMALL = {"emb_sz": 8, "n_hid": 12, "n_layers": 2}
ARCHS = [(AWD_LSTM, SMALL), (AWD_QRNN, SMALL), (TextTransformer, {"emb_sz": 8, "n_heads": 2, "n_layers": 2})]
every_arch = pytest.mark.parametrize(("arch", "config"), ARCHS, ids=lambda value: getattr(value, "__name__", ""))
SPECIAL = ["xxunk", "xxpad", "xxbos", "xxmaj"]
GOOD, BAD = ["good", "fine", "great", "lovely"], ["bad", "poor", "awful", "dull"]
VOCAB = [*SPECIAL, *GOOD, *BAD, "film", "."]


def reviews(n: int = 48) -> list[list[str]]:
    draw = random.Random(0)
    return [
        [f"A {' '.join(draw.choices(BAD if row % 2 else GOOD, k=draw.randint(1, 6)))} film .", "np"[row % 2 == 0]]
        for row in range(n)
    ]


def text_of(row):
    return row if isinstance(row, str) else row[0]


def label_of(row):
    return row[1]


def padded(samples):
    longest = max(len(sample[0]) for sample in samples)
    fill = [torch.ones(longest - len(sample[0]), dtype=torch.int64) for sample in samples]
    return [
        (TensorText(torch.cat([front, plain(sample[0])])), *sample[1:])
        for front, sample in zip(fill, samples, strict=True)
    ]


TRUST = [text_of, label_of, padded]


def loaders(path: Path, vocab=VOCAB, kind: str = "classes", rows=None):
    texts = [text_of, Tokenizer(), Numericalize(vocab=vocab)]
    targets = [label_of, Categorize()] if kind == "classes" else texts
    rows = reviews() if rows is None else rows
    splits = (range(len(rows) * 3 // 4), range(len(rows) * 3 // 4, len(rows)))
    rows = rows if kind == "classes" else [["a " + " ".join(GOOD + BAD), ""]] * len(rows)
    data = Datasets(rows, [texts, targets], splits=splits)
    return data.dataloaders(bs=12, path=path, before_batch=padded if kind == "classes" else None, device="cpu")


@pytest.fixture
def dls(tmp_path: Path):
    return loaders(tmp_path)


@pytest.fixture
def dls_lm(tmp_path: Path):
    return loaders(tmp_path, kind="words")


@every_arch
def test_a_classifier_learns_is_exported_and_predicts_equal_to_the_bit(arch, config, dls) -> None:
    torch.manual_seed(0)
    learn = text_classifier_learner(dls, arch, config=config, drop_mult=0.1, metrics=accuracy)
    learn.fit_one_cycle(15, 0.03)
    assert learn.recorder.values[-1][-1] > 0.9
    expected = learn.predict("A lovely fine film .")
    assert expected[0] == "p"
    loaded = load_learner(learn.export(), trust=TRUST)
    assert type(loaded) is TextLearner
    again = loaded.predict("A lovely fine film .")
    assert again[0] == "p"
    assert torch.equal(again[2], expected[2])
    assert len(loaded.param_groups()) == len(learn.param_groups())


@every_arch
def test_an_encoder_goes_from_language_model_to_classifier(arch, config, dls, dls_lm) -> None:
    learn = language_model_learner(dls_lm, arch, config)
    path = learn.save_encoder("encoder")
    assert path.suffix == ".safetensors"
    assert read_text_weights(path).vocab == VOCAB
    classifier = text_classifier_learner(dls, arch, config=config)
    assert classifier.load_encoder("encoder") is classifier
    theirs, ours = learn.model[0].state_dict(), classifier.model[0].module.state_dict()
    assert all(torch.equal(theirs[name], ours[name]) for name in ours)
    assert [all(p.requires_grad for p in group) for group in classifier.param_groups()] == [False] * 3 + [True]
    classifier.freeze_to(-2)
    classifier.fit_one_cycle(1, slice(1e-3, 1e-2))
    assert torch.equal(classifier.model[0].module.encoder.weight, theirs["encoder_dp.emb.weight"])
    assert len(set(classifier.recorder.lrs)) > 1


def test_pain_69_learners_with_the_same_weights_predict_alike(dls) -> None:
    learn, other = (text_classifier_learner(dls, AWD_LSTM, config=SMALL) for _ in range(2))
    learn.fit(1, 0.01)
    learn.save("one")
    other.load("one", with_opt=False)
    assert torch.equal(learn.get_preds()[0], other.get_preds()[0])
    assert torch.equal(learn.get_preds()[0], learn.get_preds()[0])


def test_pain_68_a_vocabulary_that_does_not_fit_says_how_and_offers_the_mapping(tmp_path: Path, dls_lm) -> None:
    learn = language_model_learner(dls_lm, AWD_LSTM, SMALL)
    learn.save_encoder("encoder")
    other = [*SPECIAL, "film", ".", "new", *GOOD]
    classifier = text_classifier_learner(loaders(tmp_path, other), AWD_LSTM, config=SMALL)
    with pytest.raises(WeightsError) as caught:
        classifier.load_encoder("encoder")
    told = str(caught.value)
    assert "its vocabulary has 14 words, that of the data 11; 1 of the data's words are not in it ('new')" in told
    assert "4 of its words are not in the data's" in told
    assert "match_vocab=True" in told
    classifier.load_encoder("encoder", match_vocab=True)
    theirs, ours = learn.model[0].encoder.weight, classifier.model[0].module.encoder.weight
    assert torch.equal(ours[other.index("film")], theirs[VOCAB.index("film")])
    torch.testing.assert_close(ours[other.index("new")], theirs.mean(0))
    same = text_classifier_learner(loaders(tmp_path, VOCAB[::-1]), AWD_LSTM, config={**SMALL, "pad_token": 0})
    with pytest.raises(WeightsError, match="the words are the same, in another order"):
        same.load_encoder("encoder")


def test_an_encoder_of_another_architecture_or_direction_is_refused(dls, dls_lm) -> None:
    language_model_learner(dls_lm, AWD_LSTM, SMALL).save_encoder("encoder")
    with pytest.raises(WeightsError, match=r"another shape.*rnns\.0\.module\.weight_ih_l0 is \(48, 8\)"):
        text_classifier_learner(dls, AWD_LSTM, config={**SMALL, "n_hid": 20}).load_encoder("encoder")
    with pytest.raises(WeightsError, match="missing in the file"):
        text_classifier_learner(dls, AWD_QRNN, config=SMALL).load_encoder("encoder")
    with pytest.raises(WeightsError, match="read forwards, this learner reads backwards"):
        text_classifier_learner(dls, AWD_LSTM, config=SMALL, backwards=True).load_encoder("encoder")
    with pytest.raises(WeightsError, match=r"no weights.*nothing.*there are: encoder\.safetensors"):
        text_classifier_learner(dls, AWD_LSTM, config=SMALL).load_encoder("nothing")


@every_arch
def test_a_language_model_begins_with_one_trained_on_other_texts(arch, config, tmp_path: Path, dls_lm) -> None:
    learn = language_model_learner(dls_lm, arch, config)
    learn.save_pretrained("large")
    other = [*SPECIAL, "new", *BAD]
    tuned = language_model_learner(loaders(tmp_path, other, "words"), arch, config, weights="large")
    place = [VOCAB.index(word) for word in BAD]
    assert torch.equal(tuned.model[1].decoder.weight[5:], learn.model[1].decoder.weight[place])
    torch.testing.assert_close(tuned.model[1].decoder.bias[4], learn.model[1].decoder.bias.mean())
    assert tuned.model[1].decoder.weight is tuned.model[0].encoder.weight
    assert [all(p.requires_grad for p in group) for group in tuned.param_groups()] == [False, False, True]
    classifier = text_classifier_learner(loaders(tmp_path, other), arch, config=config, weights="large")
    assert torch.equal(classifier.model[0].module.encoder.weight, tuned.model[0].encoder.weight)


def test_weights_of_fastai_are_read_by_their_names(tmp_path: Path, dls_lm) -> None:
    learn = language_model_learner(dls_lm, AWD_LSTM, SMALL)
    state = learn.model.state_dict()
    theirs = {}
    for name, value in state.items():
        if name.endswith("weight_hh_l0"):
            theirs[name.replace("module.weight_hh_l0", "weight_hh_l0_raw")] = value
            theirs[name] = value * 0  # as it was last dropped
        else:
            theirs[name] = value
    theirs["0.encoder.weight"] = theirs["0.encoder_dp.emb.weight"]
    (tmp_path / "models").mkdir()
    torch.save({"model": theirs}, tmp_path / "models" / "lm.pth")
    (tmp_path / "models" / "words.json").write_text(json.dumps(VOCAB))
    other = language_model_learner(dls_lm, AWD_LSTM, SMALL, weights=("lm.pth", "words.json"))
    assert all(torch.equal(other.model.state_dict()[name], value) for name, value in state.items())
    with pytest.raises(WeightsError, match="does not say which words"):
        language_model_learner(dls_lm, AWD_LSTM, SMALL, weights="lm")
    (tmp_path / "models" / "words.json").write_text(json.dumps(VOCAB[1:]))
    with pytest.raises(WeightsError, match=r"has 14 rows, but the vocabulary.* has 13 words"):
        language_model_learner(dls_lm, AWD_LSTM, SMALL, weights=("lm.pth", "words.json"))
    with pytest.raises(WeightsError, match="is a pickle, which can run any code"):
        language_model_learner(dls_lm, AWD_LSTM, SMALL, weights=("lm.pth", "itos.pkl"))


def test_files_that_are_no_such_weights_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "bad.safetensors"
    save_file({"encoder_dp.emb.weight": torch.zeros(3, 2)}, file, {"laminar": json.dumps({"text": {"vocab": [1, 2]}})})
    with pytest.raises(WeightsError, match="no list of words"):
        read_text_weights(file)
    (tmp_path / "words.json").write_text("{")
    with pytest.raises(WeightsError, match="a JSON list of words cannot be read"):
        read_text_weights(file, tmp_path / "words.json")


def test_words_keep_their_rows_and_new_ones_get_the_mean() -> None:
    weights = {"0.encoder.weight": torch.tensor([[1.0], [2.0], [6.0]]), "0.rnn": torch.ones(2)}
    matched = match_embeds(weights, ["a", "b", "c"], ["c", "d", "a"])
    assert matched["0.encoder.weight"].flatten().tolist() == [6, 3, 1]
    assert matched["0.rnn"] is weights["0.rnn"]
    assert weights["0.encoder.weight"].flatten().tolist() == [1, 2, 6]


def test_a_language_model_writes_what_it_has_learnt(dls_lm) -> None:
    learn = language_model_learner(dls_lm, AWD_LSTM, SMALL, metrics=[accuracy, Perplexity()])
    with torch.no_grad():  # after any word: great
        learn.model[1].decoder.bias[VOCAB.index("great")] = 50
        learn.model[1].decoder.bias[[0, 1]] = 100
    assert learn.predict("Good film", 2) == "Good film great great"
    assert learn.predict("film", 1, decoder=None) == "film great"
    assert learn.predict("film", 1, no_unk=False).endswith("xxunk")


def test_writing_can_be_repeated(dls_lm) -> None:
    learn = language_model_learner(dls_lm, AWD_LSTM, SMALL)
    written = [learn.predict("film", 12, temperature=0.9, top_k=8, top_p=0.95, seed=seed) for seed in (1, 1, 2)]
    assert written[0] == written[1] != written[2]
    assert "xx" not in written[0]
    torch.manual_seed(5)
    first = learn.predict("film", 12)
    torch.manual_seed(5)
    assert learn.predict("film", 12) == first
    loaded = load_learner(learn.export(), trust=TRUST)
    assert isinstance(loaded, LMLearner)
    assert loaded.predict("film", 12, seed=1) == learn.predict("film", 12, seed=1)


def test_recurrent_networks_have_penalties_and_others_none(dls) -> None:
    penalties = text_classifier_learner(dls, AWD_LSTM, config=SMALL).get_cb(RNNRegularizer)
    assert (penalties.alpha, penalties.beta) == (2, 1)
    changed = text_classifier_learner(dls, AWD_LSTM, config=SMALL, alpha=0.5, beta=0).get_cb(RNNRegularizer)
    assert (changed.alpha, changed.beta) == (0.5, 0)
    assert text_classifier_learner(dls, TextTransformer, config=ARCHS[2][1]).get_cb(RNNRegularizer) is None
    assert text_classifier_learner(dls, AWD_LSTM, config=SMALL).moms == (0.8, 0.7, 0.8)


def test_learners_predict_together(dls, tmp_path: Path) -> None:
    learners = [text_classifier_learner(dls, AWD_LSTM, config=SMALL) for _ in range(2)]
    (first, targets), (second, _) = (learn.get_preds() for learn in learners)
    preds, theirs = ensemble_preds(learners)
    torch.testing.assert_close(preds, (first + second) / 2)
    assert torch.equal(theirs, targets)
    torch.testing.assert_close(ensemble_preds(learners, weights=[3, 1])[0], (3 * first + second) / 4)
    new, none = ensemble_preds(learners, items=["good film", "bad bad film"])
    assert new.shape == (2, 2)
    assert none is None
    other = text_classifier_learner(loaders(tmp_path, rows=reviews(48)[::-1]), AWD_LSTM, config=SMALL)
    with pytest.raises(ConfigError, match=r"do not predict the same.*targets"):
        ensemble_preds([learners[0], other])
    with pytest.raises(ConfigError, match="at least one learner"):
        ensemble_preds([])


@every_arch
def test_words_that_decide_are_found(arch, config, dls) -> None:
    learn = text_classifier_learner(dls, arch, seq_len=3, config=config, drop_mult=0.1)
    found = token_attributions(learn, "A dull film so awful .", "n")
    assert found.tokens == ["xxbos", "xxunk", "dull", "film", "xxunk", "awful", "."]
    assert found.label == "n"
    probabilities = learn.predict("A dull film so awful .")[2]
    largest = token_attributions(learn, "A dull film so awful .")
    assert largest.label == "pn"[int(probabilities[0] > probabilities[1])]
    assert len(found.scores) == 7
    assert "awful" in str(found)
    assert "rgba(" in found._repr_html_()
    with pytest.raises(ConfigError, match="no class 'x'; there are n, p"):
        token_attributions(learn, "good", "x")
    with pytest.raises(ConfigError, match="no output 7: the model has 2"):
        token_attributions(learn, "good", 7)


@every_arch
def test_words_that_are_not_used_decide_nothing(arch, config, dls) -> None:
    learn = text_classifier_learner(dls, arch, seq_len=3, max_len=3, config=config)
    found = token_attributions(learn, "A dull film so awful and good film .", "n")
    assert found.tokens[-4:] == ["xxunk", "good", "film", "."]
    assert found.scores[:6] == [0] * 6
    assert all(found.scores[-3:])


def test_attributions_of_a_linear_model_are_exact(dls) -> None:
    learn = text_classifier_learner(dls, AWD_LSTM, config=SMALL)

    class Means(torch.nn.Module):
        def forward(self, said):
            output, mask = said
            return output.masked_fill(mask[:, :, None], 0).sum(1)[:, :2], output, output

    learn.model[1] = Means()
    learn.model[0].module.rnns = torch.nn.ModuleList()
    learn.model[0].module.hidden_dps = torch.nn.ModuleList()
    found = token_attributions(learn, "good awful film", 1)
    emb = learn.model[0].module.encoder.weight.detach()
    assert found.scores == pytest.approx([float(emb[VOCAB.index(token)][1]) for token in found.tokens])
    assert sum(found.scores) == pytest.approx(found.output, abs=1e-6)


def test_what_is_wrong_with_a_call_is_said(dls, dls_lm) -> None:
    with pytest.raises(TypeError, match=r"'drop_mul'.*Did you mean 'drop_mult'"):
        language_model_learner(dls_lm, AWD_LSTM, drop_mul=0.3)
    with pytest.raises(TypeError, match=r"'metric'.*Did you mean 'metrics'"):
        text_classifier_learner(dls, AWD_LSTM, metric=accuracy)
    with pytest.raises(ConfigError, match="no weights come with laminar"):
        language_model_learner(dls_lm, AWD_LSTM, pretrained=True)
    with pytest.raises(ConfigError, match="takes the loaders first"):
        text_classifier_learner(AWD_LSTM, dls)
    with pytest.raises(ConfigError, match="no vocabulary of words"):
        text_vocab(object())
    with pytest.raises(ConfigError, match=r"got Linear. For any other: Learner"):
        TextLearner(dls, torch.nn.Linear(2, 2))


def test_loaders_of_another_kind_are_refused() -> None:
    df = pd.DataFrame(reviews(), columns=["text", "label"])
    options = {"text_col": "text", "label_col": "label", "bs": 4, "device": "cpu", "num_workers": 0}
    with pytest.raises(ConfigError, match=r"text_classifier_learner was given loaders of a language model.*is_lm"):
        text_classifier_learner(TextDataLoaders.from_df(df, is_lm=True, **options), AWD_LSTM)
    with pytest.raises(ConfigError, match=r"language_model_learner was given loaders of texts with targets.*is_lm"):
        language_model_learner(TextDataLoaders.from_df(df, **options), AWD_LSTM)


def test_quantities_are_shown_as_numbers(capsys) -> None:
    df = pd.DataFrame({"text": [row[0] for row in reviews(16)], "stars": [1.5, 4.25] * 8})
    options = {"text_col": "text", "label_col": "stars", "bs": 4, "device": "cpu", "num_workers": 0, "seed": 0}
    dls = TextDataLoaders.from_df(df, **options)
    learn = text_classifier_learner(dls, AWD_LSTM, config=SMALL, y_range=(0, 5))
    shown = learn.show_results(max_n=2)
    worst = Interpretation.from_learner(learn).plot_top_losses(2)
    assert "Tensor" not in capsys.readouterr().out
    assert worst.columns == ["text", "target", "predicted", "loss"]
    assert {row[1] for row in [*shown.rows, *worst.rows]} <= {"1.5", "4.25"}
    assert all(0 < float(row[2]) < 5 for row in [*shown.rows, *worst.rows])


@every_arch
def test_half_precision_trains_on_any_processor(arch, config, dls_lm) -> None:
    learn = language_model_learner(dls_lm, arch, config).to_bf16()
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, 1e-3)
    assert torch.isfinite(torch.tensor(learn.recorder.values[-1])).all()


def test_a_file_cannot_ask_for_a_network_of_any_size(dls, tmp_path: Path) -> None:
    import zipfile

    learn = text_classifier_learner(dls, AWD_LSTM, config=SMALL)
    file = learn.export()
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = members["manifest.json"].decode()
    assert '"n_layers",\n' in manifest
    for old, new in (("vocab_sz", 10**12), ("n_layers", 10**9), ("emb_sz", 10**9), ("n_class", -1)):
        changed = json.loads(manifest)
        _set(changed["model"]["arguments"], old, new)
        with zipfile.ZipFile(tmp_path / "evil.laminar", "w") as archive:
            for name, content in members.items():
                archive.writestr(name, json.dumps(changed) if name == "manifest.json" else content)
        with pytest.raises((DataError, WeightsError)):
            load_learner(tmp_path / "evil.laminar", trust=TRUST)


def _set(arguments, name, value):
    if name in arguments:
        arguments[name] = value
        return
    for pair in arguments["config"]["$dict"]:
        if pair[0] == name:
            pair[1] = value
