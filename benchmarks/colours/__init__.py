"""What holds the colours of a picture over many rounds, and how well."""
