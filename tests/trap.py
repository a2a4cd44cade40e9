"""An object that tells whether it was unpickled, for readers that must not."""


class Trap:
    """Marks its class when it is unpickled."""

    sprung = False

    def __reduce__(self):
        """Unpickle by calling `spring`."""
        return spring, ()


def spring():
    """Mark the class, as an unpickled trap does."""
    Trap.sprung = True
    return Trap()
