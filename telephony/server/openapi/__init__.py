"""The API as an OpenAPI document: operation.py is a row of the tables beside the routes, document.py makes it of
them."""
