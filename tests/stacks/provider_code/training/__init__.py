"""A stand-in for the training package: it fulfils the contract of a job and trains nothing."""
