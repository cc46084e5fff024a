"""Addresses of well-known data sets, and what is known of the files there before they are fetched.

Sizes and checksums are those that fastai publishes with its list of data sets (an MD5 of the first MiB); where its
lists of different years disagree, none is given. That of MovieLens is GroupLens's own, the SHA-256 of Imagenette is the
one that TensorFlow Datasets records. MD5 tells a damaged file from a whole one; it is no defence against somebody who
means harm: archives are unpacked as a stranger's (`archives.py`).
"""

from __future__ import annotations

from types import MappingProxyType

from laminar.data.transfer import FileFacts

__all__ = ["URLs", "known_files"]


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


known_files = MappingProxyType(
    {
        URLs.ADULT_SAMPLE: FileFacts(968212, md5_start="64eb9d7e23732de0b138f7372d15492f"),
        URLs.BIWI_SAMPLE: FileFacts(593774, md5_start="9179f4c1435f4b291f0d5b072d60c2c9"),
        URLs.CIFAR: FileFacts(168168549, md5_start="a5f8c31371b63a406b23368042812d3c"),
        URLs.COCO_SAMPLE: FileFacts(3245877008, md5_start="006cd55d633d94b36ecaf661467830ec"),
        URLs.COCO_TINY: FileFacts(801038, md5_start="367467451ac4fba79a647753c2c66d3a"),
        URLs.HUMAN_NUMBERS: FileFacts(30252, md5_start="8a19c3bfa2bcb08cd787e741261f3ea2"),
        URLs.IMDB: FileFacts(144440600, md5_start="90f9b1c4ff43a90d67553c9240dc0249"),
        URLs.IMDB_SAMPLE: FileFacts(571827, md5_start="0842e61a9867caa2e6fbdb14fa703d61"),
        URLs.ML_SAMPLE: FileFacts(51790, md5_start="10961384dfe7c5181460390a460c1f77"),
        URLs.ML_100k: FileFacts(4924029, md5="0e33842e24a9c977be4e0107933c0723"),
        URLs.MNIST_SAMPLE: FileFacts(3214948, md5_start="2dbc7ec6f9259b583af0072c55816a88"),
        URLs.MNIST_TINY: FileFacts(342207, md5_start="56143e8f24db90d925d82a5a74141875"),
        URLs.MNIST_VAR_SIZE_TINY: FileFacts(565372, md5_start="b71a930f4eb744a4a143a6c7ff7ed67f"),
        URLs.PLANET_SAMPLE: FileFacts(15523994, md5_start="8bfb174b3162f07fbde09b54555bdb00"),
        URLs.PLANET_TINY: FileFacts(997569, md5_start="490873c5683454d4b2611fb1f00a68a9"),
        URLs.IMAGENETTE: FileFacts(1557161267, md5_start="2c774ecb40005b35d7937d50f5d42336"),
        URLs.IMAGENETTE_160: FileFacts(99003388, md5_start="c475f8f7617a200ba35b9facc48443c3"),
        URLs.IMAGENETTE_320: FileFacts(
            341663724,
            md5_start="1f1f74f133caff120e575856659b87a2",
            sha256="569b4497c98db6dd29f335d1f109cf315fe127053cedf69010d047f0188e158c",
        ),
        URLs.IMAGEWOOF: FileFacts(1343715595, md5_start="2cc1c1e36e20cb6fd24ffb978edcb487"),
        URLs.IMAGEWOOF_160: FileFacts(92612825, md5_start="3559b194123981a540b87132dbda412f"),
        URLs.IMAGEWOOF_320: FileFacts(328387740, md5_start="7a1fd92672a559a85de76e4810a20c21"),
        URLs.IMAGEWANG: FileFacts(2900347689, md5_start="2b7776bac0fc95db72ac8a3b091a3e30"),
        URLs.IMAGEWANG_160: FileFacts(191498213, md5_start="dab9b1d97b95574ac64122a19bc74ca1"),
        URLs.IMAGEWANG_320: FileFacts(669826647, md5_start="fff8ac034d60e14fcf7789845e625263"),
        URLs.DOGS: FileFacts(839285364, md5_start="3e483c8d6ef2175e9d395a6027eb92b7"),
        URLs.CALTECH_101: FileFacts(131740031, md5_start="d673425306e98ee4619fcdeef8a0e876"),
        URLs.CARS: FileFacts(1957803273, md5_start="9045d6673c9ced0889f41816f6bf2f9f"),
        URLs.CIFAR_100: FileFacts(169168619, md5_start="e5e65dcb54b9d3913f7b8a9ad6607e62"),
        URLs.CUB_200_2011: FileFacts(1150585339, md5_start="d2acaa99439dff0483c7bbac1bfe2a92"),
        URLs.FLOWERS: FileFacts(345236087, md5_start="5666e01c1311b4c67fcf20d2b3850a88"),
        URLs.FOOD: FileFacts(5686607260, md5_start="1a540ebf1fb40b2bf3f2294234ba7907"),
        URLs.MNIST: FileFacts(15683414, md5_start="03639f83c4e3d19e0a3a53a8a997c487"),
        URLs.PETS: FileFacts(811706944, md5_start="e4db5c768afd933bb91f5f594d7417a4"),
        URLs.AG_NEWS: FileFacts(11784419, md5_start="b86f328f4dbd072486591cb7a5644dcd"),
        URLs.AMAZON_REVIEWS_POLARITY: FileFacts(688339454, md5_start="676f7e5208ec343c8274b4bb085bc938"),
        URLs.DBPEDIA: FileFacts(68341743, md5_start="239c7837b9e79db34486f3de6a00e38e"),
        URLs.MT_ENG_FRA: FileFacts(2598183296, md5_start="69573f58e2c850b90f2f954077041d8c"),
        URLs.SOGOU_NEWS: FileFacts(384269937, md5_start="950f1366d33be52f5b944f8a8b680902"),
        URLs.WIKITEXT: FileFacts(190200704, md5_start="2dd8cf8693b3d27e9c8f0a7df054b2c7"),
        URLs.WIKITEXT_TINY: FileFacts(4070055, md5_start="2a82d47a7b85c8b6a8e068dc4c1d37e7"),
        URLs.YAHOO_ANSWERS: FileFacts(319476345, md5_start="0632a0d236ef3a529c0fa4429b339f68"),
        URLs.YELP_REVIEWS: FileFacts(196146755, md5_start="1efd84215ea3e30d90e4c33764b889db"),
        URLs.YELP_REVIEWS_POLARITY: FileFacts(166373201, md5_start="48c8451c1ad30472334d856b5d294807"),
        URLs.BIWI_HEAD_POSE: FileFacts(452316199, md5_start="00f4ccf66e8cba184bc292fdc08fb237"),
        URLs.CAMVID: FileFacts(598913237, md5_start="648371e4f3a833682afb39b08a3ce2aa"),
        URLs.CAMVID_TINY: FileFacts(2314212, md5_start="2cf6daf91b7a2083ecfa3e9968e9d915"),
        URLs.LSUN_BEDROOMS: FileFacts(4579163978, md5_start="35d84f38f8a15fe47e66e460c8800d68"),
        URLs.PASCAL_2007: FileFacts(1637796771, md5_start="433b4706eb7c42bd74e7f784e3fdf244"),
        URLs.PASCAL_2012: FileFacts(2618908000, md5_start="d90e29e54a4c76c0c6fba8355dcbaca5"),
        URLs.MACAQUES: FileFacts(131604586, md5_start="44fec3950e61d6a898f16fe30bc9c88d"),
        URLs.SIIM_SMALL: FileFacts(33276453, md5_start="2f88ac350dce1d971ecbb5ec722da75f"),
        URLs.TCGA_SMALL: FileFacts(14744474, md5_start="3ceffe7cf522cb1c60e93dc555d8817f"),
        URLs.OPENAI_TRANSFORMER: FileFacts(432848315, md5_start="024b0d2203ebb0cd1fc64b27cf8af18e"),
    }
)
