"""The Tuner component: a small search per model, of the same size for each, on the validation days."""
