"""Nodes that put a method of guidance on a MODEL."""
