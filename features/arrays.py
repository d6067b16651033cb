"""What an array holds, as signatures say it; its shape stands in the docstring beside."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]
Positions: TypeAlias = NDArray[np.intp]
Times: TypeAlias = NDArray[np.datetime64]
