"""The rules of the `lxd` relation over REST, one after the other, against a host and real LXD servers.

usage: lxd_rules.py [SECTION]...

Reads JSON from its input: `url` (of the mount of `/v1`), `facade` (of the mount of `/1.0`), `trust` (a TLS listener with
`/1.0` at its root), `token` (the operator's), `servers` (two of `lxd_daemon.py`), `nowhere` (an endpoint that the host may
reach, and nobody is there), `certificate` and `key` (which both servers trust), `grace` and `relist` (the plugin's
settings). Starts with no node and no relation, and leaves none.

Prints a line of JSON for each rule; at the end `all well` and how many there were, or fails with those that do not hold.
"""

import json
import os
import sys
import time

import urllib3

from lxd_bag_rules import bags
from lxd_facade_rules import facade
from lxd_lab import BOOK, Lab
from lxd_rest_rules import access, nodes, relations, views, watching
from lxd_trust_rules import entries, lifecycle, ownership, projects

SECTIONS = (nodes, relations, access, bags, entries, ownership, lifecycle, watching, views, projects, facade)


def main():
    given = json.load(sys.stdin)
    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        os.environ.pop(name, None)  # They win over `verify`.
    lab = Lab(given)
    only = sys.argv[1:]
    for section in SECTIONS:
        if not only or section is SECTIONS[0] or section.__name__ in only:
            began = time.monotonic()
            section(lab)
            print(json.dumps({"part": section.__name__, "seconds": round(time.monotonic() - began, 1)}), flush=True)
    for name in ("one", "two"):
        lab.operator("DELETE", f"nodes/{name}")
    if BOOK.broken:
        raise SystemExit("\n".join([f"{len(BOOK.broken)} of {BOOK.rules} rules do not hold:", *BOOK.broken]))
    print(f"all well: {BOOK.rules} rules hold")


if __name__ == "__main__":
    main()
