import inspect

import pytest
import torch

from laminar.core.dispatch import OpenFunction, typedispatch
from laminar.core.errors import MissingExtraError, check_keywords, describe, require, suggest
from laminar.core.lazy import lazy_module
from laminar.core.show import get_grid, plot_top_losses, show_batch, show_images, show_results, show_title
from laminar.core.titled import Category
from laminar.core.types import TensorBase, TensorBBox, TensorImage, TensorMask, TensorPoint


class Wave(TensorBase):
    def show(self, ctx=None, **kwargs):
        return show_title("wave", ctx=ctx)


def test_open_functions_choose_by_two_types_nearest_first():
    f = OpenFunction("f", "doc")

    @f.register
    def _(x: object, y: object):
        return "any"

    @f.register
    def _(x: TensorBase, y: object):
        return "tensor"

    @f.register
    def _(x: TensorImage, y: str | None):
        return "image and name"

    image = TensorImage(torch.zeros(1))
    assert [f(1, 2), f(image, 2), f(image, "a"), f(image, None)] == [
        "any",
        "tensor",
        "image and name",
        "image and name",
    ]


def test_open_functions_say_how_to_add_what_they_lack():
    f = OpenFunction("area", "doc")
    with pytest.raises(TypeError, match=r"area knows nothing for \(int, str\).*@area.register"):
        f(1, "a")


def test_typedispatch_extends_the_function_of_that_name():
    @typedispatch
    def show_batch(x: Wave, y, samples, **kwargs):
        return "mine"

    from laminar.core.show import show_batch as ours

    assert show_batch is ours
    assert ours(Wave([1.0]), None, []) == "mine"
    assert ours(TensorImage(torch.rand(1, 3, 4, 4)), None, []) == []


def test_show_batch_lets_each_part_draw_itself():
    samples = [(TensorImage(torch.rand(3, 8, 8)), Category(f"c{i}")) for i in range(4)]
    axes = show_batch(TensorImage(torch.rand(4, 3, 8, 8)), Category("a"), samples, max_n=3)
    assert [ax.get_title() for ax in axes] == ["c0", "c1", "c2"]


def test_show_results_and_top_losses_add_predictions_below():
    samples = [(TensorImage(torch.rand(3, 8, 8)), Category("cat"))]
    outs = [(Category("dog"),)]
    ax = show_results(samples[0][0], samples[0][1], samples, outs)[0]
    assert ax.get_title() == "cat\ndog"
    ax = plot_top_losses(samples[0][0], samples[0][1], samples, outs, [0.9], [2.345])[0]
    assert ax.get_title() == "cat\ndog\n2.35" or ax.get_title() == "cat\ndog\n2.34"


def test_masks_points_and_boxes_draw_on_the_picture():
    ax = TensorImage(torch.rand(3, 8, 8)).show()
    TensorMask(torch.zeros(8, 8, dtype=torch.long), codes=["a", "b"]).show(ctx=ax)
    TensorPoint([[1.0, 2.0]]).show(ctx=ax)
    TensorBBox([[1.0, 2.0, 4.0, 6.0]]).show(ctx=ax)
    assert len(ax.images) == 2
    assert ax.images[1].get_clim() == (0, 2)
    assert len(ax.collections) == 1
    assert len(ax.patches) == 1


@pytest.mark.parametrize("im", [torch.rand(3, 4, 5), torch.rand(1, 4, 5), torch.rand(4, 5), torch.rand(4, 5, 3)])
def test_pictures_are_drawn_whatever_the_order_of_their_axes(im):
    (ax,) = show_images([im], titles=["a"])
    assert ax.images[0].get_array().shape[:2] == (4, 5)
    assert ax.get_title() == "a"


def test_a_grid_has_as_many_axes_as_asked():
    assert len(get_grid(5)) == 5
    assert len(get_grid(5, ncols=2)) == 5
    assert len(get_grid(3, double=True)) == 6


def test_a_title_becomes_a_cell_of_a_row():
    pandas = pytest.importorskip("pandas")
    row = show_title(3, ctx=pandas.Series({"text": "a"}), label="text")
    assert list(row.index) == ["text", "text_"]


def test_suggestions_name_the_closest():
    assert suggest("shuffel", ["bs", "shuffle"]) == " Did you mean 'shuffle'?"
    assert suggest("xyz", ["bs"]) == ""


def test_unknown_keywords_are_refused_with_a_suggestion():
    with pytest.raises(TypeError, match=r"f\(\) got an unexpected keyword argument 'shuffel'. Did you mean 'shuffle'"):
        check_keywords({"shuffel": True}, ["bs", "shuffle"], "f")
    check_keywords({"bs": 1}, ["bs"], "f")


def test_missing_packages_name_the_extra():
    with pytest.raises(MissingExtraError, match=r"reading needs nosuchpackage.*pip install 'laminar\[tabular\]'"):
        require("nosuchpackage", "tabular", "reading")


def test_an_import_error_inside_a_package_is_not_taken_for_a_missing_one(tmp_path, monkeypatch):
    (tmp_path / "halfbroken.py").write_text("import nosuchdependency")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="nosuchdependency"):
        require("halfbroken", "tabular", "reading")


def test_values_are_described_by_type_shape_and_dtype():
    assert describe(torch.zeros(2, 3)) == "Tensor (2, 3) float32"
    assert describe({"a": [1]}) == "{'a': [int 1]}"
    assert describe("x" * 500).endswith("...")
    assert describe(torch.Tensor) == "class Tensor"
    assert "7 in all" in describe((1,) * 7)


def test_lazy_modules_load_at_first_use():
    module = lazy_module("colorsys")
    assert module.rgb_to_hsv(1, 1, 1) == (0.0, 0.0, 1)
    assert "rgb_to_hsv" in dir(module)


def test_a_lazy_module_that_is_not_installed_names_the_extra_when_it_is_used():
    module = lazy_module("nosuchpackage", extra="tabular")
    with pytest.raises(MissingExtraError, match=r"nosuchpackage.read_csv needs nosuchpackage.*'laminar\[tabular\]'"):
        module.read_csv("a.csv")
    with pytest.raises(MissingExtraError, match=r"dir\(nosuchpackage\) needs"):
        dir(module)
    assert "nosuchpackage" in repr(module)
    assert inspect.unwrap(module) is module
