"""`python -m telephony.cli` is `voxline`."""

from telephony.cli.main import main

main()
