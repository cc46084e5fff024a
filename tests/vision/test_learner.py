from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from matplotlib.axes import Axes
from torch import nn
from torchvision.models import VisionTransformer, squeezenet1_1, swin_t

from laminar.core.errors import ConfigError, DataError
from laminar.core.types import TensorCategory, TensorImage
from laminar.data.loaders import DataLoaders
from laminar.data.normalize import Normalize
from laminar.interpret.grad_cam import grad_cam
from laminar.learner.loading import load_learner
from laminar.metrics.classification import accuracy
from laminar.vision.augment import aug_transforms
from laminar.vision.body_for_data import is_convolutional
from laminar.vision.crop import Resize
from laminar.vision.data import ImageDataLoaders
from laminar.vision.images import PILImageBW
from laminar.vision.learner import create_vision_model, vision_learner, vision_network
from laminar.vision.models.xresnet import xresnet18, xresnet_small

MakeFolder = Callable[..., Path]


def tiny() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip


def transformer() -> VisionTransformer:
    return VisionTransformer(48, patch_size=16, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8)


def stripes() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 5), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


@pytest.fixture
def dls(make_folder: MakeFolder) -> DataLoaders:
    path = make_folder({"train": 8, "valid": 4})
    return ImageDataLoaders.from_folder(path, item_tfms=Resize(20), batch_tfms=aug_transforms(), bs=8, device="cpu")


def stats_of(loaders: DataLoaders) -> tuple[torch.Tensor, torch.Tensor]:
    found = [step for step in loaders.train.after_batch if isinstance(step, Normalize)]
    assert len(found) == 1
    return found[0].mean.flatten(), found[0].std.flatten()


def test_pain_66_pictures_are_normalised_as_the_networks_own_configuration_says(dls: DataLoaders) -> None:
    def told(pretrained: bool = False) -> nn.Sequential:
        model = tiny()
        model.pretrained_cfg = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.1), "input_size": (3, 20, 20)}  # as timm's
        return model

    for learn in (vision_learner(dls, told), vision_learner(dls, told, weights=tiny().state_dict())):
        mean, std = stats_of(learn.dls)
        assert mean.tolist() == pytest.approx([0.5, 0.4, 0.3])
        assert std.tolist() == pytest.approx([0.2, 0.2, 0.1])


def test_pain_66_a_vision_transformer_is_built_as_any_other_network(make_folder: MakeFolder, tmp_path: Path) -> None:
    path = make_folder({"train": 8, "valid": 4})
    dls = ImageDataLoaders.from_folder(path, item_tfms=Resize(64), bs=8, device="cpu")
    learn = vision_learner(dls, transformer, pretrained=False)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
    file = learn.export(tmp_path / "vit.laminar")
    again = load_learner(file, trust=[transformer])
    torch.testing.assert_close(again.predict(dls.valid_ds.items[0])[2], learn.predict(dls.valid_ds.items[0])[2])
    assert grad_cam(learn, dls.valid_ds.items[0]).maps.shape == (1, 64, 64)

    cut = vision_learner(dls, transformer, pretrained=False, cut=lambda model: nn.Sequential(model.conv_proj))
    assert cut.model[0](torch.rand(1, 3, 64, 64)).shape == (1, 8, 4, 4)
    odd = ImageDataLoaders.from_folder(path, item_tfms=Resize(50), bs=8, device="cpu")
    with pytest.raises(ConfigError, match=r"50x50 pixels \(its patches of 16x16 do not divide 50x50\).*Resize\(64\)"):
        vision_learner(odd, transformer, pretrained=False)


def test_a_learner_learns_predicts_and_shows(dls: DataLoaders) -> None:
    learn = vision_learner(dls, tiny, weights=tiny().state_dict(), metrics=accuracy)
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(4, base_lr=0.02, freeze_epochs=2)
        assert learn.validate()[1] == 1.0
        file = dls.valid_ds.items[0]
        name, _, probabilities = learn.predict(file)
        assert name == file.parent.name
        assert probabilities.shape == (2,)
        axes = learn.show_results()
    assert {ax.title.get_color() for ax in axes} <= {"red", "green"}


