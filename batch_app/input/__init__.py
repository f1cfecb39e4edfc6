"""Reading a file of requests: lines, checks, the order of work. Knows no database and no HTTP."""
