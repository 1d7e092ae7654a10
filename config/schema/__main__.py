"""`python -m config.schema` rewrites the schemas."""

import sys

from config.schema import write

for path in write():
    sys.stdout.write(f"{path}\n")
