"""What a client found, a line a step, so that what it finds at one API server can be laid beside what it finds at another."""

import json
import re
import sys
import traceback

# Whatever differs between two clusters that behave alike.
OF_THE_MOMENT = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?"
    r"|(?<=//)[\d.]+:\d+"
)
KEYS_OF_THE_MOMENT = {"resourceVersion", "resource_version", "continue", "_continue", "time", "generateName"}


def settled(value):
    if isinstance(value, dict):
        # Their order is that of their times.
        for managers in ("managedFields", "managed_fields"):
            if isinstance(value.get(managers), list):
                value = value | {managers: sorted(value[managers], key=lambda each: each["manager"])}
        return {str(key): settled(each) for key, each in value.items() if key not in KEYS_OF_THE_MOMENT and each is not None}
    if isinstance(value, (list, tuple)):
        return [settled(each) for each in value]
    if isinstance(value, str):
        return OF_THE_MOMENT.sub("…", value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return settled(str(value))


def say(step, value):
    print(f"{step}: {json.dumps(settled(value), sort_keys=True, ensure_ascii=False)}", flush=True)


def told_of(error):
    """An error as its library tells it: its type, the code of the answer, and its text or the Status within."""
    body = getattr(error, "body", None)
    if isinstance(body, bytes):
        body = body.decode()
    try:
        status = json.loads(body) if isinstance(body, str) else None
    except ValueError:
        status = body
    told = {"error": type(error).__name__, "code": getattr(error, "status", None)}
    return told | {"status": status} if status else told | {"text": str(error)}


def attempt(step, work):
    """Says what the work comes to, or how it fails: one step that fails does not hide the others."""
    try:
        outcome = work()
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        say(step, told_of(error))
        return None
    say(step, outcome)
    return outcome


async def attempt_async(step, work):
    try:
        outcome = await work()
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        say(step, told_of(error))
        return None
    say(step, outcome)
    return outcome
