"""A server that speaks OpenAI's HTTP API hears, thinks and speaks: vLLM on this host, or a hosted one."""
