"""Words: how texts are cut, and that nothing but white space is lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laminar.core import MissingExtraError
from laminar.text.special_tokens import SPECIAL_TOKENS
from laminar.text.words import BaseTokenizer, SpacyTokenizer, WordTokenizer


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("don't can't it's we'll", ["do", "n't", "ca", "n't", "it", "'s", "we", "'ll"]),
        ("10,000.50 2nd 3:30 $5", ["10,000.50", "2nd", "3:30", "$", "5"]),
        ("the u.s. (and e.g. o'brien)", ["the", "u.s.", "(", "and", "e.g.", "o'brien", ")"]),
        ("two-year-old -- well ....", ["two", "-", "year", "-", "old", "--", "well", "...."]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("", []),
    ],
)
def test_words_numbers_and_signs_are_tokens(text, tokens):
    assert next(WordTokenizer()([text])) == tokens


def test_special_tokens_are_never_cut():
    assert next(WordTokenizer()([" ".join(SPECIAL_TOKENS)])) == list(SPECIAL_TOKENS)


@given(st.text(max_size=60))
@settings(max_examples=150)
def test_nothing_but_white_space_is_lost(text):
    assert "".join(next(WordTokenizer()([text]))) == "".join(text.split())


def test_texts_can_be_cut_at_a_character():
    assert list(BaseTokenizer(",")(["a b,c", ""])) == [["a b", "c"], [""]]


def test_spacy_cuts_as_spacy_does():
    spacy = pytest.importorskip("spacy")
    text = "xxbos xxmaj don't go to N.Y.,  please"
    plain = [token.text for token in spacy.blank("en")(text) if not token.is_space]
    assert next(SpacyTokenizer("en")([text])) == plain


def test_error_names_the_extra_without_spacy(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "spacy", None)
    with pytest.raises(MissingExtraError, match=r"laminar\[spacy\]"):
        SpacyTokenizer()