def shown_pictures(axes: list[Axes]) -> list[bytes]:
    return [ax.images[0].get_array().tobytes() for ax in axes]


def test_results_are_drawn_at_random_and_each_time_others(dls: DataLoaders) -> None:
    learn = vision_learner(dls, tiny, pretrained=False)
    first, second = (shown_pictures(learn.show_results(max_n=4)) for _ in range(2))
    assert len(set(first)) == len(set(second)) == 4
    assert first != second
    again = vision_learner(dls, tiny, pretrained=False)
    assert shown_pictures(again.show_results(max_n=4)) == first
    new = [shown_pictures(learn.show_results(dl=dls.test_dl(dls.valid_ds.items), max_n=4)) for _ in range(2)]
    assert new[0] != new[1]
    in_order = [shown_pictures(learn.show_results(max_n=4, shuffle=False)) for _ in range(2)]
    assert in_order[0] == in_order[1]


def test_results_of_a_loader_with_a_sampler_are_of_the_items_it_chooses(make_folder: MakeFolder) -> None:
    dls = ImageDataLoaders.from_folder(
        make_folder({"train": 8, "valid": 4}), item_tfms=Resize(20), bs=2, device="cpu",
        dl_kwargs=[{"sampler": [3, 5, 8, 10], "shuffle": False}, {}],
    )  # fmt: skip
    learn = vision_learner(dls, tiny, pretrained=False, normalize=False)
    shown = shown_pictures(learn.show_results(ds_idx=0))
    assert sorted(shown) == sorted(shown_pictures(dls.train.show_batch(dls.train.peek([3, 5, 8, 10]))))


def test_predictions_for_pictures_without_labels_are_drawn(dls: DataLoaders) -> None:
    learn = vision_learner(dls, tiny, pretrained=False)
    files = dls.valid_ds.items[:3]
    axes = learn.show_results(dl=dls.test_dl(files), shuffle=False)
    assert [ax.get_title() for ax in axes] == [learn.predict(file)[0] for file in files]
    assert axes[0].figure.get_suptitle() == "Prediction"


def test_arguments_in_the_wrong_order_are_told(dls: DataLoaders) -> None:
    with pytest.raises(ConfigError, match=r"loaders first.*vision_learner\(dls, tiny\)\. .*it got tiny"):
        vision_learner(tiny, dls)
    with pytest.raises(ConfigError, match=r"vision_learner\(dls, resnet18\)"):
        vision_learner("resnet18", dls)


def test_a_file_that_is_not_there_is_named_when_it_is_to_be_predicted(dls: DataLoaders) -> None:
    learn = vision_learner(dls, tiny, pretrained=False)
    with pytest.raises(DataError, match=r"nope.jpg: there is no such file") as caught:
        learn.predict(dls.path / "nope.jpg")
    notes = "\n".join(caught.value.__notes__)
    assert "item 0 of the new items" in notes
    assert "makes it again" not in notes


def test_a_pretrained_body_is_frozen_and_a_fresh_one_is_not(dls: DataLoaders) -> None:
    frozen = vision_learner(dls, tiny, weights=tiny().state_dict())
    body, head = frozen.model
    assert not any(p.requires_grad for part in body for p in part.parameters() if not isinstance(part, nn.BatchNorm2d))
    assert all(p.requires_grad for p in head.parameters())
    fresh = vision_learner(dls, tiny, pretrained=False)
    assert all(p.requires_grad for p in fresh.model.parameters())
    assert len(fresh.param_groups()) == 3


def test_loaders_given_are_never_changed_and_each_learner_normalises_its_own_way(dls: DataLoaders) -> None:
    before = repr(dls.train.after_batch)
    first = vision_learner(dls, squeezenet1_1, weights=squeezenet1_1().state_dict())
    second = vision_learner(dls, xresnet_small)
    third = vision_learner(dls, tiny, pretrained=False)
    assert repr(dls.train.after_batch) == before
    stats = [stats_of(learn.dls)[0] for learn in (first, second, third)]
    assert stats[0].tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert not torch.allclose(stats[0], stats[1])
    # from scratch: what a training batch measures
    x, _ = third.dls.one_batch()
    assert x.mean().abs() < 0.3


