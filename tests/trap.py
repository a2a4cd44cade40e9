"""An object that tells whether it was unpickled, for readers that must not."""

from collections.abc import Callable


class Trap:
    """Marks its class when it is unpickled."""

    sprung = False

    def __reduce__(self) -> tuple[Callable[[], "Trap"], tuple[()]]:
        """Unpickle by calling `spring`."""
        return spring, ()


def spring() -> Trap:
    """Mark the class, as an unpickled trap does."""
    Trap.sprung = True
    return Trap()
