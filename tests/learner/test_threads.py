"""One loaded learner serves several threads at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, current_thread

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from laminar.learner import Learner, load_learner
from laminar.vision.augment import aug_transforms
from laminar.vision.crop import RandomResizedCrop
from laminar.vision.data import ImageDataLoaders
from laminar.vision.learner import vision_learner
from laminar.vision.models.xresnet import xresnet_small

N_THREADS = 8


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Learner, list[Path]]:
    path = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    files = [path / f"{label}_{i}.png" for label in ("cat", "dog") for i in range(12)]
    for file in files:
        Image.fromarray(generator.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(file)
    dls = ImageDataLoaders.from_name_re(
        path, files, r"^(.*)_", item_tfms=RandomResizedCrop(32), batch_tfms=aug_transforms(), bs=4, seed=1
    )
    file = vision_learner(dls, xresnet_small, lin_ftrs=[8], path=path).export("learner.laminar")
    return load_learner(file), files


def test_eight_threads_get_the_answers_that_one_gets(loaded: tuple[Learner, list[Path]]) -> None:
    learn, files = loaded
    expected = [learn.predict(file)[2] for file in files]
    modes = [module.training for module in learn.model.modules()]
    with ThreadPoolExecutor(N_THREADS) as threads:
        answers = list(threads.map(lambda file: learn.predict(file)[2], files * 4))
    assert all(torch.equal(answer, right) for answer, right in zip(answers, expected * 4, strict=True))
    assert [module.training for module in learn.model.modules()] == modes
    assert [callback.name for callback in learn.cbs] == ["recorder", "progress"]


class Meeting(nn.Module):
    "Lets nobody through before all threads are inside."

    def __init__(self, model: nn.Module, barrier: Barrier) -> None:
        super().__init__()
        self.model, self.barrier = model, barrier
        self.inside: set[str] = set()

    def forward(self, x: Tensor) -> Tensor:
        self.inside.add(current_thread().name)
        self.barrier.wait(timeout=30)
        return self.model(x)


def test_no_lock_is_held_while_the_model_works(loaded: tuple[Learner, list[Path]]) -> None:
    learn, files = loaded
    expected = [learn.predict(file)[2] for file in files[:N_THREADS]]
    model, learn.model = learn.model, Meeting(learn.model, Barrier(N_THREADS)).eval()
    try:
        with ThreadPoolExecutor(N_THREADS) as threads:
            answers = list(threads.map(lambda file: learn.predict(file)[2], files[:N_THREADS]))
        assert len(learn.model.inside) == N_THREADS
    finally:
        learn.model = model
    assert all(torch.equal(answer, right) for answer, right in zip(answers, expected, strict=True))


def test_threads_leave_the_random_generators_of_the_process_alone(loaded: tuple[Learner, list[Path]]) -> None:
    learn, files = loaded
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    with ThreadPoolExecutor(N_THREADS) as threads:
        list(threads.map(learn.predict, files))
    assert torch.equal(torch.rand(3), expected)