def test_loaders_that_normalise_already_are_left_alone(make_folder: MakeFolder) -> None:
    path = make_folder({"train": 3, "valid": 2})
    own = Normalize.from_stats([0.5] * 3, [0.5] * 3)
    dls = ImageDataLoaders.from_folder(path, item_tfms=Resize(20), batch_tfms=own)
    learn = vision_learner(dls, squeezenet1_1, weights=squeezenet1_1().state_dict())
    assert stats_of(learn.dls)[0].tolist() == [0.5] * 3
    assert vision_learner(dls, tiny, pretrained=False, normalize=False).dls is dls


@pytest.mark.parametrize("pretrained", [True, False])
def test_grey_pictures_make_a_network_for_one_channel_and_are_normalised(
    make_folder: MakeFolder, pretrained: bool
) -> None:
    path = make_folder({"train": 4, "valid": 2})
    dls = ImageDataLoaders.from_folder(path, img_cls=PILImageBW, item_tfms=Resize(64), bs=4)
    weights = squeezenet1_1().state_dict() if pretrained else None
    learn = vision_learner(dls, squeezenet1_1, weights=weights, pretrained=pretrained)
    assert learn.model[0][0].in_channels == 1
    mean, _ = stats_of(learn.dls)
    assert mean.shape == (1,)
    if pretrained:
        assert mean.item() == pytest.approx(0.449)
    assert learn.model(next(iter(learn.dls.train))[0].as_subclass(torch.Tensor)).shape == (4, 2)


def test_batches_from_elsewhere_are_taken_as_they_are() -> None:
    batches = [(torch.rand(4, 3, 20, 20), torch.tensor([0, 1, 0, 1]))]
    dls = DataLoaders(batches, batches, device="cpu")
    learn = vision_learner(dls, tiny, pretrained=False, n_out=2, loss_func=nn.CrossEntropyLoss())
    assert learn.dls is dls
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
    with pytest.raises(ConfigError, match="n_out"):
        vision_learner(dls, tiny, pretrained=False)
    typed = DataLoaders(batches, batches, device="cpu", types=(TensorImage, TensorCategory), vocab=["a", "b"])
    learn = vision_learner(typed, tiny, pretrained=False)
    assert learn.dls is not typed
    stats_of(learn.dls)


def test_convolutions_are_channels_last_unless_told_otherwise(dls: DataLoaders) -> None:
    def layout(**options: object) -> bool:
        learn = vision_learner(dls, tiny, pretrained=False, **options)
        return learn.model[0][3].weight.is_contiguous(memory_format=torch.channels_last)

    assert layout()
    assert not layout(channels_last=False)
    assert is_convolutional(create_vision_model("convnext_tiny", 2, pretrained=False, init=None))
    assert not is_convolutional(nn.Sequential(swin_t()))


def test_options_reach_head_and_learner(dls: DataLoaders) -> None:
    learn = vision_learner(
        dls, tiny, pretrained=False, lin_ftrs=[7], ps=0.0, concat_pool=False, y_range=(0, 1), lr=0.5, wd=0.3
    )
    linears = [
        (layer.in_features, layer.out_features) for layer in learn.model[1].modules() if isinstance(layer, nn.Linear)
    ]
    assert linears == [(8, 7), (7, 2)]
    assert (learn.lr, learn.wd) == (0.5, 0.3)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    custom = vision_learner(dls, tiny, pretrained=False, custom_head=head)
    assert custom.model[1] is head
    assert custom.model_recipe is None
    with pytest.raises(TypeError, match=r"vision_learner\(\).*'metric'.*Did you mean 'metrics'"):
        vision_learner(dls, tiny, pretrained=False, metric=accuracy)


