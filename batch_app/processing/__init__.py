"""The parts of the worker: choosing work, feeding the engine, recording answers, ending batches, staying alive."""
