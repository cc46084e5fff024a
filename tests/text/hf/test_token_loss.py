"""The loss of targets for each token: over tokens, not over batches, whatever lengths texts have."""

from __future__ import annotations

import torch
from tests.text.hf.tiny import CONFIGS, rows
from torch import nn

from laminar.callbacks import GradientAccumulation
from laminar.data import ColReader, DataBlock, DataLoaders, RandomSplitter
from laminar.learner import Learner
from laminar.nn.item_losses import item_losses
from laminar.text.hf import HFLanguageBlock, hf_learner
from laminar.text.hf.token_loss import TokenCrossEntropyLoss

HERE = torch.Generator().manual_seed(0)
SCORES = torch.randn(3, 6, 5, generator=HERE)
TARGETS = torch.tensor([[1, 2, 3, 4, 0, 1], [2, -100, 1, -100, -100, -100], [-100] * 6])


def test_a_texts_loss_does_not_depend_on_how_far_it_is_lengthened():
    loss = TokenCrossEntropyLoss()
    long, short = item_losses(loss, SCORES, TARGETS), item_losses(loss, SCORES[1:2, :3], TARGETS[1:2, :3])
    assert torch.allclose(long[1], short[0])
    assert long[2] == 0, "nothing is said about it"
    weights = loss.mean_weights(TARGETS)
    assert weights.tolist() == [6, 2, 0]
    assert torch.allclose((long * weights).sum() / weights.sum(), loss(SCORES, TARGETS))
    rare = TokenCrossEntropyLoss(weight=torch.tensor([1.0, 4.0, 1.0, 1.0, 1.0]))
    assert torch.allclose((item_losses(rare, SCORES, TARGETS) * rare.mean_weights(TARGETS)).sum()
                          / rare.mean_weights(TARGETS).sum(), rare(SCORES, TARGETS))  # fmt: skip


def test_accumulated_batches_of_short_and_long_texts_equal_one_large():
    def trained(batches, **options):
        torch.manual_seed(1)
        learn = Learner(
            DataLoaders(batches, batches),
            nn.Linear(4, 5),
            loss_func=TokenCrossEntropyLoss(),
            opt_func=torch.optim.SGD,
            **options,
        )
        with learn.no_bar(), learn.no_logging():
            learn.fit(1, 0.5)
        return learn.model.weight

    inputs = torch.randn(3, 6, 4, generator=HERE)
    apart = [(inputs[:1], TARGETS[:1]), (inputs[1:, :3], TARGETS[1:, :3])]
    assert torch.allclose(trained([(inputs, TARGETS)]), trained(apart, cbs=GradientAccumulation(3)), atol=1e-6)


def test_blocks_of_several_lengths_are_predicted_and_act_says_what_is_kept(gpt_tokenizer):
    block = DataBlock(
        HFLanguageBlock(gpt_tokenizer, block_size=16), get_x=ColReader("text"), splitter=RandomSplitter(0.2, seed=0)
    )
    learn = hf_learner(block.dataloaders(rows(30), bs=3), CONFIGS["gpt2"]())
    preds, targets, decoded, losses = learn.get_preds(with_decoded=True, with_loss=True)
    lengths = [len(target) for target in targets]
    assert lengths[-1] < lengths[0] == 16
    assert [one.shape for one in preds] == [(length, 300) for length in lengths]
    assert all(torch.allclose(one.sum(-1), torch.ones(len(one)), atol=1e-4) for one in preds)
    assert [one.shape for one in decoded] == [(length,) for length in lengths]
    assert len(losses) == len(lengths)
    kept, _ = learn.get_preds(act=lambda scores: scores.argmax(-1))
    assert all(torch.equal(one, other) for one, other in zip(kept, decoded, strict=True))
