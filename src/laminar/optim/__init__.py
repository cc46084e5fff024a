"""Optimisers (torch's own, under fastai's names) and the parameter groups they work on."""

from laminar.optim.foreach import ForeachOptimizer
from laminar.optim.groups import (
    HyperSetter,
    Splitter,
    bn_types,
    decay_groups,
    get_hyper,
    hyper_names,
    layer_groups,
    match_layout,
    n_layer_groups,
    norm_bias_params,
    norm_types,
    set_hyper,
    spread,
    trainable_params,
)
from laminar.optim.lamb import Lamb
from laminar.optim.larc import Larc
from laminar.optim.lion import Lion
from laminar.optim.lookahead import Lookahead, ranger
from laminar.optim.muon import Muon
from laminar.optim.optimizers import SGD, Adam, DecoupledRMSprop, DecoupledSGD, OptimWrapper, RMSProp
from laminar.optim.qhadam import QHAdam
from laminar.optim.radam import CalibratedRAdam, RAdam

__all__ = [
    "Adam",
    "SGD",
    "RMSProp",
    "RAdam",
    "Lamb",
    "Larc",
    "QHAdam",
    "Lion",
    "Muon",
    "Lookahead",
    "ranger",
    "CalibratedRAdam",
    "ForeachOptimizer",
    "OptimWrapper",
    "DecoupledSGD",
    "DecoupledRMSprop",
    "Splitter",
    "trainable_params",
    "layer_groups",
    "decay_groups",
    "n_layer_groups",
    "hyper_names",
    "get_hyper",
    "set_hyper",
    "HyperSetter",
    "spread",
    "match_layout",
    "bn_types",
    "norm_bias_params",
    "norm_types",
]
