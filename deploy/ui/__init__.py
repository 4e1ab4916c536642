"""The playground: a page in the browser that asks the gateway and shows how it ordered."""
