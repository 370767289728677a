"""Drives OCCI's machines from images of a Glance service, and says what it saw as JSON lines.

    occi_images.py SCENARIO --url URL --glance URL --data DIRECTORY [--token TOKEN] [--facts JSON]

`offered` uploads images to the service and starts machines from them; `silent` is for a service that is gone, and is given
what `offered` said. DIRECTORY is the plugin's private one, as for `occi_machine.py`. The service is Glance v1, without its
version in the URL.
"""

import argparse
import hashlib
import http.client
import json
import os
import subprocess
import tempfile
import time
import urllib.parse

from occi_machine import IMAGES, OBEY, Cloud, eventually, say, sector


class Glance:
    def __init__(self, url, token):
        self.base = urllib.parse.urlparse(url)
        self.headers = {"X-Auth-Token": token} if token else {}

    def call(self, method, path, body=None, headers=None, expect=(200, 201)):
        connection = http.client.HTTPConnection(self.base.hostname, self.base.port, timeout=30)
        connection.request(method, f"/v1{path}", body, {**self.headers, **(headers or {})})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status not in expect:
            raise AssertionError(f"{method} {path}: {answer.status} {text[:500]}")
        return json.loads(text) if text.startswith(b"{") else text

    def upload(self, name, form, data):
        meta = {"name": name, "disk_format": form, "container_format": "bare", "is_public": "True", "size": str(len(data))}
        headers = {f"x-image-meta-{key}": value for key, value in meta.items()} | {"Content-Type": "application/octet-stream"}
        image = self.call("POST", "/images", data, headers)["image"]
        assert image["checksum"] == hashlib.md5(data).hexdigest() and image["status"] == "active", image
        return image["id"]


def guest(name):
    return sector(OBEY, f"{name} is up\r\n").ljust(1 << 20, b"\0")


def disk(*command, raw=b""):
    """What qemu-img makes by this command, with the bytes in the file `raw`."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "raw"), "wb") as file:
            file.write(raw)
        subprocess.run(["qemu-img", *command], check=True, cwd=folder)
        with open(os.path.join(folder, "disk"), "rb") as file:
            return file.read()


def templates(cloud):
    """Titles of the templates from images, by term."""
    mixins = cloud.call("GET", "/-/")[1]["mixins"]
    return {mixin["term"]: mixin["title"] for mixin in mixins if mixin["scheme"] == IMAGES}


def boots(cloud, image, name, slowest=15):
    machine = cloud.machine(image)
    answer = cloud.act(machine, "start")[1]["attributes"]
    assert answer["occi.compute.state"] in ("active", "inactive"), answer
    if answer["occi.compute.state"] == "inactive":
        assert "being fetched" in answer["occi.compute.state.message"], answer
    took = cloud.until(machine, "active", slowest)
    assert "occi.compute.state.message" not in cloud.show(machine)["attributes"]
    eventually("the guest is up", lambda: f"{name} is up" in cloud.printed(machine))
    return machine, took


def fails(cloud, image, why):
    machine = cloud.machine(image)
    cloud.act(machine, "start")
    cloud.until(machine, "error", 60)
    message = cloud.show(machine)["attributes"]["occi.compute.state.message"]
    assert why in message, message
    cloud.call("DELETE", machine)


def offered(cloud, glance):
    raw, packed = guest("raw"), disk("convert", "-f", "raw", "-O", "qcow2", "raw", "disk", raw=guest("packed"))
    leads_out = disk("create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", "disk", "1M")
    ids = {"raw": glance.upload("Raw plum", "raw", raw), "packed": glance.upload("Packed plum", "qcow2", packed)}
    ids["out"] = glance.upload("Leads out", "qcow2", leads_out)
    ids["wrong"] = glance.upload("Says qcow2", "qcow2", raw)
    ids["huge"] = glance.upload("Larger than disks are", "qcow2", disk("create", "-q", "-f", "qcow2", "disk", "100T"))
    ids["late"] = glance.upload("Never fetched", "raw", guest("late"))
    ids["iso"] = glance.upload("Of another kind", "iso", raw)
    # Whoever asks for the list has it looked at; nobody waits for that.
    begun = time.perf_counter()
    templates(cloud)
    asked = time.perf_counter() - begun
    eventually("the images are templates", lambda: set(ids.values()) - {ids["iso"]} <= set(templates(cloud)))
    known = templates(cloud)
    assert known[ids["raw"]] == "Image: Raw plum" and ids["iso"] not in known, known
    mixin = [one for one in cloud.call("GET", "/-/")[1]["mixins"] if one["term"] == ids["raw"]][0]
    assert mixin["depends"] == ["http://schemas.ogf.org/occi/infrastructure#os_tpl"], mixin
    facts = {"list": round(asked * 1000, 1)}
    for name in ("raw", "packed"):
        machine, facts[f"{name}, first"] = boots(cloud, ids[name], name)
        _, facts[f"{name}, again"] = boots(cloud, ids[name], name)
        # Its disk is what it writes, over the image, which nobody writes.
        root = cloud.folder(machine) / "root.qcow2"
        shown = json.loads(subprocess.run(["qemu-img", "info", "-U", "--output=json", str(root)], check=True, capture_output=True).stdout)
        assert "/glance/" in shown["full-backing-filename"], shown
    files = sorted((cloud.data / "glance").iterdir())
    assert len(files) == 2 and all(file.stat().st_mode & 0o777 == 0o400 for file in files), files
    listed = cloud.call("GET", f"/mixin/os_tpl/{ids['raw']}/")[1]["resources"]
    assert len(listed) == 2, listed
    fails(cloud, ids["out"], "other files")
    fails(cloud, ids["wrong"], "qemu-img")
    fails(cloud, ids["huge"], "the most here")
    # What is deleted there is no template any more, and what was made of it runs on.
    glance.call("DELETE", f"/images/{ids['packed']}")
    eventually("it is gone", lambda: ids["packed"] not in templates(cloud))
    entity = {"kind": "http://schemas.ogf.org/occi/infrastructure#compute", "mixins": [IMAGES + ids["packed"]]}
    assert cloud.call("POST", "/compute/", {"resources": [entity]}, (404,))
    cloud.act(machine, "restart", method="cold")
    eventually("the guest is up again", lambda: "packed is up" in cloud.printed(machine))
    say(scenario="offered", ids=ids, milliseconds={name: round(value, 1) for name, value in facts.items()})


def silent(cloud, ids):
    """The service is gone: what is known is known still, and what is here is used."""
    begun = time.perf_counter()
    known = templates(cloud)
    took = (time.perf_counter() - begun) * 1000
    assert ids["raw"] in known and ids["late"] in known, known
    machine, started = boots(cloud, ids["raw"], "raw")
    fails(cloud, ids["late"], "cannot be had")
    own = cloud.machine("empty")
    cloud.act(own, "start")
    assert cloud.state(own) == "active"
    for path in cloud.call("GET", "/compute/")[1]["resources"]:
        cloud.call("DELETE", f"/compute/{path['id'].removeprefix('urn:uuid:')}")
    say(scenario="silent", milliseconds={"list": round(took, 1), "started": round(started, 1)})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario", choices=["offered", "silent"])
    parser.add_argument("--url", required=True)
    parser.add_argument("--glance", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--token")
    parser.add_argument("--facts")
    asked = parser.parse_args()
    cloud = Cloud(asked.url, asked.data, asked.token)
    if asked.scenario == "silent":
        return silent(cloud, json.loads(asked.facts)["ids"])
    offered(cloud, Glance(asked.glance, asked.token))


if __name__ == "__main__":
    main()