def test_heads_begin_as_init_says(dls: DataLoaders) -> None:
    learn = vision_learner(dls, tiny, pretrained=False, init=lambda weight: nn.init.constant_(weight, 0.25))
    assert all((m.weight == 0.25).all() for m in learn.model[1].modules() if isinstance(m, nn.Linear))


@pytest.mark.parametrize("arch", [xresnet_small, xresnet18, squeezenet1_1, "mobilenet_v3_small"])
def test_an_exported_learner_predicts_the_same(arch: object, make_folder: MakeFolder, tmp_path: Path) -> None:
    path = make_folder({"train": 3, "valid": 2})
    dls = ImageDataLoaders.from_folder(path, item_tfms=Resize(64), batch_tfms=aug_transforms(), bs=4, device="cpu")
    learn = vision_learner(dls, arch, pretrained=False, ps=0.1, path=tmp_path)
    file = dls.valid_ds.items[0]
    again = load_learner(learn.export("learner.laminar"))
    assert again.predict(file)[0] == learn.predict(file)[0]
    torch.testing.assert_close(again.predict(file)[2], learn.predict(file)[2])


def test_a_users_architecture_is_loaded_when_it_is_trusted(dls: DataLoaders, tmp_path: Path) -> None:
    learn = vision_learner(dls, stripes, pretrained=False, path=tmp_path)
    build, arguments = learn.model_recipe
    assert build is vision_network
    assert arguments["arch"] is stripes
    model = build(**arguments)
    model.load_state_dict(learn.model.state_dict())


def test_a_network_that_cannot_be_cut_says_how_to_cut_it(dls: DataLoaders) -> None:
    with pytest.raises(ConfigError, match=r"Pass cut="):
        vision_learner(dls, lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), pretrained=False)


def test_weights_may_be_given_as_pretrained(dls: DataLoaders) -> None:
    weights = tiny().state_dict()
    learn = vision_learner(dls, tiny, pretrained=weights)
    assert torch.equal(learn.model[0][0].weight, weights["0.weight"])
    assert not learn.model[0][0].weight.requires_grad


def test_loaders_that_come_later_are_normalised_as_the_model_expects(dls: DataLoaders) -> None:
    learn = vision_learner(dls, tiny, weights=tiny().state_dict(), metrics=accuracy)
    files = dls.valid_ds.items
    ours = learn.get_preds(dl=learn.dls.test_dl(files))[0]
    assert torch.equal(learn.get_preds(dl=dls.test_dl(files))[0], ours)
    before = learn.validate()
    assert learn.validate(dl=dls.valid) == before
    learn.dls = dls  # as in progressive resizing
    assert learn.validate() == before
    assert not any(isinstance(step, Normalize) for step in dls.train.after_batch)


def test_a_vision_transformer_of_timms_is_made_for_the_pictures_and_predicts_the_same_after_an_export(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    path = make_folder({"train": 4, "valid": 2})
    dls = ImageDataLoaders.from_folder(path, item_tfms=Resize(32), bs=8, device="cpu")
    weights = timm.create_model("vit_tiny_patch16_224").state_dict()
    learn = vision_learner(dls, "vit_tiny_patch16_224", weights=weights, path=tmp_path)
    mean, std = stats_of(learn.dls)
    assert mean.tolist() == std.tolist() == [0.5, 0.5, 0.5]
    assert not learn.model[0].model.blocks[0].attn.qkv.weight.requires_grad
    assert all(p.requires_grad for p in learn.model[1].parameters())
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(1)
    picture = dls.valid_ds.items[0]
    expected = learn.predict(picture)[2]
    loaded = load_learner(learn.export("vit.laminar"))
    torch.testing.assert_close(loaded.predict(picture)[2], expected, rtol=1e-4, atol=1e-5)


def test_channels_that_the_pictures_do_not_have_are_told(dls: DataLoaders) -> None:
    with pytest.raises(ConfigError, match=r"n_in=4, but the pictures of these loaders have 3 channels"):
        vision_learner(dls, xresnet_small, n_in=4)
