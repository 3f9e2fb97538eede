"""The forward process, the samplers, and the shape that every method of guidance has."""
