"""What can go wrong for a user, in their words. The command line turns each into one message and an exit code."""


class MilestonesError(Exception):
    """Base of every error meant for a person: the message says what, where and what to do."""

    exit_code = 1


class DataError(MilestonesError):
    """The data or the framework cannot be used."""

    exit_code = 1


class UsageError(MilestonesError):
    """The command was called in a way that has no meaning."""

    exit_code = 2


class StoreError(MilestonesError):
    """A store (tracking server, database, folder) is away or refuses."""

    exit_code = 3
