"""Carried columns: what a cohort's frame carries beside the milestone's own score, asked for at the same dates.

Other candidates for the score, features that somebody believes in, the parts of joint definitions, single steps, and what
an account did before. A colon is in no milestone's name, so that none of them is taken for one.
"""

_CARRIED = "carried:"


def carried(name: str) -> str:
    """The column that carries something of this name."""
    return _CARRIED + name


def is_carried(column: object) -> bool:
    """Whether a column of a frame is a carried one."""
    return str(column).startswith(_CARRIED)


def name_of(column: str) -> str:
    """The name of what a column carries."""
    return column.removeprefix(_CARRIED)


STEP = carried("step:")  # of columns that say whether a step of the milestone was done, 1 or 0
