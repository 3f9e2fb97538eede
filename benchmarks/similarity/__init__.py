"""What a similarity means, measured: the table that the dial is read from, and its check."""
