"""Programs about texts as fastai's tutorial and book have them, with the import line and the data's path changed."""

import random
from pathlib import Path

import pandas as pd
import pytest

from laminar.text.all import *

PRAISE = ["great", "lovely", "brilliant", "moving", "funny", "superb"]
BLAME = ["awful", "boring", "dreadful", "stupid", "shabby", "dull"]


def review(draw: random.Random, positive: bool) -> str:
    words = PRAISE if positive else BLAME
    return " ".join(
        f"This {draw.choice(['film', 'movie', 'story'])} was {draw.choice(words)} and {draw.choice(words)}."
        for _ in range(draw.randint(2, 5))
    )


@pytest.fixture
def imdb(tmp_path: Path) -> Path:
    """``train/pos/*.txt``, ``train/neg``, ``test/pos``, ``test/neg`` and ``unsup/*.txt``."""
    draw = random.Random(0)
    for split, count in (("train", 24), ("test", 8)):
        for label in ("pos", "neg"):
            folder = tmp_path / "imdb" / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number}.txt").write_text(review(draw, label == "pos"))
    folder = tmp_path / "imdb" / "unsup"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number}.txt").write_text(review(draw, number % 2 == 0))
    return tmp_path / "imdb"


@pytest.fixture
def imdb_sample(tmp_path: Path) -> Path:
    """``texts.csv`` with columns label, text and is_valid."""
    draw = random.Random(0)
    labels = [number % 2 == 0 for number in range(48)]
    rows = [
        ("positive" if label else "negative", review(draw, label), number >= 36) for number, label in enumerate(labels)
    ]
    path = tmp_path / "imdb_sample"
    path.mkdir()
    pd.DataFrame(rows, columns=["label", "text", "is_valid"]).to_csv(path / "texts.csv", index=False)
    return path


SMALL = {"emb_sz": 12, "n_hid": 16, "n_layers": 3}
small_lm_config = {**awd_lstm_lm_config, **SMALL}  # a large network says nothing more about a program, and takes long
small_clas_config = {**awd_lstm_clas_config, **SMALL}


def test_text_transfer_learning_from_folders(imdb: Path) -> None:
    path = imdb
    dls = TextDataLoaders.from_folder(path, valid="test", bs=8)
    dls.show_batch(max_n=2)
    learn = text_classifier_learner(dls, AWD_LSTM, config=small_clas_config, drop_mult=0.5, metrics=accuracy)
    learn.fine_tune(2, 1e-2)
    learn.show_results(max_n=2)
    label, number, probabilities = learn.predict("I really liked that movie!")
    assert label in ("pos", "neg")
    assert dls.vocab[1][int(number)] == label
    assert probabilities.sum().item() == pytest.approx(1)


def test_the_ulmfit_approach(imdb: Path) -> None:
    path = imdb
    dls_lm = TextDataLoaders.from_folder(path, is_lm=True, valid_pct=0.1, bs=8, seq_len=20)
    dls_lm.show_batch(max_n=2)
    learn = language_model_learner(
        dls_lm, AWD_LSTM, config=small_lm_config, metrics=[accuracy, Perplexity()], path=path, wd=0.1
    ).to_fp16()
    with pytest.warns(UserWarning, match="CPU"):
        learn.fit_one_cycle(1, 1e-2)
    learn = learn.to_fp32()
    learn.save("1epoch")
    learn = learn.load("1epoch")
    learn.unfreeze()
    learn.fit_one_cycle(1, 1e-3)
    learn.save_encoder("finetuned")
    TEXT = "This movie was"
    N_WORDS = 8
    N_SENTENCES = 2
    preds = [learn.predict(TEXT, N_WORDS, temperature=0.75) for _ in range(N_SENTENCES)]
    assert all(pred.startswith("This movie was ") for pred in preds)

    dls_clas = TextDataLoaders.from_folder(imdb, valid="test", text_vocab=dls_lm.vocab, bs=8)
    learn = text_classifier_learner(dls_clas, AWD_LSTM, config=small_clas_config, drop_mult=0.5, metrics=accuracy)
    learn.path = path
    learn = learn.load_encoder("finetuned")
    learn.fit_one_cycle(1, 2e-2)
    learn.freeze_to(-2)
    learn.fit_one_cycle(1, slice(1e-3 / (2.6**4), 1e-2))
    learn.freeze_to(-3)
    learn.fit_one_cycle(1, slice(5e-3 / (2.6**4), 1e-2))
    learn.unfreeze()
    learn.fit_one_cycle(2, slice(1e-3 / (2.6**4), 3e-3))
    interp = Interpretation.from_learner(learn)
    interp.plot_top_losses(3)
    learn.export()
    again = load_learner(learn.path / "export.pkl")
    text = "A boring and dull story."
    assert torch.equal(again.predict(text)[2], learn.predict(text)[2])


