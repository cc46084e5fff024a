"""Programs on the lower storeys, as fastai's tutorials teach to write them: they have to run as they are."""

import random
from pathlib import Path

from torch.utils.data import TensorDataset

from laminar.vision.all import *


def test_datasets_by_hand(pets: Path) -> None:
    files = get_image_files(pets / "images")
    labeller = using_attr(RegexLabeller(pat=r"^(.*)_\d+.jpg$"), "name")
    dsets = Datasets(files, [[PILImage.create], [labeller, Categorize()]], splits=RandomSplitter(seed=1)(files))
    item_tfms = [ToTensor(), Resize(32)]
    batch_tfms = [IntToFloatTensor(), Normalize.from_stats(*imagenet_stats)]
    dls = dsets.dataloaders(after_item=item_tfms, after_batch=batch_tfms, bs=8)
    dls.show_batch()
    x, y = dsets.train[0]
    assert dsets.decode((x, y))[1] == dsets.vocab[y]
    dsets.show(dsets.train[0])
    assert dls.c == 4


def test_own_transform_with_setup_and_decode(pets: Path) -> None:
    class NormalizeMean(Transform):
        def setups(self, items):
            self.mean = sum(items) / len(items)

        def encodes(self, x):
            return x - self.mean

        def decodes(self, x):
            return x + self.mean

    tls = TfmdLists([1.0, 2.0, 3.0, 6.0], NormalizeMean(), splits=[[0, 1, 2], [3]])
    assert tls.train[0] == -1
    assert tls.valid[0] == 4
    assert tls.decode(tls.valid[0]) == 6


def test_siamese_pictures_with_an_own_tuple_transform_model_and_way_to_show(pets: Path) -> None:
    files = get_image_files(pets / "images")

    class SiameseImage(TitledTuple):
        def show(self, ctx=None, **kwargs):
            img1, img2, same_breed = self
            if not isinstance(img1, Tensor):
                t1, t2 = ToTensor()(img1), ToTensor()(img2)
            else:
                t1, t2 = img1, img2
            line = t1.new_zeros(t1.shape[0], t1.shape[1], 10)
            return show_image(torch.cat([t1, line, t2], dim=2), title=same_breed, ctx=ctx, **kwargs)

    def label_func(fname):
        return fname.name.rsplit("_", 1)[0]

    class SiameseTransform(Transform):
        def __init__(self, files, label_func, splits):
            self.labels = list({label_func(f) for f in files})
            self.lbl2files = {lab: [f for f in files if label_func(f) == lab] for lab in self.labels}
            self.label_func = label_func
            self.valid = {f: self._draw(f) for f in [files[i] for i in splits[1]]}

        def encodes(self, f):
            f2, same = self.valid.get(f, self._draw(f))
            img1, img2 = PILImage.create(f), PILImage.create(f2)
            return SiameseImage((img1, img2, int(same)))

        def _draw(self, f):
            same = random.random() < 0.5
            cls = self.label_func(f)
            if not same:
                cls = random.choice([lab for lab in self.labels if lab != cls])
            return random.choice(self.lbl2files[cls]), same

    splits = RandomSplitter(seed=3)(files)
    tfm = SiameseTransform(files, label_func, splits)
    tls = TfmdLists(files, tfm, splits=splits)
    dls = tls.dataloaders(
        after_item=[Resize(32), ToTensor], after_batch=[IntToFloatTensor, Normalize.from_stats(*imagenet_stats)], bs=8
    )
    assert len(dls.one_batch()) == 3
    dls.show_batch()

    class SiameseModel(Module):
        def __init__(self, encoder, head):
            self.encoder, self.head = encoder, head

        def forward(self, x1, x2):
            return self.head(torch.cat([self.encoder(x1), self.encoder(x2)], dim=1))

    encoder = create_body(resnet18(), cut=-2)
    head = create_head(512 * 2, 2, ps=0.5)
    model = SiameseModel(encoder, head)

    def siamese_splitter(model):
        return [params(model.encoder), params(model.head)]

    def loss_func(out, targ):
        return CrossEntropyLossFlat()(out, targ.long())

    learn = Learner(dls, model, loss_func=loss_func, splitter=siamese_splitter, metrics=accuracy)
    learn.freeze()
    learn.fit_one_cycle(1, 3e-3)
    learn.unfreeze()
    learn.fit_one_cycle(1, slice(1e-6, 1e-4))
    preds, targs = learn.get_preds()
    assert preds.shape == (len(splits[1]), 2)
    assert targs.shape == (len(splits[1]),)


