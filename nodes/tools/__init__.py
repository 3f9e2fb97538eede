"""Nodes that prepare, compare and report."""
