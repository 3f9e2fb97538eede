"""How good, how varied and how faithful samples are."""
