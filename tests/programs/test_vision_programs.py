"""Programs as fastai's users write them, with the import line changed: they have to run as they are."""

import os
from pathlib import Path

import pandas as pd
import pytest

from laminar.vision.all import *


def test_cats_against_dogs_by_a_function_of_the_name(pets: Path) -> None:
    path = pets / "images"

    def is_cat(x):
        return x[0].isupper()

    dls = ImageDataLoaders.from_name_func(
        path, get_image_files(path), valid_pct=0.2, seed=42, label_func=is_cat, item_tfms=Resize(32), bs=8
    )
    learn = vision_learner(dls, xresnet_small, pretrained=False, metrics=error_rate)
    learn.fine_tune(1)
    img = PILImage.create(path / "Bengal_1.jpg")
    is_cat, _, probs = learn.predict(img)
    assert is_cat in ("True", "False")
    assert 0 <= probs[1].item() <= 1
    assert dls.vocab == [False, True]


def test_breeds_by_a_regular_expression_with_presizing_and_a_better_model(pets: Path) -> None:
    path = pets
    dblock = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=RandomSplitter(seed=42),
        get_y=using_attr(RegexLabeller(r"(.+)_\d+.jpg$"), "name"),
        item_tfms=Resize(46),
        batch_tfms=aug_transforms(size=32, min_scale=0.75),
    )
    dblock.summary(path / "images")
    dls = dblock.dataloaders(path / "images", bs=8)
    dls.show_batch(nrows=1, ncols=3, unique=True)
    learn = vision_learner(dls, mobilenet_v3_small, pretrained=False, metrics=error_rate).to_fp32()
    lr_min, lr_steep = learn.lr_find(num_it=8, suggest_funcs=(minimum, steep))
    assert lr_min > 0
    assert lr_steep > 0
    learn.fit_one_cycle(1, 3e-3)
    learn.unfreeze()
    learn.fit_one_cycle(1, lr_max=slice(1e-6, 1e-4))
    learn.recorder.plot_loss()
    interp = ClassificationInterpretation.from_learner(learn)
    interp.plot_confusion_matrix(figsize=(4, 4), dpi=60)
    interp.most_confused(min_val=1)
    interp.plot_top_losses(2, nrows=1)
    learn.save("stage-1")
    learn.load("stage-1")


def test_bears_whose_recipe_is_varied_and_whose_model_is_exported(imagenette: Path) -> None:
    path = imagenette / "train"
    bears = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=RandomSplitter(valid_pct=0.2, seed=42),
        get_y=parent_label,
        item_tfms=Resize(32),
    )
    bears.dataloaders(path).valid.show_batch(max_n=4, nrows=1)
    bears = bears.new(item_tfms=Resize(32, ResizeMethod.Pad, pad_mode="zeros"))
    bears.dataloaders(path).valid.show_batch(max_n=4, nrows=1)
    bears = bears.new(item_tfms=RandomResizedCrop(32, min_scale=0.5), batch_tfms=aug_transforms(mult=2))
    dls = bears.dataloaders(path, bs=8)
    dls.train.show_batch(max_n=4, nrows=1, unique=True)
    learn = vision_learner(dls, resnet18, pretrained=False, metrics=error_rate)
    learn.fine_tune(1)
    learn.export()
    learn_inf = load_learner(learn.path / "export.pkl")
    assert list(learn_inf.dls.vocab) == ["n01440764", "n02102040", "n02979186"]
    pred, pred_idx, probs = learn_inf.predict(get_image_files(path)[0])
    assert learn_inf.dls.vocab[pred_idx] == pred
    assert f"{probs[pred_idx]:.04f}"


def test_several_labels_from_a_data_frame(pascal: Path) -> None:
    path = pascal
    df = pd.read_csv(path / "train.csv")

    def splitter(df):
        train = df.index[~df["is_valid"]].tolist()
        valid = df.index[df["is_valid"]].tolist()
        return train, valid

    dblock = DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock),
        splitter=splitter,
        get_x=lambda r: path / "train" / r["fname"],
        get_y=lambda r: r["labels"].split(" "),
        item_tfms=RandomResizedCrop(32, min_scale=0.35),
    )
    dsets = dblock.datasets(df)
    assert isinstance(dsets.train[0][0], PILImage)
    dls = dblock.dataloaders(df, bs=6)
    dls.show_batch(nrows=1, ncols=3)
    learn = vision_learner(dls, resnet18, pretrained=False, metrics=partial(accuracy_multi, thresh=0.2))
    assert isinstance(learn.loss_func, BCEWithLogitsLossFlat)
    learn.fine_tune(1, base_lr=3e-3, freeze_epochs=1)
    learn.metrics = partial(accuracy_multi, thresh=0.1)
    learn.validate()
    preds, targs = learn.get_preds()
    assert preds.shape == targs.shape == (4, 3)
    accuracy_multi(preds, targs, thresh=0.9, sigmoid=False)


