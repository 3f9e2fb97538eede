"""How speed is measured: ratios of two things timed in turn, in one run. ``make bench``."""
