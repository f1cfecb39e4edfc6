"""OpenAI's Batch API on your own machine: files of requests in, files of answers out."""

from batch_app.host import required_packages

required_packages.require()

__version__ = "1.0.0"
