"""fastai's tutorials on pictures, task by task, as its users write them: they have to run as they are."""

import random
import re
from pathlib import Path

import pandas as pd
import pytest
from fastcore.basics import fastuple

from laminar.core.dispatch import OpenFunction
from laminar.vision.all import *

random.seed(0)


def test_camvid(camvid: Path) -> None:
    path = camvid
    fnames = get_image_files(path / "images")
    img = PILImage.create(fnames[3])
    img.show(figsize=(5, 5))
    get_msk = lambda o: path / "labels" / f"{o.stem}_P{o.suffix}"  # noqa: E731
    msk = PILMask.create(get_msk(fnames[3]))
    msk.show(figsize=(5, 5), alpha=1)
    assert tensor(msk).unique().tolist() == [0, 1, 2]
    codes = np.loadtxt(path / "codes.txt", dtype=str)
    sz = msk.shape
    half = tuple(int(x / 2) for x in sz)
    camvid = DataBlock(
        blocks=(ImageBlock, MaskBlock(codes)),
        get_items=get_image_files,
        splitter=FileSplitter(path / "valid.txt"),
        get_y=get_msk,
        batch_tfms=[*aug_transforms(size=half), Normalize.from_stats(*imagenet_stats)],
    )
    dls = camvid.dataloaders(path / "images", bs=4)
    dls.show_batch(max_n=4, vmin=1, vmax=30, figsize=(14, 10))
    dls.vocab = codes
    name2id = {v: k for k, v in enumerate(codes)}
    void_code = name2id["Void"]

    def acc_camvid(inp, targ):
        targ = targ.squeeze(1)
        mask = targ != void_code
        return (inp.argmax(dim=1)[mask] == targ[mask]).float().mean()

    opt_func = partial(Adam, lr=3e-3, wd=0.01)
    learn = unet_learner(
        dls,
        xresnet_small,
        loss_func=CrossEntropyLossFlat(axis=1),
        opt_func=opt_func,
        path=path,
        metrics=acc_camvid,
        self_attention=True,
        act_cls=Mish,
        norm_type=None,
        wd_bn_bias=True,
    )
    assert get_c(dls) == 3
    learn.lr_find(num_it=6)
    lr = 1e-3
    learn.fit_flat_cos(1, slice(lr))
    learn.save("stage-1")
    learn.load("stage-1")
    learn.show_results(max_n=4, vmin=1, vmax=30, figsize=(15, 6))
    learn.unfreeze()
    learn.fit_flat_cos(1, slice(lr / 400, lr / 4))
    assert 0 <= learn.recorder.values[-1][-1] <= 1
    learn.dls = camvid.new(batch_tfms=aug_transforms(size=sz)).dataloaders(path / "images", path=path, bs=2)
    learn.fit_one_cycle(1, slice(lr / 400, lr / 4))
    interp = SegmentationInterpretation.from_learner(learn)
    interp.plot_top_losses(k=3)
    mask, decided, probs = learn.predict(fnames[0])
    assert mask.shape == decided.shape == sz
    assert probs.shape == (3, *sz)


def test_camvid_by_the_factory_and_a_u_net_by_hand(camvid: Path) -> None:
    path = camvid
    codes = np.loadtxt(path / "codes.txt", dtype=str)

    def label_func(fn):
        return path / "labels" / f"{fn.stem}_P{fn.suffix}"

    dls = SegmentationDataLoaders.from_label_func(
        path, bs=4, fnames=get_image_files(path / "images"), label_func=label_func, codes=codes
    )
    dls.show_batch(max_n=6)
    encoder = create_body(xresnet_small(), pretrained=False)
    model = DynamicUnet(encoder, dls.c, img_size=(30, 40), blur=True, norm_type=NormType.Batch)
    learn = Learner(dls, model, metrics=[foreground_acc, DiceMulti()])
    learn.fit(1, 1e-3)
    preds, targs = learn.get_preds()
    assert preds.shape == (2, 3, 30, 40)
    assert targs.shape == (2, 30, 40)


