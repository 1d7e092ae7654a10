"""Tools of the command line that work on tapes. With `app`, the only place that joins line and conversation."""
