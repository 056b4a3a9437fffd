# What the programs of driver-programs.test.ts that are written in Python have in common.
from concurrent.futures import ThreadPoolExecutor


def deed(name):
    print(f"== {name}", flush=True)


def refusals(kind):
    """A function that says how the driver refused to do some work; `kind` is what the driver raises."""

    def refused(work, *args):
        try:
            work(*args)
        except kind as error:
            return f"{type(error).__name__} {error.diag.sqlstate} {error.diag.message_primary}"
        return "not refused"

    return refused


def all_at_once(work, count):
    """What work(0), work(1) and so on give, each in a thread of its own."""
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(work, range(count)))
