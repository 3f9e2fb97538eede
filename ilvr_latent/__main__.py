"""``python -m ilvr_latent`` is the ``ilvr`` command."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