def test_several_labels_by_the_factory_and_by_columns(pascal: Path) -> None:
    path = pascal
    dls = ImageDataLoaders.from_df(
        pd.read_csv(path / "train.csv"),
        path,
        folder="train",
        valid_col="is_valid",
        label_delim=" ",
        item_tfms=Resize(32),
        bs=4,
    )
    dls.show_batch()
    pascal_block = DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock),
        splitter=ColSplitter("is_valid"),
        get_x=ColReader("fname", pref=str(path / "train") + os.path.sep),
        get_y=ColReader("labels", label_delim=" "),
        item_tfms=Resize(32),
        batch_tfms=aug_transforms(size=24),
    )
    columns = pascal_block.dataloaders(pd.read_csv(path / "train.csv"), bs=4)
    assert list(columns.vocab) == list(dls.vocab) == ["car", "chair", "person"]
    f1 = F1ScoreMulti(thresh=0.5)
    learn = vision_learner(columns, resnet18, pretrained=False, metrics=[partial(accuracy_multi, thresh=0.5), f1])
    learn.fit(1)
    assert 0 <= learn.recorder.values[-1][-1] <= 1


def test_a_network_from_scratch_with_progressive_resizing_mixup_and_label_smoothing(imagenette: Path) -> None:
    path = imagenette

    def get_dls(bs, size):
        dblock = DataBlock(
            blocks=(ImageBlock, CategoryBlock),
            get_items=get_image_files,
            splitter=GrandparentSplitter(valid_name="val"),
            get_y=parent_label,
            item_tfms=Resize(size),
            batch_tfms=[*aug_transforms(size=size, min_scale=0.75), Normalize.from_stats(*imagenet_stats)],
        )
        return dblock.dataloaders(path, bs=bs)

    dls = get_dls(8, 24)
    x, _ = dls.one_batch()
    assert abs(x.mean(dim=[0, 2, 3])).max() < 3
    model = xresnet18(n_out=dls.c, widen=0.25)
    learn = Learner(dls, model, loss_func=LabelSmoothingCrossEntropy(), metrics=accuracy, cbs=MixUp())
    learn.fit_one_cycle(1, 3e-3)
    learn.dls = get_dls(8, 32)
    with pytest.warns(UserWarning, match="one parameter group, so nothing is frozen"):
        learn.fine_tune(1, 1e-3)
    preds, targs = learn.tta()
    assert 0 <= accuracy(preds, targs).item() <= 1


def test_flat_cosine_with_ranger_and_top_k(imagenette: Path) -> None:
    dls = ImageDataLoaders.from_folder(imagenette, valid="val", item_tfms=Resize(24), bs=8)
    learn = Learner(
        dls,
        xresnet18(n_out=dls.c, widen=0.25),
        opt_func=ranger,
        loss_func=CrossEntropyLossFlat(),
        metrics=[accuracy, partial(top_k_accuracy, k=2)],
        cbs=[SaveModelCallback(), EarlyStoppingCallback(patience=3), CSVLogger()],
    )
    learn.fit_flat_cos(1, 1e-3)
    assert (learn.path / "history.csv").exists()


def test_key_points(imagenette: Path) -> None:
    path = imagenette

    def get_ctr(f):
        return tensor([20.0, 12.0])

    biwi = DataBlock(
        blocks=(ImageBlock, PointBlock),
        get_items=get_image_files,
        get_y=get_ctr,
        splitter=FuncSplitter(lambda o: o.parent.name == "n02979186"),
        batch_tfms=aug_transforms(size=(24, 32)),
    )
    dls = biwi.dataloaders(path, bs=4)
    dls.show_batch(max_n=4)
    xb, yb = dls.one_batch()
    assert xb.shape[-2:] == (24, 32)
    assert yb.shape == (4, 1, 2)
    learn = vision_learner(dls, resnet18, pretrained=False, y_range=(-1, 1))
    assert isinstance(learn.loss_func, MSELossFlat)
    learn.fine_tune(1, 1e-2)
    learn.show_results(ds_idx=1, nrows=1, max_n=2)


def test_masks_by_the_factory(imagenette: Path) -> None:
    codes = np.array(["void", "road", "car"])

    def mask_of(f):
        return np.asarray(Image.open(f).convert("L")) // 100

    dls = SegmentationDataLoaders.from_label_func(
        imagenette, bs=4, fnames=get_image_files(imagenette), label_func=mask_of, codes=codes, item_tfms=Resize(24)
    )
    dls.show_batch(max_n=2)
    x, y = dls.one_batch()
    assert x.shape[-2:] == y.shape[-2:] == (24, 24)
    assert list(dls.vocab) == list(codes)
