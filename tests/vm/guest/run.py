"""
Runs the wanted checks inside the machine, one after the other, and writes what each said as a line
of JSON to the second serial port, where the host reads it. A check fails by raising, skips by
raising Skip, and is interrupted after a while (or after its attribute `seconds`): the next ones still run.
"""

import importlib
import json
import os
import signal
import sys
import time
import traceback

from guestlib import Skip, ocilib

CHECK_S = 120
TEXT_MAX = 3000


class Late(BaseException):
    """The time of a check is over."""


def late(_number, _frame):
    raise Late("not done in time")


def story():
    """Where it failed, and what the check's own variables were."""
    at = sys.exc_info()[2]
    text = ""
    while at:
        if os.path.basename(at.tb_frame.f_code.co_filename).startswith("check_"):
            for name, value in at.tb_frame.f_locals.items():
                if isinstance(value, ocilib.Result):
                    value = (value.code, value.out, value.err)
                text += "%s = %.600r\n" % (name, value)
        at = at.tb_next
    return traceback.format_exc()[-TEXT_MAX:] + text[:TEXT_MAX]


def run(name):
    file, _, function = name.partition(":")
    start = time.monotonic()
    one = {"name": name, "ok": False, "skip": "", "text": ""}
    signal.alarm(CHECK_S)
    try:
        check = getattr(importlib.import_module(file), "check_" + function)
        signal.alarm(getattr(check, "seconds", CHECK_S))
        check()
        one["ok"] = True
    except Skip as why:
        one["skip"] = str(why)
    except (Exception, Late):  # pylint: disable=broad-except
        one["text"] = story()
    finally:
        signal.alarm(0)
    one["seconds"] = round(time.monotonic() - start, 1)
    return one


def main():
    signal.signal(signal.SIGALRM, late)
    with open("/shoal/wanted", encoding="ascii") as file:
        wanted = file.read().split()
    with open("/dev/ttyS1", "w", encoding="utf-8") as out:
        for name in wanted:
            one = run(name)
            print(one["name"], one["ok"], one["seconds"], file=sys.stderr, flush=True)
            print(json.dumps(one), file=out, flush=True)


main()
