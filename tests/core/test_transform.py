from collections import namedtuple
from collections.abc import Sequence
from typing import Annotated, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import v2

from laminar.core.adapters import to_transform
from laminar.core.pipeline import Pipeline
from laminar.core.titled import Category, TitledInt
from laminar.core.transform import InplaceTransform, ItemTransform, RandTransform, Transform
from laminar.core.types import TensorBase, TensorImage, TensorMask


class Shift(Transform):
    def __init__(self, by=1, split_idx=None, order=None):
        super().__init__(split_idx=split_idx, order=order)
        self.by = by

    def encodes(self, x: int):
        return x + self.by

    def encodes(self, x: float):
        return x + 10 * self.by

    def decodes(self, x: int):
        return x - self.by

    def decodes(self, x: float):
        return x - 10 * self.by


class Scale(Transform):
    def __init__(self, by=2, order=None):
        super().__init__(order=order)
        self.by = by

    def encodes(self, x: int | float):
        return x * self.by

    def decodes(self, x: int | float):
        return x // self.by


def test_overloads_are_chosen_by_type():
    assert Shift()(1) == 2
    assert Shift()(1.0) == 11.0
    assert Shift()("a") == "a"


def test_tuples_are_transformed_member_by_member():
    point = namedtuple("point", "x y")
    assert Shift()((1, 1.0, "a", (2,))) == (2, 11.0, "a", (3,))
    assert Shift()(point(1, "a")) == point(2, "a")
    assert type(Shift()(point(1, "a"))) is point


def test_an_overload_for_a_class_of_tuples_gets_the_whole():
    class Pair(tuple):
        pass

    class Swap(Transform):
        def encodes(self, x: Pair):
            return x[::-1]

    assert Swap()((Pair((1, 2)), 3)) == (Pair((2, 1)), 3)
    assert type(Swap()(Pair((1, 2)))) is Pair


def test_item_transforms_get_the_whole_sample():
    class Total(ItemTransform):
        def encodes(self, x):
            return sum(x)

    assert Total()((1, 2, 3)) == 6


def test_subclasses_inherit_and_override_by_type():
    class Louder(Shift):
        def encodes(self, x: int):
            return super().encodes(x) * 100

    assert Louder()(1) == 200
    assert Louder()(1.0) == 11.0
    assert Louder().decode(2) == 1
    assert Shift()(1) == 2


def test_a_subclass_of_the_annotated_type_is_matched_nearest_first():
    class Base(Transform):
        def encodes(self, x: TensorBase):
            return "base"

        def encodes(self, x: TensorImage):
            return "image"

    assert Base()(TensorMask(torch.zeros(1))) == "base"
    assert Base()(TensorImage(torch.zeros(1))) == "image"


def test_abstract_classes_and_unions_can_be_named():
    class Length(Transform):
        def encodes(self, x: Sequence):
            return len(x)

        def encodes(self, x: set | dict):
            return -len(x)

    assert Length()([1, 2]) == 2
    assert Length()({1}) == -1
    assert Length()(3) == 3


def test_transforms_are_extended_from_outside():
    class Base(Transform):
        def encodes(self, x: int):
            return x

    class Derived(Base):
        pass

    assert Derived()("a") == "a"

    @Base
    def encodes(self, x: str):
        return x + "!"

    assert Base()("a") == "a!"
    assert Derived()("a") == "a!"


def test_annotations_as_text_are_understood():
    class Late(Transform):
        def encodes(self, x: "int | float"):
            return x + 1

    assert Late()(1.5) == 2.5
    assert Late()("a") == "a"


def test_two_overloads_for_one_type_are_refused_when_the_class_is_defined():
    with pytest.raises(TypeError, match=r"Twice.encodes is defined twice for type int: in line \d+ and in line \d+"):

        class Twice(Transform):
            def encodes(self, x: int):
                return 1

            def encodes(self, x: int | str):
                return 2


def test_what_stands_in_brackets_does_not_choose():
    class Kinds(Transform):
        def encodes(self, x: list[int]):
            return "list"

        def encodes(self, x: "Annotated[dict[str, int], 'sizes'] | Sequence[float]"):
            return "dict or another sequence"

    kinds = Kinds()
    assert [kinds(value) for value in (["a"], {"a": 1}, range(3), 1)] == [
        *("list", "dict or another sequence", "dict or another sequence", 1)
    ]
    with pytest.raises(TypeError, match=r"Twice.encodes is defined twice for type list"):

        class Twice(Transform):
            def encodes(self, x: list[int]):
                return 1

            def encodes(self, x: list[str]):
                return 2


