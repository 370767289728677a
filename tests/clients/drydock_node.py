"""A node on its first boot: it fetches its boot data, unpacks it as root would, and reports.

    drydock_node.py --url http://HOST:PORT/api/v1.0 --node NAME --key HEX --root DIRECTORY [--run] [--report ID STATUS]...

Prints one JSON object: for each archive its header fields and entries, and what each report was answered. With `--run` the script
that the design puts into `/opt/first-boot.sh` runs, which reports by itself. Reports are posted as Drydock's own reporter does
it: with a slash at the end, details first, the status only with the last one.
"""

import argparse
import gzip
import io
import json
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
from pathlib import Path


def request(method, url, key, body=None):
    headers = {"X-Bootaction-Key": key}
    if body is not None:
        headers["Content-Type"] = "application/json"
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def unpack(packed, root):
    """Below the root, names, modes and owners as they are in the archive."""
    entries = []
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        for entry in archive:
            assert entry.isreg(), entry
            content = archive.extractfile(entry).read()
            # tarfile shows names without the slash that they begin with; the header has it.
            name = "/" + entry.name.lstrip("/")
            file = root / name.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            file.chmod(entry.mode)
            entries.append({
                "name": entry.name,
                "mode": f"{entry.mode:o}",
                "uid": entry.uid,
                "gid": entry.gid,
                "owner": entry.uname + entry.gname,
                "mtime": entry.mtime,
                "text": content.decode(),
            })
    return entries


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--node", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--report", nargs=2, action="append", default=[])
    given = parser.parse_args()
    said = {"archives": {}, "reports": {}}
    for kind in ("files", "units"):
        status, headers, packed = request("GET", f"{given.url}/bootactions/nodes/{given.node}/{kind}", given.key)
        assert status == 200, (status, packed)
        raw = gzip.decompress(packed)
        entries = unpack(packed, given.root)
        said["archives"][kind] = {
            "type": headers.get("Content-Type"),
            "disposition": headers.get("Content-Disposition"),
            # GNU's magic and version; what POSIX writes differs.
            "gnu": not entries or raw[257:265] == b"ustar  \0",
            "entries": entries,
        }
    if given.run:
        script = given.root / "opt/first-boot.sh"
        ran = subprocess.run(["/bin/sh", str(script)], capture_output=True, text=True)
        said["run"] = {"status": ran.returncode, "out": ran.stdout, "error": ran.stderr}
    for action, word in given.report:
        answers = []
        for body in (
            {"details": [{"message": f"begun on {given.node}", "error": False, "step": 1}]},
            {"details": [{"message": f"ended on {given.node}", "error": word.lower() == "failure"}], "status": word},
        ):
            status, _, answer = request("POST", f"{given.url}/bootactions/{action}/", given.key, body)
            answers.append([status, json.loads(answer)])
        said["reports"][action] = answers
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
