"""Pictures read, written and drawn."""
