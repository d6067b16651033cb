"""What is read from framework.yaml: immutable, unknown keys refused, mappings that nobody can change."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Self, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SerializerFunctionWrapHandler,
    WrapSerializer,
)

from features.validators import one_value


class Declared(BaseModel):
    """Base of everything that is read from framework.yaml: immutable, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Itself: what cannot be changed needs no copy, and pydantic copies defaults."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """To another process it goes as what was read: mappings that nobody can change cannot be pickled."""
        return type(self).model_validate, (self.model_dump(by_alias=True),)


def _plain(found: Mapping[Any, Any], write: SerializerFunctionWrapHandler) -> Any:
    return write(dict(found))


_Key = TypeVar("_Key")
_Item = TypeVar("_Item")
# Keys and values of a declared thing, which nobody can change either.
Fixed: TypeAlias = Annotated[Mapping[_Key, _Item], AfterValidator(MappingProxyType), WrapSerializer(_plain)]

Value = Annotated[bool | int | float | str, BeforeValidator(one_value)]
