"""The server: joins lines and conversations. The only package that knows both."""
