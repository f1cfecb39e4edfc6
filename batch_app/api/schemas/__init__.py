"""The JSON objects of the API, as pydantic models; the OpenAPI document is made from them."""
