"""The HTTP edge: routers, wire schemas, guards, and the one error shape. Imports no engine."""
