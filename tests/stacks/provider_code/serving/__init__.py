"""A stand-in for the serving package: it fulfils the contract towards the provider and serves no model."""
