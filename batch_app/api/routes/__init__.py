"""One module per group of endpoints. Routes check parameters, call the store and serialize."""
