"""OpenAI's Batch API on your own machine: files of requests in, files of answers out."""

__version__ = "0.1.0"
