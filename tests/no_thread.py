"""A machine that is at the limit of its threads."""


def no_thread(*_thread: object) -> None:
    """Takes the place of `Thread.start`, and raises what it then raises."""
    raise RuntimeError("can't start new thread")
