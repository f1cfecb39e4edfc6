"""Says in one line what to do when the program is started outside its virtual environment."""

import sys
from importlib.util import find_spec

NEEDED = (
    "alembic",
    "fastapi",
    "fastapi_offline",
    "httptools",
    "orjson",
    "prometheus_client",
    "psutil",
    "pydantic_settings",
    "pynvml",
    "pysqlite3",
    "sqlalchemy",
    "uvicorn",
)


def require() -> None:
    """Ends the process with status 1 when a package is missing; otherwise does nothing, in a millisecond."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        print(
            f"error: {', '.join(missing)} not installed for {sys.executable}: "
            "run `make setup`, then `source venv/bin/activate`",
            file=sys.stderr,
        )
        raise SystemExit(1)
