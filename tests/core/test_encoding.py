"""Small functions on tensors, arrays that show themselves, a description of the machine."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from laminar.core.arrays import ArrayImage, ArrayImageBW, ArrayMask
from laminar.core.device import default_device, item_find, nested_reorder
from laminar.core.encoding import concat, flatten_check, interp_1d, logit, one_hot, one_hot_decode, pca, unsqueeze
from laminar.core.environment import show_install
from laminar.core.errors import ConfigError
from laminar.core.show import show_image_batch, show_images


def test_one_hot_vectors_are_made_and_read() -> None:
    vector = one_hot([0, 2], 4)
    assert (vector.tolist(), vector.dtype) == ([1, 0, 1, 0], torch.uint8)
    assert one_hot_decode(vector) == [0, 2]
    assert one_hot_decode(vector, vocab=list("abcd")) == ["a", "c"]
    assert one_hot([], 2).tolist() == [0, 0]


def test_logit_undoes_the_sigmoid_and_stays_finite() -> None:
    x = torch.tensor([-3.0, 0.5])
    torch.testing.assert_close(logit(x.sigmoid()), x, atol=1e-4, rtol=0)
    assert logit(torch.tensor([0.0, 1.0])).isfinite().all()


def test_small_functions_do_what_they_say() -> None:
    assert unsqueeze(torch.zeros(3), dim=0, n=2).shape == (1, 1, 3)
    assert concat([1], (2, 3), []) == [1, 2, 3]
    assert interp_1d(torch.tensor([0.25]), torch.tensor([0.0, 0.5, 1]), torch.tensor([0.0, 1, 5])).tolist() == [0.5]
    assert item_find(([{"a": 3}],)) == 3
    assert nested_reorder((torch.arange(3), [torch.arange(3) * 2]), [2, 0])[1][0].tolist() == [4, 0]


def test_flattening_checks_the_numbers() -> None:
    assert [part.shape for part in flatten_check(torch.zeros(2, 3), torch.zeros(6))] == [(6,), (6,)]
    with pytest.raises(ConfigError, match=r"\(2, 3\) and \(5,\) have 6 and 5 values"):
        flatten_check(torch.zeros(2, 3), torch.zeros(5))


def test_principal_components_keep_distances_along_the_largest_spread() -> None:
    line = torch.linspace(-1, 1, 9)[:, None] * torch.tensor([[3.0, 4.0]])
    assert pca(line, k=1).abs().flatten().max().item() == pytest.approx(5.0, abs=1e-4)


def test_arrays_keep_their_class_and_show_themselves() -> None:
    image = ArrayImage(np.zeros((4, 5, 3), dtype=np.uint8))
    assert type(image + 1) is ArrayImage
    assert type(image[:2]) is ArrayImage
    ax = image.show()
    ArrayMask(np.ones((4, 5), dtype=int)).show(ctx=ax)
    assert [drawn.get_alpha() for drawn in ax.images] == [None, 0.5]
    assert ArrayImageBW(np.zeros((4, 5))).show().images[0].get_cmap().name == "Greys_r"


def test_a_batch_of_pictures_is_drawn_with_its_targets() -> None:
    axes = show_image_batch((torch.rand(5, 3, 4, 4), torch.arange(5)), items=4, cols=2)
    assert [ax.get_title() for ax in axes] == ["0", "1", "2", "3"]
    assert len(plt.gcf().axes) == 4


def test_pictures_stand_in_a_row_unless_told_otherwise() -> None:
    pictures = list(torch.rand(4, 3, 5, 5))
    tops = lambda axes: len({round(ax.get_position().y0, 3) for ax in axes})  # noqa: E731
    assert tops(show_images(pictures)) == 1
    assert tops(show_images(pictures, ncols=2)) == 2
    assert tops(show_images(pictures, nrows=2)) == 2


def test_the_device_can_be_insisted_on() -> None:
    assert default_device(use=False).type == "cpu"
    if not torch.accelerator.is_available():
        with pytest.raises(ConfigError, match="no accelerator"):
            default_device(use=True)


def test_the_machine_describes_itself(capsys: pytest.CaptureFixture[str]) -> None:
    show_install(show_nvidia_smi=True)
    told = capsys.readouterr().out
    assert f"torch       {torch.__version__.split(chr(43))[0]}" in told
    assert told.startswith("python")
