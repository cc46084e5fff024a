"""Texts, beside fastai, in one process: from data frame to numericalised loaders, and through all batches.

AG News (``--data``: a table with the columns title, text, label) or, without a file, made-up texts of the same length.
Loading: vocabulary, tokens and loaders for classification, for all rows. Iterating: all training batches of 64, padded,
on the CPU. Language model: the same texts as a stream, 64 rows of 72 words. Each figure is the median of all rounds, in
texts a second; the peers take turns.
"""

import argparse
import random
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import torch
from rounds import print_table

BS, SEQ_LEN = 64, 72
Make = Callable[[pd.DataFrame, bool], Any]


def made_up(rows: int) -> pd.DataFrame:
    """Texts of about 40 words, of which few are frequent and many rare."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 9))) for _ in range(20000)]
    weights = [1 / (rank + 3) for rank in range(len(words))]
    texts = []
    for _ in range(rows):
        chosen = draw.choices(words, weights, k=draw.randint(25, 55))
        texts.append(" ".join(word.capitalize() if draw.random() < 0.2 else word for word in chosen) + ".")
    return pd.DataFrame({"text": texts, "label": [draw.choice(["a", "b", "c", "d"]) for _ in range(rows)]})


def laminar_loaders(df: pd.DataFrame, is_lm: bool) -> Any:
    from laminar.text import TextDataLoaders

    return TextDataLoaders.from_df(
        df, text_col="text", label_col="label", is_lm=is_lm, bs=BS, seq_len=SEQ_LEN, seed=0, device="cpu",
        n_workers=0, num_workers=0, cache=False,
    )  # fmt: skip


def fastai_loaders(df: pd.DataFrame, is_lm: bool) -> Any:
    from fastai.text.all import CategoryBlock, ColReader, DataBlock, RandomSplitter, TextBlock

    texts = TextBlock.from_df("text", is_lm=is_lm, seq_len=SEQ_LEN, n_workers=0)  # TextDataLoaders starts processes
    block = DataBlock(
        blocks=texts if is_lm else (texts, CategoryBlock), get_x=ColReader("text"),
        get_y=None if is_lm else ColReader("label"), splitter=RandomSplitter(0.2, seed=0),
    )  # fmt: skip
    return block.dataloaders(df, bs=BS, seq_len=SEQ_LEN, device="cpu", num_workers=0)


def seconds(act: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = act()
    return time.perf_counter() - start, result


def through(loader: Any) -> int:
    return sum(len(batch[0]) for batch in loader)


def measure(df: pd.DataFrame, make: Make) -> dict[str, float]:
    """Texts a second for each thing measured."""
    loading, dls = seconds(lambda: make(df, False))
    iterating, count = seconds(lambda: through(dls.train))
    streaming_loaders = make(df, True)
    streaming, _ = seconds(lambda: through(streaming_loaders.train))
    training = len(streaming_loaders.train_ds)
    return {
        "data frame to loaders": len(df) / loading,
        "batches for a classifier": count / iterating,
        "batches for a language model": training / streaming,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="", help="a table with the columns title, text, label")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=7600)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.data:
        table = pd.read_csv(Path(options.data)).head(options.rows)
        df = pd.DataFrame({"text": table["title"] + " " + table["text"], "label": table["label"]})
    else:
        df = made_up(options.rows)
    peers: dict[str, Make] = {"laminar": laminar_loaders, "fastai": fastai_loaders}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in peers}
    for make in peers.values():
        make(df.head(200), False)  # what is imported and compiled once is not measured
    for _ in range(options.rounds):
        for name, make in peers.items():
            found[name].append(measure(df, make))
    sizes = {name: len(make(df.head(200), False).vocab[0]) for name, make in peers.items()}
    print(f"words of 200 texts, which should be about the same: {sizes}")
    rows = []
    for what in found["laminar"][0]:
        each = {name: median(one[what] for one in rounds) for name, rounds in found.items()}
        rows.append([what, *(f"{each[name]:,.0f}" for name in peers), f"{each['laminar'] / each['fastai']:.1f}"])
    print_table("Texts a second", ["", *peers, "times"], rows)


if __name__ == "__main__":
    main()
