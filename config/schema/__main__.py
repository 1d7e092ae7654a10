"""`python -m config.schema` writes the schemas anew."""

import sys

from config.schema import write

for path in write():
    sys.stdout.write(f"{path}\n")
