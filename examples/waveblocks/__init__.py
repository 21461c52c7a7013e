"""The experiments of Page and Favaro (2020): truths, models, fits and pictures."""
