"""`python -m telephony.cli` is `voxline`."""

import sys

from telephony.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
