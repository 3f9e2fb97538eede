"""Quality against the number of network calls: which settings are good enough at 20 calls."""