def test_data_blocks_of_the_book(imdb: Path) -> None:
    path = imdb
    get_imdb = partial(get_text_files, folders=["train", "test", "unsup"])
    dls_lm = DataBlock(
        blocks=TextBlock.from_folder(path, is_lm=True), get_items=get_imdb, splitter=RandomSplitter(0.1)
    ).dataloaders(path, path=path, bs=8, seq_len=20)
    learn = language_model_learner(
        dls_lm, AWD_LSTM, config=small_lm_config, drop_mult=0.3, metrics=[accuracy, Perplexity()]
    )
    learn.fit_one_cycle(1, 2e-2)
    learn.save_encoder("finetuned")
    dls_clas = DataBlock(
        blocks=(TextBlock.from_folder(path, vocab=dls_lm.vocab), CategoryBlock),
        get_y=parent_label,
        get_items=partial(get_text_files, folders=["train", "test"]),
        splitter=GrandparentSplitter(valid_name="test"),
    ).dataloaders(path, path=path, bs=8, seq_len=72)
    learn = text_classifier_learner(dls_clas, AWD_LSTM, config=small_clas_config, drop_mult=0.5, metrics=accuracy)
    learn = learn.load_encoder("finetuned")
    learn.fit_one_cycle(1, 2e-2)
    learn.freeze_to(-2)
    learn.fit_one_cycle(1, slice(1e-2 / (2.6**4), 1e-2))
    preds, targs = learn.get_preds()
    assert preds.shape == (16, 2)
    assert targs.tolist().count(0) == 8


def test_a_table_of_reviews(imdb_sample: Path) -> None:
    path = imdb_sample
    df = pd.read_csv(path / "texts.csv")
    dls = TextDataLoaders.from_csv(
        path=path, csv_fname="texts.csv", text_col="text", label_col="label", valid_col="is_valid", bs=8
    )
    learn = text_classifier_learner(dls, AWD_LSTM, config=small_clas_config, metrics=[accuracy])
    learn.lr_find(num_it=8)
    learn.fit_one_cycle(1, 1e-2)
    dls_lm = TextDataLoaders.from_df(df, text_col="text", is_lm=True, valid_col="is_valid", bs=8, seq_len=20)
    learn = language_model_learner(
        dls_lm, AWD_LSTM, config=small_lm_config, metrics=[accuracy, Perplexity()], path=path
    )
    learn.fit_one_cycle(1, 1e-2, moms=(0.8, 0.7, 0.8))
    assert learn.validate()[2] > 1
    learn.show_results(max_n=2)


def test_several_labels_and_quantities(imdb_sample: Path) -> None:
    df = pd.read_csv(imdb_sample / "texts.csv")
    df["labels"] = ["a;b" if row % 3 else "c" for row in range(len(df))]
    df["stars"] = [4.5 if label == "positive" else 1.0 for label in df.label]
    several = TextDataLoaders.from_df(
        df, text_col="text", label_col="labels", label_delim=";", valid_col="is_valid", bs=8
    )
    learn = text_classifier_learner(several, AWD_LSTM, config=small_clas_config, metrics=accuracy_multi)
    learn.fit_one_cycle(1, 1e-2)
    assert learn.get_preds()[0].shape == (12, 3)
    stars = TextDataLoaders.from_df(
        df, text_col="text", label_col="stars", y_block=RegressionBlock(), valid_col="is_valid", bs=8
    )
    learn = text_classifier_learner(stars, AWD_LSTM, config=small_clas_config, y_range=(0, 5), metrics=rmse)
    learn.fit_one_cycle(1, 1e-2)
    assert 0 < learn.predict("A lovely film.")[1] < 5
