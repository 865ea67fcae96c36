"""Entry of the Worker in a checkout or a container; the Worker itself is `durable_demo.worker`."""
