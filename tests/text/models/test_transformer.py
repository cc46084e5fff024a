"""The Transformer: relative positions, and going on without reading again."""

import torch

from laminar.text.models.transformer import TextTransformer, rotary_angles, rotate


def small() -> TextTransformer:
    torch.manual_seed(0)
    return TextTransformer(20, 8, 2, 2).eval()


def test_products_of_rotated_vectors_depend_on_their_distance_alone() -> None:
    query, key = torch.randn(2, 1, 8)
    products = []
    for start in (0, 5, 40):
        cosines, sines = rotary_angles(torch.arange(start, start + 4), 8)
        products.append(rotate(query.expand(4, 8), cosines, sines) @ rotate(key.expand(4, 8), cosines, sines).T)
    torch.testing.assert_close(products[0], products[1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(products[0], products[2], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(products[0][0], products[0][1])


def test_going_on_is_reading_the_whole() -> None:
    model, words = small(), torch.randint(2, 20, (3, 9))
    whole = model(words)
    with model.remembering():
        pieces = [model(piece) for piece in words.split((4, 1, 3, 1), 1)]
        assert model.past is not None
    torch.testing.assert_close(torch.cat(pieces, 1), whole)
    assert model.past is None


def test_outside_remembering_each_call_begins_anew() -> None:
    model, words = small(), torch.randint(2, 20, (3, 9))
    assert torch.equal(model(words), model(words))


def test_the_padding_word_is_zero_and_stays_so() -> None:
    model = small()
    model(torch.ones(1, 3, dtype=torch.int64)).sum().backward()
    assert not model.encoder.weight[1].any()
    assert not model.encoder.weight.grad[1].any()