def test_head_pose(biwi: Path) -> None:
    path = biwi
    cal = np.genfromtxt(path / "01" / "rgb.cal", skip_footer=6)
    fname = path / "09" / "frame_00003_rgb.jpg"

    def img2txt_name(f):
        return Path(f"{str(f)[:-7]}pose.txt")

    img = PILImage.create(fname)

    def get_ctr(f):
        ctr = np.genfromtxt(img2txt_name(f), skip_header=3)
        c1 = ctr[0] * cal[0][0] / ctr[2] + cal[0][2]
        c2 = ctr[1] * cal[1][1] / ctr[2] + cal[1][2]
        return tensor([c1, c2])

    ax = img.show(figsize=(6, 6))
    TensorPoint.create(get_ctr(fname), img_size=img.size).show(ctx=ax)
    dblock = DataBlock(
        blocks=(ImageBlock, PointBlock),
        get_items=get_image_files,
        splitter=FuncSplitter(lambda o: o.parent.name == "13"),
        get_y=get_ctr,
        batch_tfms=[*aug_transforms(size=(24, 32)), Normalize.from_stats(*imagenet_stats)],
    )
    dls = dblock.dataloaders(path, path=path, bs=4)
    dls.show_batch(max_n=9, figsize=(9, 6))
    assert dls.c == 2
    xb, yb = dls.one_batch()
    assert (xb.shape, yb.shape) == ((4, 3, 24, 32), (4, 1, 2))
    assert yb.abs().max() <= 1.5
    learn = vision_learner(dls, xresnet_small, y_range=(-1, 1), lin_ftrs=[100], ps=0.0)
    assert isinstance(learn.loss_func, MSELossFlat)
    learn.lr_find(num_it=6)
    learn.fine_tune(1, 1e-2)
    learn.show_results(ds_idx=1, nrows=3, figsize=(6, 8))
    interp = Interpretation.from_learner(learn)
    interp.plot_top_losses(3)
    point, scaled, _ = learn.predict(fname)
    assert (point >= 0).all()
    assert point.shape == (1, 2)
    assert scaled.abs().max() <= 1


def test_planet(planet: Path) -> None:
    path = planet
    df = pd.read_csv(path / "labels.csv")
    tfms = aug_transforms(flip_vert=True, max_lighting=0.1, max_zoom=1.05, max_warp=0.0)
    dls = ImageDataLoaders.from_csv(
        path, "labels.csv", folder="train", suff=".jpg", label_delim=" ", batch_tfms=tfms, bs=4, seed=42
    )
    dls.show_batch(max_n=9, figsize=(12, 9))
    block = DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock),
        get_x=ColReader(0, pref=f"{path / 'train'}/", suff=".jpg"),
        get_y=ColReader(1, label_delim=" "),
        splitter=RandomSplitter(seed=42),
        batch_tfms=[*tfms, Normalize.from_stats(*imagenet_stats)],
    )
    assert len(block.dataloaders(df.values, bs=4).vocab) == 3
    dls = block.dataloaders(df, path=path, bs=4)

    def planet_items(x):
        return f"{path}/train/" + x.image_name + ".jpg", x.tags.str.split()

    by_columns = DataBlock.from_columns(
        blocks=(ImageBlock, MultiCategoryBlock), get_items=planet_items, splitter=RandomSplitter(), batch_tfms=tfms
    )
    assert by_columns.dataloaders(df, bs=4).vocab == dls.vocab
    acc_02 = partial(accuracy_multi, thresh=0.2)
    f_score = FBetaMulti(2, thresh=0.2, average="samples")
    f1_macro = F1ScoreMulti(thresh=0.5, average="macro")
    f1_macro.name = "F1(macro)"
    learn = vision_learner(dls, xresnet_small, metrics=[acc_02, f_score, f1_macro])
    assert "F1(macro)" in [metric.name for metric in learn.metrics]
    learn.lr_find(num_it=6)
    lr = 0.01
    learn.fit_one_cycle(1, slice(lr))
    learn.save("stage-1")
    learn.unfreeze()
    learn.fit_one_cycle(1, slice(1e-5, lr / 5))
    learn.recorder.plot_loss()
    learn.show_results()
    preds, targs = learn.get_preds()
    xs = torch.linspace(0.05, 0.95, 9)
    accs = [accuracy_multi(preds, targs, thresh=i, sigmoid=False) for i in xs]
    plt.plot(xs, accs)
    assert 0.05 <= xs[np.array(accs).argmax()] <= 0.95
    learn.dls = block.dataloaders(df, path=path, bs=4)
    learn.freeze()
    learn.fit_one_cycle(1, slice(lr / 2))
    Interpretation.from_learner(learn).plot_top_losses(4)
    test_dl = learn.dls.test_dl(pd.DataFrame({"image_name": ["train_1", "train_2"]}))
    preds, _ = learn.get_preds(dl=test_dl)
    labelled = [" ".join(learn.dls.vocab[i] for i, p in enumerate(pred) if p > 0.2) for pred in preds.numpy()]
    assert len(labelled) == 2
    learn.export("planet.pkl")
    names, decided, probs = learn.predict(df.iloc[0])
    assert len(names) == decided.sum()
    assert probs.shape == (3,)


