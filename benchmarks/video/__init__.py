"""What phi_{N,T} and its bands make of clips with known motion."""
