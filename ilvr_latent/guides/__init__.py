"""Methods of guidance: one paper, one file."""
