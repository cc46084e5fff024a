"""Layered deep-learning training: typed data, one loop, small callbacks, applications that compose them.

Importing the package loads nothing heavy; import the storey you need, for example
``from laminar.vision.all import *`` or ``from laminar.learner import Learner``.
"""

__version__ = "0.1.0"
