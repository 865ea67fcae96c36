"""`python -m worker`: the same Worker as `python -m durable_demo.worker`, which is what the wheel has."""

from durable_demo.worker import main

if __name__ == "__main__":
    main()
