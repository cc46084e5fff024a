"""Networks for texts: encoders, and what makes language models and classifiers of them."""
