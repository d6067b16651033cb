"""Numbers that people can remember: digit x 10^k, from the roundest digits on."""

import math

# Leading digits, the roundest scale first; tenths are for rates alone.
ROUNDEST = (1.0, 2.0, 5.0)
COUNTS = (
    ROUNDEST,
    (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0),
    tuple(half / 2 for half in range(2, 20)),
)
RATES = (*COUNTS, tuple(tenth / 10 for tenth in range(10, 100)))


def scales(*, whole: bool) -> tuple[tuple[float, ...], ...]:
    """The scales to look for a round number in, one after the other, for counts (`whole`) or for rates."""
    return COUNTS if whole else RATES


def round_numbers(low: float, high: float, digits: tuple[float, ...], *, whole: bool) -> list[float]:
    """Numbers digit x 10^k in [low, high], ascending: of 7 to 24 and the digits 1, 2, 5 they are 10 and 20.

    Empty where `high` is not positive. `whole` keeps whole numbers alone.
    """
    if high <= 0:
        return []
    first = max(low, high * 1e-3, 1.0 if whole else 0.0)
    powers = range(math.floor(math.log10(first)), math.floor(math.log10(high)) + 1)
    numbers = [_times_ten(digit, power) for power in powers for digit in digits]
    return [x for x in numbers if low <= x <= high and (not whole or x == round(x))]


def nearest_round(value: float) -> float:
    """The roundest number nearest to a value, by ratio; 1 for a value that is not positive."""
    if value <= 0:
        return 1.0
    power = math.floor(math.log10(value))
    choices = [_times_ten(digit, power) for digit in (*ROUNDEST, 10.0)]
    return min(choices, key=lambda choice: abs(math.log(choice / value)))


def _times_ten(digit: float, power: int) -> float:
    """digit x 10^power. Powers below one divide, so that 3 x 10^-1 is 0.3 and not 0.30000000000000004."""
    return float(digit * 10**power if power >= 0 else digit / 10**-power)
