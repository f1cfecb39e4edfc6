"""The machine that the processes run on: its GPUs, its memory, the installed packages."""
