"""OpenAI's Batch API on your own machine: files of requests in, files of answers out."""

from batch_app import dependencies

dependencies.require()

__version__ = "0.1.0"
