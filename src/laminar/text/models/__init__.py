"""Networks for texts: encoders (AWD-LSTM, QRNN, Transformer), and what makes language models and classifiers of them."""
