"""ROUGE, and the right answers of SQuAD. Expected values are those of the packages rouge_score and evaluate."""

import pytest

from laminar.core.errors import ConfigError
from laminar.metrics import answer_f1, exact_match, normalize_answer, rouge_1, rouge_2, rouge_l, rouge_lsum, rouge_n

WRITTEN = "The quick brown fox jumps over a lazy dog.\nIt was quick."
TRUE = "A quick brown dog jumps over the lazy fox.\nThe fox was not quick."


def test_rouge_gives_the_values_of_the_usual_package():
    assert rouge_1(WRITTEN, TRUE) == pytest.approx(0.8461538461538461)
    assert rouge_2(WRITTEN, TRUE) == pytest.approx(1 / 6)
    assert rouge_l(WRITTEN, TRUE) == pytest.approx(0.5384615384615384)
    assert rouge_lsum(WRITTEN, TRUE) == pytest.approx(0.6923076923076923)


def test_rouge_of_equal_texts_is_one_and_of_strangers_nothing():
    assert rouge_n("a b c", "a b c", 3) == (1.0, 1.0, 1.0)
    assert rouge_l("a b", "c d") == rouge_l("", "c") == rouge_lsum("", "") == 0.0


def test_of_several_true_texts_the_best_counts():
    assert rouge_1("a b", ["c d", "a b"]) == 1.0
    with pytest.raises(ConfigError, match="no true text"):
        rouge_1("a", [])
    with pytest.raises(ConfigError, match="n=0"):
        rouge_n("a", "a", 0)


def test_words_of_any_script_are_compared():
    assert rouge_1("Это кот", "это кот!") == 1.0


def test_answers_are_compared_without_what_does_not_matter():
    assert normalize_answer("  The  U.S. (army)! ") == "us army"
    assert exact_match("the Tower.", ["a tower", "house"]) == 1.0
    assert exact_match("towers", "tower") == 0.0
    assert answer_f1("in the Eiffel Tower", ["Eiffel Tower", "the tower"]) == pytest.approx(0.8)


def test_no_answer_is_right_where_there_is_none():
    assert exact_match("", []) == answer_f1("", "") == 1.0
    assert exact_match("a guess", []) == answer_f1("a guess", []) == answer_f1("", "x") == 0.0