def test_digits_from_raw_tensors_with_everything_by_hand() -> None:
    train_x, train_y = torch.randn(64, 28 * 28), torch.randint(0, 2, (64, 1))
    valid_x, valid_y = torch.randn(32, 28 * 28), torch.randint(0, 2, (32, 1))

    def mnist_loss(predictions, targets):
        predictions = predictions.sigmoid()
        return torch.where(targets == 1, 1 - predictions, predictions).mean()

    def batch_accuracy(xb, yb):
        return ((xb.sigmoid() > 0.5) == yb).float().mean()

    dl = DataLoader(list(zip(train_x, train_y, strict=True)), batch_size=16)
    valid_dl = DataLoader(list(zip(valid_x, valid_y, strict=True)), batch_size=16)
    xb, yb = next(iter(dl))
    assert (xb.shape, yb.shape) == ((16, 784), (16, 1))
    dls = DataLoaders(dl, valid_dl)
    learn = Learner(dls, nn.Linear(28 * 28, 1), opt_func=SGD, loss_func=mnist_loss, metrics=batch_accuracy)
    learn.fit(2, lr=1.0)
    simple_net = nn.Sequential(nn.Linear(28 * 28, 30), nn.ReLU(), nn.Linear(30, 1))
    learn = Learner(dls, simple_net, opt_func=SGD, loss_func=mnist_loss, metrics=batch_accuracy)
    learn.fit(3, 0.1)
    assert [len(row) for row in learn.recorder.values] == [3, 3, 3]
    assert 0 <= learn.recorder.values[-1][2] <= 1
    assert learn.model[0].weight.shape == (30, 784)


def test_coming_from_plain_pytorch() -> None:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.fc1 = nn.Conv2d(1, 4, 3, 2), nn.Linear(4 * 13 * 13, 10)

        def forward(self, x):
            return F.log_softmax(self.fc1(F.relu(self.conv1(x)).flatten(1)), dim=1)

    digits = TensorDataset(torch.randn(48, 1, 28, 28), torch.randint(0, 10, (48,)))
    train_loader = torch.utils.data.DataLoader(digits, batch_size=16, shuffle=True)
    test_loader = torch.utils.data.DataLoader(digits, batch_size=16)
    data = DataLoaders(train_loader, test_loader)
    learn = Learner(data, Net(), loss_func=F.nll_loss, opt_func=Adam, metrics=accuracy)
    learn.fit_one_cycle(1, 1e-2)
    opt_func = partial(OptimWrapper, opt=torch.optim.AdamW)
    learn = Learner(data, Net(), loss_func=F.nll_loss, opt_func=opt_func, metrics=accuracy)
    learn.fit(1, 1e-3)
    assert learn.get_preds()[0].shape == (48, 10)


def test_callbacks_of_the_users_own() -> None:
    class TerminateOnNaN(Callback):
        run_before = Recorder

        def after_batch(self):
            if torch.isinf(self.loss) or torch.isnan(self.loss):
                raise CancelFitException

    class RNNRegularizer(Callback):
        def __init__(self, alpha=0.0):
            self.alpha = alpha

        def after_pred(self):
            self.seen = self.pred.detach()

        def after_loss(self):
            if not self.training:
                return
            if self.alpha:
                self.learn.loss_grad += self.alpha * self.pred.float().pow(2).mean()

    class ModelResetter(Callback):
        def before_train(self):
            self.learn.was_reset = True

        def before_validate(self):
            self.learn.was_reset = True

    data = TensorDataset(torch.randn(32, 5), torch.randn(32, 1))
    loader = torch.utils.data.DataLoader(data, batch_size=8)
    dls = DataLoaders(loader, loader)
    cbs = [TerminateOnNaN(), RNNRegularizer(alpha=2.0), ModelResetter]
    learn = Learner(dls, nn.Linear(5, 1), loss_func=MSELossFlat(), cbs=cbs, metrics=[mae, rmse])
    with learn.no_bar(), learn.no_logging():
        learn.fit(2, 1e-2, cbs=GradientClip(1.0))
    assert learn.was_reset
    assert learn.rnn_regularizer.alpha == 2.0
    assert len(learn.recorder.losses) == 8
    with learn.removed_cbs(learn.rnn_regularizer), learn.added_cbs(GradientAccumulation(16)), learn.no_bar():
        learn.fit(1)


def test_synthetic_regression_of_the_library_itself() -> None:
    learn = synth_learner(n_trn=5)
    start = learn.validate()[0]
    learn.fit(5, lr=0.1)
    assert learn.validate()[0] < start