def test_pets(pets: Path) -> None:
    path = pets
    fnames = get_image_files(path / "images")
    pat = r"^(.*)_\d+.jpg"
    ImageDataLoaders.from_name_re(
        path, fnames, pat, item_tfms=Resize(46), batch_tfms=aug_transforms(size=32), bs=8
    ).show_batch()
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=RandomSplitter(),
        get_y=Pipeline([using_attr(RegexLabeller(pat=r"^(.*)_\d+.jpg$"), "name")]),
        item_tfms=RandomResizedCrop(40, min_scale=0.3, ratio=(1.0, 1.0)),
        batch_tfms=[*aug_transforms(size=32, max_warp=0), Normalize.from_stats(*imagenet_stats)],
    )
    dls = block.dataloaders(path / "images", bs=8)
    assert len(dls.vocab) == dls.c == 4
    learn = vision_learner(dls, xresnet_small, metrics=error_rate)
    lrs = learn.lr_find(num_it=6, suggest_funcs=(minimum, steep, valley, slide))
    assert lrs.valley > 0
    learn.fine_tune(1, 3e-3, freeze_epochs=1)
    interp = ClassificationInterpretation.from_learner(learn)
    losses, idxs = interp.top_losses()
    assert len(dls.valid_ds) == len(losses) == len(idxs)
    interp.plot_top_losses(9, figsize=(15, 11))
    interp.plot_confusion_matrix(figsize=(4, 4), dpi=60)
    interp.print_classification_report()
    learn.recorder.plot_sched()
    learn.recorder.plot_lr_find()
    decided = learn.get_preds(dl=learn.dls.test_dl(fnames[:4]), with_decoded=True)[2]
    assert decided.shape == (4,)
    preds, targs = learn.tta()
    assert 0 <= accuracy(preds, targs) <= 1


def test_pets_by_a_transform_of_items_that_labels_and_opens(pets: Path) -> None:
    def resized_image(fn: Path, sz=32):
        x = Image.open(fn).convert("RGB").resize((sz, sz))
        return tensor(np.array(x)).permute(2, 0, 1).float() / 255.0

    class TitledImage(fastuple):
        def show(self, ctx=None, **kwargs):
            return show_titled_image(self, ctx=ctx, **kwargs)

    class PetTfm(ItemTransform):
        def setups(self, items):
            self.labeller = using_attr(RegexLabeller(pat=r"^(.*)_\d+.jpg$"), "name")
            self.vocab = sorted(set(map(self.labeller, items)))
            self.o2i = {name: number for number, name in enumerate(self.vocab)}

        def encodes(self, o):
            return (resized_image(o), self.o2i[self.labeller(o)])

        def decodes(self, x):
            return TitledImage(x[0], self.vocab[x[1]])

    items = get_image_files(pets / "images")
    tls = TfmdLists(items, [PetTfm], splits=RandomSplitter()(items))
    ax = show_at(tls.valid, 0)
    assert ax.get_title() == decode_at(tls.valid, 0)[1]
    x, y = tls.dataloaders(bs=4).one_batch()
    assert explode_types((x, y)) == {tuple: [Tensor, Tensor]}
    assert x.shape == (4, 3, 32, 32)


class SiameseImage(fastuple):
    def show(self, ctx=None, **kwargs):
        if len(self) > 2:
            img1, img2, similarity = self
        else:
            img1, img2 = self
            similarity = "Undetermined"
        if not isinstance(img1, Tensor):
            if img2.size != img1.size:
                img2 = img2.resize(img1.size)
            t1, t2 = tensor(img1), tensor(img2)
            t1, t2 = t1.permute(2, 0, 1), t2.permute(2, 0, 1)
        else:
            t1, t2 = img1, img2
        line = t1.new_zeros(t1.shape[0], t1.shape[1], 10)
        return show_image(torch.cat([t1, line, t2], dim=2), title=similarity, ctx=ctx, **kwargs)


class ImageTuple(fastuple):
    @classmethod
    def create(cls, fns):
        return cls(tuple(PILImage.create(f) for f in fns))

    def show(self, ctx=None, **kwargs):
        t1, t2 = self
        if not isinstance(t1, Tensor) or not isinstance(t2, Tensor) or t1.shape != t2.shape:
            return ctx
        line = t1.new_zeros(t1.shape[0], t1.shape[1], 10)
        return show_image(torch.cat([t1, line, t2], dim=2), ctx=ctx, **kwargs)


