"""What vLLM wants of the machine to compile its GPU kernels. Standard library only: set-up and the doctor ask.

Triton compiles a small C module for the driver when the first kernel runs, with the compilers it knows and the headers
of the Python that vLLM runs on. Where one is missing no model loads.
"""

import os
import shutil
import sys
import sysconfig
from pathlib import Path


def missing() -> str:
    """In words; empty when everything is there."""
    # By this name also where a distribution has a scheme of its own for what its users install.
    headers = Path(sysconfig.get_path("include", "posix_prefix"))
    found = {
        "no C compiler": any(map(shutil.which, (os.environ.get("CC", ""), "gcc", "clang"))),
        "no Python.h": (headers / "Python.h").is_file(),
    }
    return ", ".join(words for words, is_there in found.items() if not is_there)


def advice() -> str:
    """For Debian and Ubuntu; each Python has headers of its own."""
    return "`apt-get install gcc python{}.{}-dev`".format(*sys.version_info)
