"""Programs about language models as fastai's tutorials and book have them, with import line and data's path changed."""

import random
from operator import attrgetter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from laminar.text.all import *

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


@pytest.fixture
def articles(tmp_path: Path) -> Path:
    """``train.csv`` and ``test.csv``, each a column of texts without a name."""
    draw = random.Random(0)
    path = tmp_path / "wikitext-2"
    path.mkdir()
    for name, count in (("train", 40), ("test", 10)):
        texts = [f" = {draw.choice(WORDS)} = \n {' '.join(draw.choices(WORDS, k=30))} ." for _ in range(count)]
        pd.DataFrame(texts).to_csv(path / f"{name}.csv", header=False, index=False)
    return path


def test_a_language_model_from_scratch(articles: Path, capsys) -> None:
    path = articles
    df_train = pd.read_csv(path / "train.csv", header=None)
    df_valid = pd.read_csv(path / "test.csv", header=None)
    df_all = pd.concat([df_train, df_valid])
    splits = [list(range(len(df_train))), list(range(len(df_train), len(df_all)))]
    tfms = [attrgetter("text"), Tokenizer.from_df(0), Numericalize()]
    dsets = Datasets(df_all, [tfms], splits=splits, dl_type=LMDataLoader)
    bs, sl = 8, 20
    dls = dsets.dataloaders(bs=bs, seq_len=sl)
    dls.show_batch(max_n=3)
    assert "xxbos =" in capsys.readouterr().out
    config = awd_lstm_lm_config.copy()
    config.update({"input_p": 0.6, "output_p": 0.4, "weight_p": 0.5, "embed_p": 0.1, "hidden_p": 0.2})
    config.update({"emb_sz": 12, "n_hid": 16})
    model = get_language_model(AWD_LSTM, len(dls.vocab), config=config)
    opt_func = partial(Adam, wd=0.1, eps=1e-7)
    cbs = [GradientClip(0.1), *rnn_cbs(alpha=2, beta=1)]
    learn = Learner(
        dls,
        model,
        loss_func=CrossEntropyLossFlat(),
        opt_func=opt_func,
        cbs=cbs,
        metrics=[accuracy, Perplexity()],
    )
    learn.fit_one_cycle(1, 5e-3, moms=(0.8, 0.7, 0.8), div=10)
    assert learn.recorder.values[-1][-1] < len(dls.vocab) * 1.5


def test_a_model_of_transformers_with_an_own_transform_and_callback(capsys) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    draw = random.Random(0)
    df = pd.DataFrame({0: [" ".join(draw.choices(WORDS, k=30)) for _ in range(30)]})
    learned = SubwordTokenizer(60, "bpe")
    learned.setup(df[0].values)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer.from_str(learned.learned), unk_token="xxunk"
    )
    size = len(tokenizer)
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=size, n_embd=8, n_layer=1, n_head=2, bos_token_id=2, eos_token_id=3)
    )
    all_texts = np.concatenate([df[0].values[:24], df[0].values[24:]])

    class TransformersTokenizer(Transform):
        def __init__(self, tokenizer):
            self.tokenizer = tokenizer

        def encodes(self, x):
            toks = self.tokenizer.tokenize(x)
            return tensor(self.tokenizer.convert_tokens_to_ids(toks))

        def decodes(self, x):
            return TitledStr(self.tokenizer.decode(x.cpu().numpy()))

    splits = [list(range(24)), list(range(24, 30))]
    tls = TfmdLists(all_texts, TransformersTokenizer(tokenizer), splits=splits, dl_type=LMDataLoader)
    assert tls.tfms(tls.train.items[0]).shape == tls.train[0].shape
    show_at(tls.train, 0)
    assert capsys.readouterr().out.strip() == all_texts[0]
    bs, sl = 4, 16
    dls = tls.dataloaders(bs=bs, seq_len=sl)
    dls.show_batch(max_n=2)
    assert all_texts[0].split()[5] in capsys.readouterr().out

    class DropOutput(Callback):
        def after_pred(self):
            self.learn.pred = self.pred[0]

    learn = Learner(dls, model, loss_func=CrossEntropyLossFlat(), cbs=[DropOutput], metrics=Perplexity())
    before = learn.validate()
    assert before[1] == pytest.approx(np.exp(before[0]), rel=1e-2)
    learn.lr_find(num_it=8)
    learn.fit_one_cycle(1, 1e-2)
    assert learn.validate()[1] < before[1]
    prompt_ids = tokenizer.encode("one two")
    preds = learn.model.generate(tensor(prompt_ids)[None], max_length=12, num_beams=2, pad_token_id=1)
    assert tokenizer.decode(preds[0].cpu().numpy()).startswith("one two")


