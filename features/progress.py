"""What long work calls to say how far it is."""

from collections.abc import Callable
from typing import TypeAlias

ProgressCallback: TypeAlias = Callable[[str, float], None]  # what is being done, and the share done in [0, 1]
