"""Nodes that bring a MODEL, its sampler or its conditioning."""