class SiameseModel(Module):
    def __init__(self, encoder, head):
        self.encoder, self.head = encoder, head
        self.seen = set()

    def forward(self, x):
        self.seen |= {type(part) for part in x}
        ftrs = torch.cat([self.encoder(x[0]), self.encoder(x[1])], dim=1)
        return self.head(ftrs)


def label_func(fname):
    return re.match(r"^(.*)_\d+.jpg$", fname.name).groups()[0]


@pytest.fixture
def open_functions() -> None:
    """What a program adds to `show_batch` and `show_results` is taken away again."""
    before = {name: dict(function._implementations) for name, function in OpenFunction.registry.items()}
    yield
    for name, known in before.items():
        function = OpenFunction.registry[name]
        function._implementations = known
        function._cache.clear()


def test_siamese_by_a_transform(pets: Path, open_functions: None) -> None:
    files = get_image_files(pets / "images")
    labels = sorted(set(map(label_func, files)))

    class SiameseTransform(Transform):
        def __init__(self, files, splits):
            self.splbl2files = [{l: [files[i] for i in s if label_func(files[i]) == l] for l in labels} for s in splits]  # noqa: E741
            self.valid = {files[i]: self._draw(files[i], 1) for i in splits[1]}

        def encodes(self, f):
            f2, same = self.valid.get(f, self._draw(f, 0))
            return SiameseImage(PILImage.create(f), PILImage.create(f2), int(same))

        def _draw(self, f, split=0):
            same = random.random() < 0.5
            cls = label_func(f)
            if not same:
                cls = random.choice([l for l in labels if l != cls and self.splbl2files[split][l]])  # noqa: E741
            return random.choice(self.splbl2files[split][cls]), same

    splits = RandomSplitter(seed=1)(files)
    tfm = SiameseTransform(files, splits)
    tfm(files[0]).show()
    small = ToTensor()(Resize(24)(tfm(files[0])))
    assert explode_types(small) == {SiameseImage: [TensorImage, TensorImage, int]}
    tls = TfmdLists(files, tfm, splits=splits)
    show_at(tls.valid, 0)
    dls = tls.dataloaders(
        after_item=[Resize(32), ToTensor], after_batch=[IntToFloatTensor, Normalize.from_stats(*imagenet_stats)], bs=4
    )
    assert explode_types(dls.one_batch()) == {SiameseImage: [TensorImage, TensorImage, Tensor]}

    @typedispatch
    def show_batch(x: SiameseImage, y, samples, ctxs=None, max_n=6, nrows=None, ncols=2, figsize=None, **kwargs):
        if figsize is None:
            figsize = (ncols * 6, max_n // ncols * 3)
        if ctxs is None:
            ctxs = get_grid(min(x[0].shape[0], max_n), nrows=None, ncols=ncols, figsize=figsize)
        for i, ctx in enumerate(ctxs):
            SiameseImage(x[0][i], x[1][i], ["Not similar", "Similar"][x[2][i].item()]).show(ctx=ctx)
        return ctxs

    assert {ax.get_title() for ax in dls.show_batch()} <= {"Not similar", "Similar"}

    class SiameseModel(Module):
        def __init__(self, encoder, head):
            self.encoder, self.head = encoder, head

        def forward(self, x1, x2):
            return self.head(torch.cat([self.encoder(x1), self.encoder(x2)], dim=1))

    def loss_func(out, targ):
        return CrossEntropyLossFlat()(out, targ.long())

    model = SiameseModel(create_body(xresnet_small(), cut=-4), create_head(192 * 2, 2, ps=0.5))
    learn = Learner(
        dls,
        model,
        loss_func=loss_func,
        splitter=lambda model: [params(model.encoder), params(model.head)],
        metrics=accuracy,
    )
    learn.freeze()
    learn.fit_one_cycle(1, 3e-3)
    seen = []

    @typedispatch
    def show_results(
        x: SiameseImage, y, samples, outs, ctxs=None, max_n=6, nrows=None, ncols=2, figsize=None, **kwargs
    ):
        if ctxs is None:
            ctxs = get_grid(min(x[0].shape[0], max_n), nrows=None, ncols=ncols, figsize=(ncols * 6, max_n // ncols * 3))
        for i, ctx in enumerate(ctxs):
            actual, found = (["Not similar", "Similar"][n] for n in (x[2][i].item(), y[2][i].argmax().item()))
            seen.append(x[0][i])
            SiameseImage(x[0][i], x[1][i], f"Actual: {actual} \n Prediction: {found}").show(ctx=ctx)

    learn.show_results()
    assert all(picture.min() >= 0 and picture.max() <= 1 for picture in seen)  # no longer normalised
    res = learn.predict(SiameseImage(PILImage.create(files[0]), PILImage.create(files[1])))
    assert res[2].shape == (2,)


def test_siamese_by_a_block(pets: Path, open_functions: None) -> None:
    files = get_image_files(pets / "images")
    labels = sorted(set(map(label_func, files)))
    splits = RandomSplitter(seed=1)(files)
    splits_sets = [{files[i] for i in split} for split in splits]
    splbl2files = [{l: [f for f in sorted(s) if label_func(f) == l] for l in labels} for s in splits_sets]  # noqa: E741

    def get_split(f):
        return 0 if f in splits_sets[0] else 1

    def splitter(items):
        def get_split_files(i):
            return [j for j, (f1, _, _) in enumerate(items) if get_split(f1) == i]

        return get_split_files(0), get_split_files(1)

    def draw_other(f):
        given, split = label_func(f), get_split(f)
        same = random.random() < 0.5
        other = given if same else random.choice([l for l in labels if l != given and splbl2files[split][l]])  # noqa: E741
        return random.choice(splbl2files[split][other]), same

    def get_tuples(files):
        return [[f, *draw_other(f)] for f in files]

    def get_x(t):
        return t[:2]

    def get_y(t):
        return t[2]

    def ImageTupleBlock():
        return TransformBlock(type_tfms=ImageTuple.create, batch_tfms=IntToFloatTensor)

    siamese = DataBlock(
        blocks=(ImageTupleBlock, CategoryBlock),
        get_items=get_tuples,
        get_x=get_x,
        get_y=get_y,
        splitter=splitter,
        item_tfms=Resize(32),
        batch_tfms=[Normalize.from_stats(*imagenet_stats)],
    )
    dls = siamese.dataloaders(files, bs=4)
    assert explode_types(dls.one_batch()) == {tuple: [{ImageTuple: [TensorImage, TensorImage]}, TensorCategory]}

    @typedispatch
    def show_batch(x: ImageTuple, y, samples, ctxs=None, max_n=6, nrows=None, ncols=2, figsize=None, **kwargs):
        if figsize is None:
            figsize = (ncols * 6, max_n // ncols * 3)
        if ctxs is None:
            ctxs = get_grid(min(len(samples), max_n), nrows=nrows, ncols=ncols, figsize=figsize)
        return show_batch[object](x, y, samples, ctxs=ctxs, max_n=max_n, **kwargs)

    assert {ax.get_title() for ax in dls.show_batch()} <= {"True", "False"}
    model = SiameseModel(create_body(xresnet_small(), cut=-4), create_head(192 * 2, 2, ps=0.5))

    def siamese_splitter(model):
        return [params(model.encoder), params(model.head)]

    learn = Learner(dls, model, loss_func=CrossEntropyLossFlat(), splitter=siamese_splitter, metrics=accuracy)
    learn.freeze()
    learn.lr_find(num_it=6)
    learn.fit_one_cycle(1, 3e-3)
    learn.unfreeze()
    learn.fit_one_cycle(1, slice(1e-6, 1e-4))
    assert model.seen == {Tensor}

    @typedispatch
    def show_results(x: ImageTuple, y, samples, outs, ctxs=None, max_n=6, nrows=None, ncols=2, figsize=None, **kwargs):
        if figsize is None:
            figsize = (ncols * 6, max_n // ncols * 3)
        if ctxs is None:
            ctxs = get_grid(min(x[0].shape[0], max_n), nrows=None, ncols=ncols, figsize=figsize)
        for i, ctx in enumerate(ctxs):
            title = f"Actual: {bool(y[i])} \n Prediction: {outs[i][0]}"
            SiameseImage(x[0][i], x[1][i], title).show(ctx=ctx)
        return ctxs

    assert all(ax.get_title().startswith("Actual") for ax in learn.show_results())
    Interpretation.from_learner(learn).plot_top_losses(3)
    pair = SiameseImage(PILImage.create(files[9]), PILImage.create(files[1]))
    for item in (pair, (files[9], files[1]), [files[9], files[1]]):
        name, decided, probs = learn.predict(item, rm_type_tfms=None)
        assert name == str(bool(decided))
        assert probs.shape == (2,)
