"""`untar_data`: data sets from the net, from an archive at hand, or made here; and the addresses of well-known ones."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from laminar.core.errors import DataError, suggest
from laminar.data.archives import ExtractLimits, archive_stem, extract, is_archive
from laminar.data.cache import cache_folder
from laminar.data.glyphs import glyph_dataset
from laminar.data.transfer import download, locked

__all__ = ["URLs", "untar_data"]

_MADE_HERE = "laminar:"
_ORIGIN = ".origin.json"  # in every unpacked folder: what it was unpacked from


class URLs:
    """Addresses of well-known data sets, for `untar_data`. What begins with ``laminar:`` is made here, offline."""

    GLYPHS = "laminar:glyphs"
    GLYPHS_PRETRAIN = "laminar:glyphs_pretrain"
    GLYPH_SCENES = "laminar:glyph_scenes"
    CLOTHING = "https://github.com/alexeygrigorev/clothing-dataset-small/archive/11961516512414bf9f6c150a832cfd21b54a6b54.tar.gz"

    S3 = "https://s3.amazonaws.com/fast-ai-"
    URL = f"{S3}sample/"
    S3_IMAGE = f"{S3}imageclas/"
    S3_IMAGELOC = f"{S3}imagelocal/"
    S3_NLP = f"{S3}nlp/"
    S3_COCO = f"{S3}coco/"
    S3_MODEL = f"{S3}modelzoo/"

    ADULT_SAMPLE = f"{URL}adult_sample.tgz"
    BIWI_SAMPLE = f"{URL}biwi_sample.tgz"
    CIFAR = f"{URL}cifar10.tgz"
    COCO_SAMPLE = f"{S3_COCO}coco_sample.tgz"
    COCO_TINY = f"{S3_COCO}coco_tiny.tgz"
    HUMAN_NUMBERS = f"{URL}human_numbers.tgz"
    IMDB = f"{S3_NLP}imdb.tgz"
    IMDB_SAMPLE = f"{URL}imdb_sample.tgz"
    ML_SAMPLE = f"{URL}movie_lens_sample.tgz"
    ML_100k = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
    MNIST_SAMPLE = f"{URL}mnist_sample.tgz"
    MNIST_TINY = f"{URL}mnist_tiny.tgz"
    MNIST_VAR_SIZE_TINY = f"{S3_IMAGE}mnist_var_size_tiny.tgz"
    PLANET_SAMPLE = f"{URL}planet_sample.tgz"
    PLANET_TINY = f"{URL}planet_tiny.tgz"
    IMAGENETTE = f"{S3_IMAGE}imagenette2.tgz"
    IMAGENETTE_160 = f"{S3_IMAGE}imagenette2-160.tgz"
    IMAGENETTE_320 = f"{S3_IMAGE}imagenette2-320.tgz"
    IMAGEWOOF = f"{S3_IMAGE}imagewoof2.tgz"
    IMAGEWOOF_160 = f"{S3_IMAGE}imagewoof2-160.tgz"
    IMAGEWOOF_320 = f"{S3_IMAGE}imagewoof2-320.tgz"
    IMAGEWANG = f"{S3_IMAGE}imagewang.tgz"
    IMAGEWANG_160 = f"{S3_IMAGE}imagewang-160.tgz"
    IMAGEWANG_320 = f"{S3_IMAGE}imagewang-320.tgz"
    DOGS = f"{URL}dogscats.tgz"

    CALTECH_101 = f"{S3_IMAGE}caltech_101.tgz"
    CARS = f"{S3_IMAGE}stanford-cars.tgz"
    CIFAR_100 = f"{S3_IMAGE}cifar100.tgz"
    CUB_200_2011 = f"{S3_IMAGE}CUB_200_2011.tgz"
    FLOWERS = f"{S3_IMAGE}oxford-102-flowers.tgz"
    FOOD = f"{S3_IMAGE}food-101.tgz"
    MNIST = f"{S3_IMAGE}mnist_png.tgz"
    PETS = f"{S3_IMAGE}oxford-iiit-pet.tgz"

    AG_NEWS = f"{S3_NLP}ag_news_csv.tgz"
    AMAZON_REVIEWS = f"{S3_NLP}amazon_review_full_csv.tgz"
    AMAZON_REVIEWS_POLARITY = f"{S3_NLP}amazon_review_polarity_csv.tgz"
    DBPEDIA = f"{S3_NLP}dbpedia_csv.tgz"
    MT_ENG_FRA = f"{S3_NLP}giga-fren.tgz"
    SOGOU_NEWS = f"{S3_NLP}sogou_news_csv.tgz"
    WIKITEXT = f"{S3_NLP}wikitext-103.tgz"
    WIKITEXT_TINY = f"{S3_NLP}wikitext-2.tgz"
    YAHOO_ANSWERS = f"{S3_NLP}yahoo_answers_csv.tgz"
    YELP_REVIEWS = f"{S3_NLP}yelp_review_full_csv.tgz"
    YELP_REVIEWS_POLARITY = f"{S3_NLP}yelp_review_polarity_csv.tgz"

    BIWI_HEAD_POSE = f"{S3_IMAGELOC}biwi_head_pose.tgz"
    CAMVID = f"{S3_IMAGELOC}camvid.tgz"
    CAMVID_TINY = f"{URL}camvid_tiny.tgz"
    LSUN_BEDROOMS = f"{S3_IMAGE}bedroom.tgz"
    PASCAL_2007 = f"{S3_IMAGELOC}pascal_2007.tgz"
    PASCAL_2012 = f"{S3_IMAGELOC}pascal_2012.tgz"

    MACAQUES = "https://storage.googleapis.com/ml-animal-sounds-datasets/macaques.zip"
    ZEBRA_FINCH = "https://storage.googleapis.com/ml-animal-sounds-datasets/zebra_finch.zip"
    SIIM_SMALL = f"{S3_IMAGELOC}siim_small.tgz"
    TCGA_SMALL = f"{S3_IMAGELOC}tcga_small.tgz"

    OPENAI_TRANSFORMER = f"{S3_MODEL}transformer.tgz"
    WT103_FWD = f"{S3_MODEL}wt103-fwd.tgz"
    WT103_BWD = f"{S3_MODEL}wt103-bwd.tgz"


def untar_data(
    url: str | Path,
    archive: str | Path | None = None,
    data: str | Path | None = None,
    *,
    force_download: bool = False,
    base: str | Path | None = None,
    sha256: str | None = None,
    limits: ExtractLimits | None = None,
    show_progress: bool = True,
) -> Path:
    """Bring a data set to this machine, once, and return its folder.

    A folder that holds the archive's files appears only when all of them are there.

    Args:
        url: an http(s) or file address of an archive (tar, tgz, zip, ...), the path of one, a folder (returned as it
            is), or one of `URLs`.
        archive: folder for the fetched archive; None for ``archive`` in `base`.
        data: folder in which the data set's folder is made; None for ``data`` in `base`.
        force_download: fetch and unpack anew.
        base: where both are kept; None for laminar's cache (environment variable ``LAMINAR_HOME``).
        sha256: checksum of the archive, where it is known.
        limits: what the archive may come to when unpacked.
        show_progress: show a progress bar while fetching.

    Raises:
        DataError: it cannot be fetched, is damaged, or tries to write where it must not.
    """
    text = str(url)
    if text.startswith(_MADE_HERE):
        return glyph_dataset(text.removeprefix(_MADE_HERE))
    root = cache_folder() if base is None else Path(base)
    folder = root / "data" if data is None else Path(data)
    scheme = urlsplit(text).scheme
    if scheme in ("http", "https"):
        name = _name_of(text)
        target = _target(folder, archive_stem(name), {"url": text})
        if target.exists() and not force_download:
            return target
        kept = (root / "archive" if archive is None else Path(archive)) / f"{_digest(text)}-{name}"
        if force_download:
            kept.unlink(missing_ok=True)
        download(text, kept, sha256=sha256, show_progress=show_progress)
        return _unpack(kept, target, {"url": text}, limits, force_download)
    return _from_disk(_local_path(text, scheme), folder, force_download, limits)


def _local_path(text: str, scheme: str) -> Path:
    if scheme == "file":
        return Path(url2pathname(urlsplit(text).path))
    if "://" in text:
        raise DataError(f"{text}: addresses that begin with {scheme}:// cannot be fetched; http, https and file can")
    return Path(text).expanduser()


def _from_disk(path: Path, folder: Path, force: bool, limits: ExtractLimits | None) -> Path:
    if path.is_dir():
        return path
    if not path.exists():
        near = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        known = suggest(str(path), [name for name in vars(URLs) if name.isupper()])
        raise DataError(f"{path}: there is no such file or folder.{suggest(path.name, near) or known}")
    if not is_archive(path):
        raise DataError(f"{path}: this is no archive (tar, tgz, zip, ...); read it as it is, it needs no unpacking")
    state = path.stat()
    origin = {"file": str(path.resolve()), "size": state.st_size, "changed": state.st_mtime_ns}
    return _unpack(path, _target(folder, archive_stem(path.name), origin), origin, limits, force)


def _unpack(archive: Path, target: Path, origin: dict[str, Any], limits: ExtractLimits | None, force: bool) -> Path:
    """Unpack into a folder beside `target`, then put it there in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target):
        if target.exists() and _origin_of(target) == origin and not force:
            return target
        unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            inside = unfinished / "content"
            inside.mkdir()
            extract(archive, inside, limits)
            entries = list(inside.iterdir())
            whole = entries[0] if len(entries) == 1 and entries[0].is_dir() else inside
            (whole / _ORIGIN).write_text(json.dumps(origin), encoding="utf-8")
            if target.exists():
                os.replace(target, unfinished / "outdated")
            os.replace(whole, target)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return target


def _target(folder: Path, name: str, origin: dict[str, Any]) -> Path:
    """The folder for a data set: its own name, unless another data set of that name is there."""
    plain = folder / name
    there = _origin_of(plain)
    key = "url" if "url" in origin else "file"
    if not plain.exists() or (there is not None and there.get(key) == origin[key]):
        return plain
    return folder / f"{name}-{_digest(str(origin[key]))}"


def _origin_of(folder: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((folder / _ORIGIN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _name_of(url: str) -> str:
    """A file's name for what an address gives; a GitHub archive is called after its repository."""
    parts = [unquote(part) for part in urlsplit(url).path.split("/") if part]
    name = parts[-1] if parts else urlsplit(url).netloc
    if len(parts) > 3 and parts[2] == "archive":
        ending = name[len(archive_stem(name)) :]
        name = f"{parts[1]}{ending}"
    return name.replace("\\", "_").replace(":", "_")
