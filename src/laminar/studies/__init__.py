"""Experiments that answer a question about training, written so that others can run them again and go on from there."""