def test_texts_by_hand() -> None:
    draw = random.Random(0)
    txts = [f"The movie was {' '.join(draw.choices(WORDS, k=20))}. Isn't it?" for _ in range(60)]
    txt = txts[0]
    spacy = WordTokenizer()
    toks = next(iter(spacy([txt])))
    assert toks[-4:] == ["Is", "n't", "it", "?"]
    tkn = Tokenizer(spacy)
    assert str(tkn("&copy;   Fast.ai www.fast.ai/INDEX")) == (
        "xxbos © xxmaj fast . ai xxrep 3 w . fast . ai / xxup index"
    )

    def subword(sz):
        sp = SubwordTokenizer(vocab_sz=sz)
        sp.setup(txts)
        return " ".join(next(iter(sp([txt])))[:40])

    assert "▁nine" in subword(60)
    assert "▁nine" not in subword(32)
    toks200 = [tkn(text) for text in txts]
    num = Numericalize()
    num.setup(toks200)
    nums = num(toks200[0])[:5]
    assert " ".join(num.vocab[o] for o in nums) == "xxbos xxmaj the movie was"
    nums200 = [num(tokens) for tokens in toks200]
    dl = LMDataLoader(nums200)
    x, y = next(iter(dl))
    assert x.shape == y.shape
    assert x[0][1:].tolist() == y[0][:-1].tolist()


def chunks(ds, bs):
    m = len(ds) // bs
    return [ds[i + m * j] for i in range(m) for j in range(bs)]


class OneStep(Module):
    """The book's first model with a state."""

    def __init__(self, vocab_sz, n_hidden):
        self.i_h = nn.Embedding(vocab_sz, n_hidden)
        self.h_h = nn.Linear(n_hidden, n_hidden)
        self.h_o = nn.Linear(n_hidden, vocab_sz)
        self.h = 0

    def forward(self, x):
        outs = []
        for i in range(x.shape[1]):
            self.h = self.h + self.i_h(x[:, i])
            self.h = F.relu(self.h_h(self.h))
            outs.append(self.h_o(self.h))
        self.h = self.h.detach()
        return torch.stack(outs, dim=1)

    def reset(self):
        self.h = 0


class OfLayers(Module):
    """The book's last model: a state for each row of a batch, made when the model is."""

    def __init__(self, vocab_sz, n_hidden, n_layers, p, bs):
        self.i_h = nn.Embedding(vocab_sz, n_hidden)
        self.rnn = nn.LSTM(n_hidden, n_hidden, n_layers, batch_first=True)
        self.drop = nn.Dropout(p)
        self.h_o = nn.Linear(n_hidden, vocab_sz)
        self.h_o.weight = self.i_h.weight
        self.h = [torch.zeros(n_layers, bs, n_hidden) for _ in range(2)]

    def forward(self, x):
        raw, h = self.rnn(self.i_h(x), self.h)
        out = self.drop(raw)
        self.h = [h_.detach() for h_ in h]
        return self.h_o(out), raw, out

    def reset(self):
        for h in self.h:
            h.zero_()


def test_models_of_ones_own_with_a_state() -> None:
    bs, sl = 16, 8
    nums = tensor([number % 10 for number in range(1600)])
    seqs = [(nums[i : i + sl], nums[i + 1 : i + sl + 1]) for i in range(0, len(nums) - sl - 1, sl)]
    cut = int(len(seqs) * 0.8)
    dls = DataLoaders.from_dsets(chunks(seqs[:cut], bs), chunks(seqs[cut:], bs), bs=bs, drop_last=True, shuffle=False)

    def loss_func(inp, targ):
        return F.cross_entropy(inp.view(-1, 10), targ.view(-1))

    learn = Learner(dls, OneStep(10, 16), loss_func=loss_func, metrics=accuracy, cbs=ModelResetter)
    learn.fit_one_cycle(2, 3e-3)
    regularized = [ModelResetter, RNNRegularizer(alpha=2, beta=1), RNNCallback]
    model = OfLayers(10, 16, 2, 0.4, bs)
    learn = Learner(dls, model, loss_func=CrossEntropyLossFlat(), metrics=accuracy, cbs=regularized)
    learn.fit_one_cycle(1, 1e-2)
    torch.manual_seed(0)
    learn = TextLearner(dls, OfLayers(10, 16, 2, 0.4, bs), loss_func=CrossEntropyLossFlat(), metrics=accuracy)
    learn.fit_one_cycle(8, 3e-2, wd=0.1)
    assert learn.recorder.values[-1][-1] > 0.8
    with pytest.raises(ValueError, match="OfLayers has no encoder that could be taken out"):
        learn.save_encoder("encoder")
