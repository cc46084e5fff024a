"""Training steps of text models: AWD-LSTM beside the same stack in plain PyTorch, QRNN beside an LSTM as wide.

A step is forward, cross-entropy, backward and AdamW (fused) on one batch of random words; all contenders see the same
batches. The plain stack has an embedding, LSTMs, dropout between layers and a tied decoder; it lacks what AWD-LSTM is
about: dropped weights and words, one mask for all steps of a text, state from batch to batch.

QRNN and LSTM are single layers of one width on random features: forward and backward.
"""

import argparse
from collections.abc import Callable
from statistics import median

import torch
import torch.nn.functional as F
from rounds import interleaved, median_ratio, print_table
from torch import nn

from laminar.text.models.awd_lstm import AWD_LSTM, AWD_QRNN
from laminar.text.models.language_model import get_language_model
from laminar.text.models.qrnn import QRNNLayer
from laminar.text.models.transformer import TextTransformer


class PlainLanguageModel(nn.Module):
    """What one would write without dropouts of its own kind."""

    def __init__(self, vocab: int, emb_sz: int, n_hid: int, n_layers: int) -> None:
        super().__init__()
        self.encoder = nn.Embedding(vocab, emb_sz, padding_idx=1)
        widths = [emb_sz, *[n_hid] * (n_layers - 1), emb_sz]
        self.layers = nn.ModuleList(nn.LSTM(widths[i], widths[i + 1], batch_first=True) for i in range(n_layers))
        self.dropout = nn.Dropout(0.2)
        self.decoder = nn.Linear(emb_sz, vocab)
        self.decoder.weight = self.encoder.weight

    def forward(self, words: torch.Tensor) -> tuple[torch.Tensor]:
        x = self.dropout(self.encoder(words))
        for layer in self.layers:
            x = self.dropout(layer(x)[0])
        return (self.decoder(x),)


def step_of(model: nn.Module, words: torch.Tensor) -> Callable[[], object]:
    """One training step, ready to be called."""
    opt = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)
    model.train()

    def step() -> None:
        scores = model(words[:, :-1])[0]
        loss = F.cross_entropy(scores.flatten(0, 1), words[:, 1:].flatten())
        loss.backward()
        opt.step()
        opt.zero_grad()

    return step


def pass_of(layer: nn.Module, x: torch.Tensor) -> Callable[[], object]:
    def both_ways() -> None:
        layer(x)[0].sum().backward()

    return both_ways


def report(title: str, contenders: dict[str, Callable[[], object]], reference: str, rounds: int) -> None:
    seconds = interleaved(contenders, rounds)
    rows = [
        (name, f"{1000 * median(seconds[name]):.0f}", f"{median_ratio(seconds, name, reference):.2f}")
        for name in contenders
    ]
    print_table(title, ("", "ms", "ratio"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bs", type=int, default=32)
    parser.add_argument("--seq-len", type=int, default=72)
    parser.add_argument("--vocab", type=int, default=10_000)
    parser.add_argument("--emb", type=int, default=400)
    parser.add_argument("--hid", type=int, default=1152)
    parser.add_argument("--layers", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    words = torch.randint(2, args.vocab, (args.bs, args.seq_len + 1))
    sizes = {"emb_sz": args.emb, "n_hid": args.hid, "n_layers": args.layers}
    plain = PlainLanguageModel(args.vocab, args.emb, args.hid, args.layers)
    heads = max(1, args.emb // 64)
    transformer = {"emb_sz": args.emb // (2 * heads) * 2 * heads, "n_heads": heads, "n_layers": args.layers}
    models = {
        "plain PyTorch, the same stack": plain,
        "laminar, AWD_LSTM": get_language_model(AWD_LSTM, args.vocab, sizes),
        "laminar, AWD_QRNN": get_language_model(AWD_QRNN, args.vocab, sizes),
        "laminar, TextTransformer": get_language_model(TextTransformer, args.vocab, transformer),
    }
    steps = {name: step_of(model, words) for name, model in models.items()}
    size = f"{args.layers} layers, {args.emb}/{args.hid}, {args.vocab} words, batch {args.bs} of {args.seq_len}"
    report(f"Training step of a language model ({size})", steps, "plain PyTorch, the same stack", args.rounds)
    x = torch.randn(args.bs, args.seq_len, args.hid)
    layers = {
        "torch's LSTM": nn.LSTM(args.hid, args.hid, batch_first=True),
        "laminar, QRNNLayer": QRNNLayer(args.hid, args.hid),
        "laminar, QRNNLayer(window=2)": QRNNLayer(args.hid, args.hid, window=2),
    }
    passes = {name: pass_of(layer, x) for name, layer in layers.items()}
    report(f"One layer of {args.hid}, forward and backward", passes, "torch's LSTM", args.rounds)


if __name__ == "__main__":
    main()
