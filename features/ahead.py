"""One step ahead: the next item is made while the one before it is used."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items, each made in the background while the one before it is used; two are in memory."""
    making = iter(items)
    with ThreadPoolExecutor(max_workers=1) as background:
        coming = background.submit(_next, making)
        while item := coming.result():
            coming = background.submit(_next, making)
            yield item[0]


def _next(making: Iterator[T]) -> tuple[T] | None:
    """The next item in a tuple of its own; None at the end."""
    for item in making:
        return (item,)
    return None
