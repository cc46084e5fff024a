from laminar.core.errors import suggest


def test_the_nearest_name_is_suggested() -> None:
    assert suggest("shuffel", ["bs", "shuffle"]) == " Did you mean 'shuffle'?"
    assert suggest("nothing_like_it", ["bs", "shuffle"]) == ""


def test_names_from_elsewhere_are_known() -> None:
    assert suggest("batch_size", ["bs", "base"]) == " Did you mean 'bs'?"
    assert suggest("batch_size", ["batch_sizes"]) == " Did you mean 'batch_sizes'?"
