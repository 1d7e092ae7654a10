"""The server: joins lines and conversations. The only room that knows both."""
