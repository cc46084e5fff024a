"""From what is on disk to batches, and back: sources, splits, labels, data sets, loaders."""

from laminar.data.archives import ExtractLimits
from laminar.data.bad_items import BadItem
from laminar.data.balanced_splitters import GroupedSplitter, StratifiedSplitter
from laminar.data.block import DataBlock, DataBlockOptions
from laminar.data.blocks import CategoryBlock, MultiCategoryBlock, RegressionBlock, TransformBlock
from laminar.data.checking.examine import Facts, Surroundings, examine
from laminar.data.checking.leaks import Leak
from laminar.data.checking.report import CheckReport, Finding
from laminar.data.collation import collate, uncollate
from laminar.data.datasets import Datasets
from laminar.data.external import untar_data
from laminar.data.fetching import SkipItemException
from laminar.data.foreign import ForeignLoader
from laminar.data.inference import inference_loaders
from laminar.data.known import URLs
from laminar.data.labels import AttrGetter, ColReader, ItemGetter, RegexLabeller, parent_label, using_attr
from laminar.data.lists import TfmdLists, decode_at, show_at
from laminar.data.loader import DataLoader, TfmdDL
from laminar.data.loader_options import LoaderOptions
from laminar.data.loaders import DataLoaders
from laminar.data.normalize import Normalize, broadcast_vec
from laminar.data.options import LoadersOptions
from laminar.data.orders import PartialDL, SortedDL, WeightedDL
from laminar.data.outputs import get_c
from laminar.data.sources import (
    FileGetter,
    ImageGetter,
    get_files,
    get_image_files,
    get_text_files,
    image_extensions,
)
from laminar.data.splitters import (
    ColSplitter,
    EndSplitter,
    FileSplitter,
    FuncSplitter,
    GrandparentSplitter,
    IndexSplitter,
    MaskSplitter,
    RandomSplitter,
    RandomSubsetSplitter,
    TrainTestSplitter,
)
from laminar.data.streams import StreamDL
from laminar.data.transfer import FileFacts, download
from laminar.data.transforms import (
    Categorize,
    EncodedMultiCategorize,
    Getter,
    IntToFloatTensor,
    MultiCategorize,
    OneHotEncode,
    RegressionSetup,
    ToTensor,
)
from laminar.data.vocab import CategoryMap

__all__ = [
    "get_files",
    "inference_loaders",
    "get_image_files",
    "get_text_files",
    "image_extensions",
    "FileGetter",
    "ImageGetter",
    "RandomSplitter",
    "TrainTestSplitter",
    "IndexSplitter",
    "EndSplitter",
    "GrandparentSplitter",
    "FuncSplitter",
    "MaskSplitter",
    "FileSplitter",
    "ColSplitter",
    "RandomSubsetSplitter",
    "StratifiedSplitter",
    "GroupedSplitter",
    "parent_label",
    "RegexLabeller",
    "ColReader",
    "ItemGetter",
    "AttrGetter",
    "using_attr",
    "CategoryMap",
    "Getter",
    "Categorize",
    "MultiCategorize",
    "OneHotEncode",
    "EncodedMultiCategorize",
    "RegressionSetup",
    "ToTensor",
    "IntToFloatTensor",
    "Normalize",
    "broadcast_vec",
    "TfmdLists",
    "Datasets",
    "collate",
    "uncollate",
    "DataLoader",
    "TfmdDL",
    "WeightedDL",
    "PartialDL",
    "SortedDL",
    "StreamDL",
    "LoaderOptions",
    "ForeignLoader",
    "SkipItemException",
    "DataLoaders",
    "BadItem",
    "CheckReport",
    "Finding",
    "Leak",
    "Facts",
    "Surroundings",
    "examine",
    "LoadersOptions",
    "decode_at",
    "get_c",
    "show_at",
    "TransformBlock",
    "CategoryBlock",
    "MultiCategoryBlock",
    "RegressionBlock",
    "DataBlock",
    "DataBlockOptions",
    "untar_data",
    "URLs",
    "download",
    "FileFacts",
    "ExtractLimits",
]
