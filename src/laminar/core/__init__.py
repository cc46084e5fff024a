"""Storey 1: typed tensors, dispatch, `Transform` and `Pipeline`, addressed randomness, showing, errors."""
