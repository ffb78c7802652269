"""How the service speaks to the outside: HTTP, TLS, proxies, and troubles in plain words."""
