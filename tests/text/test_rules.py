"""Rules do what their names say, many texts at once as one by one, and nothing they write cannot be read back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laminar.core.errors import DataError
from laminar.text.corpora import tokenize_texts
from laminar.text.rules import (
    apply_rules,
    decode_spec_tokens,
    default_rules,
    fix_html,
    lowercase,
    replace_all_caps,
    replace_maj,
    replace_rep,
    replace_space,
    replace_wrep,
    rm_useless_spaces,
    spec_add_spaces,
)
from laminar.text.tokenizing import TokenizeWithRules, store_tokens
from laminar.text.words import WordTokenizer

ALPHABET = "aabBZ  \n\t!.#&;/\\'-9…\ue000ßÉдΣ"
TEXTS = st.text(
    st.one_of(st.sampled_from(ALPHABET), st.characters(exclude_categories=["Cs"])),
    max_size=40,
)


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        (fix_html, "a #39;b#39; &lt;c&gt; <br />d... <unk>", "a 'b' <c> \nd … xxunk"),
        (replace_rep, "so goooood!!! yes  ...", "so g xxrep 5 o d xxrep 3 !  yes   xxrep 3 . "),
        (replace_rep, "aa    bb", "aa    bb"),
        (replace_wrep, "it is very very very, very good", "it is xxwrep 3 very , very good"),
        (replace_wrep, "the the them", "the the them"),
        (replace_wrep, "the the the them", " xxwrep 3 the  them"),
        (replace_wrep, "other\nthe the\tthe end", "other xxwrep 3 the  end"),
        (spec_add_spaces, r"a/b #c\d", r"a / b  # c \ d"),
        (rm_useless_spaces, "a   b  c d", "a b c d"),
        (replace_all_caps, "I like NASA, USA and McDonald", "i like xxup nasa, xxup usa and McDonald"),
        (replace_maj, "A Word McDonald, Jack", "a xxmaj word McDonald, xxmaj jack"),
        (lowercase, " Hello World ", "xxbos hello world"),
        (replace_space, "New York", "New▁York"),
    ],
)
def test_each_rule_does_what_its_name_says(rule, text, expected):
    assert rule(text) == expected


@given(st.lists(TEXTS, max_size=6))
@settings(max_examples=150)
def test_many_texts_at_once_are_as_one_by_one(texts):
    one_by_one = []
    for text in texts:
        for rule in default_rules:
            text = rule(text)
        one_by_one.append(text)
    assert apply_rules(texts, default_rules) == one_by_one


def test_rules_of_ones_own_stand_among_the_others():
    texts = ["One TWO", "three"]
    assert apply_rules(texts, [replace_all_caps, lambda text: text[::-1], lowercase]) == [
        "xxbos owt puxx eno",
        "xxbos eerht",
    ]


WORDS = st.sampled_from(["it", "It", "NASA", "Word", "is", "no", "a", "I", "x"])


@given(st.lists(WORDS, max_size=12))
@settings(max_examples=100)
def test_capitals_and_repetitions_can_be_read_back(words):
    text = " ".join(words)
    tokens = next(WordTokenizer()(apply_rules([text], [replace_wrep, replace_all_caps, replace_maj])))
    # A single letter gives no mark: its capital is not worth a token.
    expected = [word if len(word) > 1 else word.lower() for word in words]
    assert decode_spec_tokens(tokens) == expected


def test_reading_back_takes_whatever_a_model_writes():
    assert decode_spec_tokens(["xxrep", "many", "a", "xxmaj"]) == ["a"]
    assert decode_spec_tokens(["xxwrep", "2", "so", "xxup"]) == ["so", "so"]


def test_a_rule_of_ones_own_that_fails_is_named_with_its_text() -> None:
    def strict(text):
        return text if "7" not in text else text / 2

    def forgetful(text):
        text.lower()

    texts = [f"text {number}" for number in range(9)]
    with pytest.raises(TypeError) as caught:
        tokenize_texts(texts, rules=[lowercase, strict])
    assert caught.value.__notes__[-1].endswith("strict, on str 'xxbos text 7'")
    with pytest.raises(DataError, match=r"forgetful makes NoneType None of str 'text 0', not a text.*return"):
        tokenize_texts(texts, rules=[forgetful])
    with pytest.raises(DataError, match="forgetful makes NoneType None of str 'xxbos'"):
        store_tokens(texts, TokenizeWithRules(post_rules=[forgetful]))


@pytest.mark.parametrize(
    ("tok", "message"),
    [
        (lambda texts: (text.split() for text in texts if "7" not in text), "8 lists of tokens for 9 texts"),
        (lambda texts: texts, "gives str 'xxbos text 0' in place of a list of tokens"),
        (lambda texts: [[1, 2] for _ in texts], "in place of a list of tokens"),
    ],
)
def test_a_tokenizer_of_ones_own_that_gives_something_else_is_told(tok, message) -> None:
    with pytest.raises(DataError, match=message):
        tokenize_texts([f"text {number}" for number in range(9)], tok=tok)


def test_a_tokenizer_for_single_texts_says_what_it_is_called_with() -> None:
    with pytest.raises(TypeError) as caught:
        tokenize_texts(["one", "two"], tok=str.split)
    assert "called with 2 texts, it is to give a list of tokens for each" in caught.value.__notes__[-1]
