"""`voxline` under a limit of open files, as `ulimit -n` sets one."""

import resource

from telephony.cli import main as cli

LIMIT = 96


def main(arguments: list[str]) -> int:
    """See `telephony.cli.main.main`."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
    return cli.main(arguments)
