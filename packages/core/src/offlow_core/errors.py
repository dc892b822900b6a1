"""The one kind of error that commands show as a message without a traceback."""


class UserError(Exception):
    """Whoever typed the command can put it right; the message says what was expected, what came and what to do."""
