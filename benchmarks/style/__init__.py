"""Layout of one picture and style of another: how far each is followed."""
