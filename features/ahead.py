"""One step ahead: the next item is made while the one before it is used."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items, each but the first made in the background while the one before it is used; two are in memory.

    Before the first there is nothing to use, and Ctrl-C reaches the caller's thread alone: what takes long to begin can
    be stopped.
    """
    making = iter(items)
    coming = _next(making)
    with ThreadPoolExecutor(max_workers=1) as background:
        while coming:
            item, made = coming[0], background.submit(_next, making)
            yield item
            coming = made.result()


def _next(making: Iterator[T]) -> tuple[T] | None:
    """The next item in a tuple of its own; None at the end."""
    for item in making:
        return (item,)
    return None