@pytest.mark.parametrize("annotation", [Literal["a"], "Literal['a']", 3])
def test_annotations_that_cannot_be_chosen_by_are_refused(annotation):
    def encodes(self, x):
        return x

    encodes.__annotations__["x"] = annotation
    with pytest.raises(TypeError, match=r"Wrong.encodes: cannot choose by annotation"):
        type(Transform)("Wrong", (Transform,), _body("Wrong", encodes))


def _body(name, encodes):
    namespace = type(Transform).__prepare__(name, (Transform,))
    namespace["encodes"] = encodes
    return namespace


def test_unknown_names_in_annotations_are_refused():
    with pytest.raises(TypeError, match=r"Unknown\.encodes: annotation 'Missing' is unknown"):

        class Unknown(Transform):
            def encodes(self, x: "Missing"):  # noqa: F821
                return x


def test_the_inputs_type_is_put_back_where_the_operation_lost_it():
    class Strip(Transform):
        def encodes(self, x: TensorImage):
            return x.as_subclass(torch.Tensor) * 2

        def encodes(self, x: Category):
            return str.upper(x)

    image = TensorImage(torch.ones(3, 2, 2), origin="here")
    result = Strip()(image)
    assert type(result) is TensorImage
    assert result.origin == "here"
    assert type(Strip()(Category("a"))) is Category


def test_return_annotations_decide_the_type():
    class Convert(Transform):
        def encodes(self, x: int) -> TitledInt:
            return x + 1

        def encodes(self, x: TensorImage) -> None:
            return x.as_subclass(torch.Tensor)

    assert type(Convert()(1)) is TitledInt
    assert type(Convert()(TensorImage(torch.ones(1)))) is torch.Tensor


@pytest.mark.parametrize(("split", "expected"), [(None, 1), (0, 2), (1, 1)])
def test_split_idx_decides_where_a_transform_runs(split, expected):
    shift = Shift(split_idx=0)
    assert shift(1, split_idx=split) == expected
    assert Pipeline([shift], split_idx=split)(1) == expected


def test_functions_are_transforms():
    assert Transform(lambda x: x + 1, dec=lambda x: x - 1).decode(3) == 2
    assert to_transform(float)("2") == 2.0
    assert to_transform(Shift)(1) == 2
    with pytest.raises(TypeError, match="must be callable, got 3"):
        to_transform(3)


def test_functions_with_an_annotation_are_for_that_type():
    def double(x: int):
        return 2 * x

    assert Transform(double)((2, "a")) == (4, "a")


def test_instances_from_functions_do_not_share_overloads():
    assert Transform(lambda x: 1)(5) == 1
    assert Transform(lambda x: 2)(5) == 2
    assert Transform()(5) == 5


def test_setup_sees_the_training_items():
    class Learn(Transform):
        def setups(self, items):
            self.seen = list(items)

    class Items(list):
        train = [1, 2]

    learn = Learn()
    learn.setup(Items([1, 2, 3]), train_setup=True)
    assert learn.seen == [1, 2]
    learn.setup(Items([1, 2, 3]))
    assert learn.seen == [1, 2, 3]


def test_errors_in_setups_are_not_swallowed():
    class Broken(Transform):
        def setups(self, items):
            raise AttributeError("mine")

    with pytest.raises(AttributeError, match="mine"):
        Broken().setup([1])


def test_inplace_transforms_return_their_argument():
    class Append(InplaceTransform):
        def encodes(self, x: list):
            x.append(1)

    items = []
    assert Append()(items) is items
    assert items == [1]


def test_random_transforms_draw_once_for_a_sample_and_keep_nothing():
    class Jitter(RandTransform):
        def before_call(self, b, split_idx):
            super().before_call(b, split_idx)
            self.draw = torch.rand(()).item()

        def encodes(self, x: float):
            return self.draw

    jitter = Jitter()
    first, second = jitter((0.0, 1.0), split_idx=0)
    assert first == second
    assert not hasattr(jitter, "draw")
    assert jitter((0.0, 1.0), split_idx=1) == (0.0, 1.0)
    assert Jitter(p=0)(5.0, split_idx=0) == 5.0
    assert RandTransform(before_call=lambda b, split_idx: None)(5.0, split_idx=0) == 5.0


def test_torchvision_transforms_see_the_whole_sample():
    sample = (TensorImage(torch.rand(3, 8, 8)), TensorMask(torch.zeros(8, 8, dtype=torch.long), codes=["a"]), 3)
    result = Pipeline([v2.RandomCrop(4)])(sample)
    assert result[0].shape[-2:] == result[1].shape[-2:] == (4, 4)
    assert result[1].codes == ["a"]
    assert result[2] == 3


