"""AG News with laminar and with fastai: accuracy and processor time of classifiers, for each seed.

(a) `scratch`: AWD-LSTM as a classifier from random weights; (b) `ulmfit`: the same after training its encoder as a
language model on the same training texts; (c) `transformer`: laminar's small Transformer from random weights. (a) and
(b) run the same program in both frameworks: words by the same rules, the same sizes, dropouts, batches, learning rates
and epochs. Every run has a process of its own. Time is the processor's, on one thread, without
workers, of all training, validation after each epoch included; tokenizing is told apart.

The table has the columns title, text, label and split (`train` or `valid`).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev

from rounds import print_table

Result = dict[str, float]
PROGRAMS = {
    "laminar": ("scratch", "ulmfit", "transformer"),
    "fastai": ("scratch", "ulmfit"),
}


def read_table(path: str, limit: int):
    import pandas as pd

    df = pd.read_csv(path)
    df["is_valid"] = df["split"] == "valid"
    df["article"] = df["title"] + " . " + df["text"]
    if limit:
        df = pd.concat([part.head(limit) for _, part in df.groupby("is_valid")])
    return df[["article", "label", "is_valid"]].reset_index(drop=True)


def fine_tuning(learn, args: argparse.Namespace) -> None:
    """ULMFiT's third step: the head alone first, then everything at one learning rate.

    Not the tutorial's small rates for the lower layers, which protect what was learnt from a large text: here the
    language model has seen no text but these, and an embedding that hardly moves does much worse than a random one.
    """
    learn.fit_one_cycle(1, args.lr)
    learn.unfreeze()
    learn.fit_one_cycle(args.epochs - 1, args.lr / 2)


def run_with(text, args: argparse.Namespace, **extra) -> Result:
    """Either framework's program; `text` is its ``text.all``."""
    df, folder = read_table(args.data, args.limit), tempfile.mkdtemp()
    text.set_seed(args.seed)
    start = time.process_time()
    columns = {"text_col": "article", "valid_col": "is_valid", "num_workers": 0}
    lm_sizes = {**text.awd_lstm_lm_config, "emb_sz": args.emb, "n_hid": args.hid, "n_layers": args.layers}
    clas_sizes = {**text.awd_lstm_clas_config, "emb_sz": args.emb, "n_hid": args.hid, "n_layers": args.layers}
    words = None
    lm_seconds = 0.0
    if args.program == "ulmfit":
        dls_lm = text.TextDataLoaders.from_df(df, path=folder, is_lm=True, bs=args.bs, seq_len=72, **columns)
        begun = time.process_time()
        lm = text.language_model_learner(
            dls_lm, text.AWD_LSTM, config=lm_sizes, drop_mult=args.drop_mult, path=folder, **extra
        )
        lm.fit_one_cycle(args.lm_epochs, args.lm_lr)
        lm.save_encoder("encoder")
        lm_seconds, words = time.process_time() - begun, dls_lm.vocab
    dls = text.TextDataLoaders.from_df(
        df, path=folder, label_col="label", text_vocab=words, bs=args.bs, seq_len=72, **columns
    )
    prepared = time.process_time() - start - lm_seconds
    begun = time.process_time()
    if args.program == "transformer":
        sizes = {"emb_sz": 128, "n_heads": 4, "n_layers": 2}
        learn = text.text_classifier_learner(
            dls, text.TextTransformer, config=sizes, metrics=text.accuracy, path=folder
        )
        learn.fit_one_cycle(args.epochs, args.transformer_lr)
    else:
        learn = text.text_classifier_learner(
            dls, text.AWD_LSTM, config=clas_sizes, drop_mult=args.drop_mult, metrics=text.accuracy, path=folder, **extra
        )
        if args.program == "ulmfit":
            learn.load_encoder("encoder")
            fine_tuning(learn, args)
        else:
            learn.fit_one_cycle(args.epochs, args.lr / 2)
    seconds = time.process_time() - begun
    loss, accuracy = learn.validate()[:2]
    return {
        "accuracy": float(accuracy), "loss": float(loss), "seconds": seconds + lm_seconds, "prepared": prepared,
    }  # fmt: skip


def laminar_run(args: argparse.Namespace) -> Result:
    from laminar.text import all as text

    return run_with(text, args)


def fastai_run(args: argparse.Namespace) -> Result:
    from fastai.text import all as text

    text.defaults.cpus = 1
    return run_with(text, args, pretrained=False)


RUNS: dict[str, Callable[[argparse.Namespace], Result]] = {"laminar": laminar_run, "fastai": fastai_run}


def in_own_process(framework: str, program: str, seed: int) -> Result:
    """Run this program again for one combination; its last line is the result."""
    command = [sys.executable, __file__, *sys.argv[1:], "--framework", framework, "--program", program]
    done = subprocess.run([*command, "--seed", str(seed)], stdout=subprocess.PIPE, text=True, check=True)
    result: Result = json.loads(done.stdout.splitlines()[-1])
    print(f"{framework}, {program}, seed {seed}: {result}", file=sys.stderr, flush=True)
    return result


def spread(values: list[float], digits: int) -> str:
    return f"{mean(values):.{digits}f}" + (f" ± {stdev(values):.{digits}f}" if len(values) > 1 else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="the table, a csv file")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--epochs", type=int, default=5, help="of each classifier; of (b) the first is the head's alone"
    )
    parser.add_argument("--lm-epochs", type=int, default=4)
    parser.add_argument("--lr", type=float, default=2e-2)
    parser.add_argument("--lm-lr", type=float, default=1e-2)
    parser.add_argument("--transformer-lr", type=float, default=1e-3)
    parser.add_argument("--drop-mult", type=float, default=0.5)
    parser.add_argument("--bs", type=int, default=64)
    parser.add_argument("--emb", type=int, default=200)
    parser.add_argument("--hid", type=int, default=400)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--limit", type=int, default=0, help="rows of each split; 0 for all")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=list(PROGRAMS), help="frameworks")
    parser.add_argument("--framework", help=argparse.SUPPRESS)
    parser.add_argument("--program", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.framework:
        import torch

        torch.set_num_threads(args.threads)
        print(json.dumps(RUNS[args.framework](args)))
        return
    args.data = str(Path(args.data).resolve())
    chosen = [(f, p) for p in PROGRAMS["laminar"] for f in args.only if p in PROGRAMS[f]]
    results: dict[tuple[str, str], list[Result]] = {pair: [] for pair in chosen}
    for seed in range(args.seeds):
        for pair in chosen:
            results[pair].append(in_own_process(*pair, seed))
    rows = [
        (
            f"{framework}, {program}",
            spread([run["accuracy"] for run in runs], 4),
            spread([run["loss"] for run in runs], 3),
            spread([run["seconds"] for run in runs], 0),
            spread([run["prepared"] for run in runs], 1),
        )
        for (framework, program), runs in results.items()
    ]
    header = ("", "accuracy", "loss", "s of training", "s of tokens and loaders")
    print_table(f"AG News, {args.seeds} seeds", header, rows)


if __name__ == "__main__":
    main()
