"""Real multilingual data sets made from packages, without a model hub."""