def test_repr_tells_the_arguments_that_matter():
    assert repr(Shift(by=3)) == "Shift(by=3)"
    assert repr(Shift()) == "Shift()"
    assert repr(Pipeline([Shift(by=3), Scale()])) == "Pipeline: Shift(by=3) -> Scale()"


def test_touches_tells_what_passes_through():
    assert Shift().touches((1, "a"))
    assert not Shift().touches(("a", None))


def test_pipelines_sort_by_order_and_keep_the_order_given_within():
    pipeline = Pipeline([Shift(order=5), Scale(order=1), Scale(3, order=1)])
    assert [type(t).__name__ + str(t.by) for t in pipeline] == ["Scale2", "Scale3", "Shift1"]
    pipeline.add(Shift(by=7, order=0))
    assert pipeline[0].by == 7
    assert len(pipeline) == 4


steps = st.lists(st.one_of(st.integers(-5, 5).map(Shift), st.sampled_from([2, 4]).map(Scale)), max_size=6)


@given(steps, st.integers(-1000, 1000))
def test_pipeline_decodes_in_reverse_order(transforms, x):
    pipeline = Pipeline(transforms)
    assert pipeline.decode((pipeline(x),)) == (x,)


@given(steps, steps, st.integers(-1000, 1000))
def test_a_pipeline_of_two_halves_is_the_two_in_turn(first, second, x):
    assert Pipeline([*first, *second])(x) == Pipeline(second)(Pipeline(first)(x))


def test_decoding_stops_as_soon_as_everything_shows():
    class Name(Transform):
        def decodes(self, x: int) -> Category:
            return Category(f"class {x}")

    class Never(Transform):
        def decodes(self, x: object):
            raise AssertionError("decoded further than asked")

    pipeline = Pipeline([Never(order=0), Name(order=1)])
    assert pipeline.decode((3, 4), full=False) == ("class 3", "class 4")
    with pytest.raises(AssertionError):
        pipeline.decode((3,))


def test_show_draws_every_part_on_the_same_axes():
    from matplotlib import pyplot as plt

    _, ax = plt.subplots()
    returned = Pipeline().show((TensorImage(torch.rand(3, 4, 4)), Category("cat")), ctx=ax)
    assert returned is ax
    assert ax.get_title() == "cat"
    assert len(ax.images) == 1


def test_errors_name_the_transform_and_the_value():
    def fail(x):
        raise AssertionError

    with pytest.raises(AssertionError) as caught:
        Pipeline([Shift(), fail])((1, "a"))
    assert "fail, encoding (int 2, str 'a')" in caught.value.__notes__[0]
    with pytest.raises(ZeroDivisionError) as caught:
        Pipeline([Scale(by=0)]).decode(1)
    assert "Scale(by=0), decoding int 1" in caught.value.__notes__[0]


def test_setup_shows_each_transform_the_items_as_those_before_make_them():
    class Items:
        def __init__(self, pipeline, raw):
            self.pipeline, self.raw = pipeline, raw

        def __iter__(self):
            return (self.pipeline(x) for x in self.raw)

    class Learn(Transform):
        order = 1

        def setups(self, items):
            self.seen = list(items)

    learn = Learn()
    pipeline = Pipeline([Shift(), learn])
    pipeline.setup(Items(pipeline, [1, 2]))
    assert learn.seen == [2, 3]
    assert len(pipeline) == 2


def test_a_failing_setup_leaves_the_pipeline_whole():
    class Broken(Transform):
        def setups(self, items):
            raise ValueError("no")

    pipeline = Pipeline([Shift(), Broken()])
    with pytest.raises(ValueError, match="no") as caught:
        pipeline.setup([1])
    assert caught.value.__notes__ == ["in Broken, setting up"]
    assert len(pipeline) == 2


def test_a_pipeline_is_deterministic_when_no_step_of_its_split_draws():
    class Still(Transform):
        deterministic = True

    assert Pipeline([Still()]).deterministic
    assert not Pipeline([Still(), lambda x: x]).deterministic
    assert not Pipeline([RandTransform()], split_idx=0).deterministic
    assert Pipeline([RandTransform()], split_idx=1).deterministic
    assert Pipeline([RandTransform()]).find(RandTransform) is not None
    assert Pipeline([Still()]).find(RandTransform) is None


def test_editors_see_the_constructors_arguments():
    import inspect

    assert list(inspect.signature(Shift).parameters) == ["by", "split_idx", "order"]


def test_a_misspelt_argument_gets_a_suggestion():
    with pytest.raises(TypeError, match=r"Shift\(\) got an unexpected keyword argument 'bye'. Did you mean 'by'"):
        Shift(bye=3)
