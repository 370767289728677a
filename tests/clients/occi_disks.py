"""Drives CDMI containers as disks of OCCI's machines, and says what it saw as a JSON line.

    occi_disks.py --url URL --data DIRECTORY [--token TOKEN]

DIRECTORY is the plugin's private one, as for `occi_machine.py`. CDMI is at /cdmi.
"""

import argparse
import base64
import http.client
import json

from occi_machine import OBEY, SCHEME, Cloud, eventually, say, sector, timed

CONTAINER = "http://schemas.snia.org/cdmi/occi#container"

# Write the boot sector into the second sector of the second disk, if there is one, and say `w`.
WRITE = bytes.fromhex("8ec0 bb007c b80103 b90200 ba8100 cd13 7206 b077 baf803 ee")
WRITER = sector(WRITE + OBEY, "writer is up\r\n")


class Shelf(Cloud):
    """The same service by CDMI."""

    def cdmi(self, method, path, body=None, kind="object", expect=(200, 201, 204)):
        kind = f"application/cdmi-{kind}"
        headers = {**self.headers, "X-CDMI-Specification-Version": "1.1", "Accept": kind, "Content-Type": kind}
        status, _, content = self.raw(method, path, json.dumps(body) if body is not None else None, headers, expect)
        return status, json.loads(content) if content.startswith(b"{") else content

    def raw(self, method, path, body=None, headers=None, expect=(200, 201, 204, 206)):
        connection = http.client.HTTPConnection(self.base.hostname, self.base.port, timeout=60)
        token = {name: value for name, value in self.headers.items() if name == "X-Auth-Token"}
        connection.request(method, f"/cdmi{path}", body, {**token, **(headers or {})})
        answer = connection.getresponse()
        content = answer.read()
        if expect and answer.status not in expect:
            raise AssertionError(f"{method} {path}: {answer.status} {content[:500]}")
        return answer.status, answer, content

    def value(self, path, first, last):
        shown = self.cdmi("GET", f"{path}?value:{first}-{last};valuetransferencoding")[1]
        assert shown["valuetransferencoding"] in ("base64", "utf-8"), shown
        return base64.b64decode(shown["value"]) if shown["valuetransferencoding"] == "base64" else shown["value"].encode()

    def files(self):
        return sorted((self.data / "cdmi").glob("*"))


def permit(cloud, container, *machines):
    export = {"identifier": "disk", "permissions": [f"http://{cloud.base.netloc}{machine}" for machine in machines]}
    cloud.cdmi("PUT", container, {"exports": {"OCCI/NFS": export}}, "container")


def up(cloud, machine, times=1):
    eventually("the guest is up", lambda: cloud.printed(machine).count("writer is up") == times)


def writes(cloud, machine, times):
    up(cloud, machine, times)
    eventually("the guest has written", lambda: cloud.printed(machine).endswith("w"))


def filled(cloud, facts):
    """A container with an image that a client brought, put into a machine that runs."""
    image = bytes(range(256)) * 4096 + b"an end that fills no sector"
    cloud.cdmi("PUT", "/shelf/", {"exports": {"OCCI/NFS": {"identifier": "disk", "permissions": []}}}, "container")
    cloud.raw("PUT", "/shelf/system.raw", image, {"Content-Type": "application/octet-stream"})
    identity = cloud.cdmi("GET", "/shelf/", kind="container")[1]["objectID"]
    size = cloud.cdmi("GET", "/shelf/system.raw?metadata")[1]["metadata"]["cdmi_size"]
    assert size == str(len(image)), size
    storage = [path for path in storages(cloud) if attributes(cloud, path)["org.snia.cdmi.objectid"] == identity][0]
    sectors = -(-len(image) // 512) * 512
    shown = attributes(cloud, storage)
    assert abs(shown["occi.storage.size"] * 2**30 - len(image)) <= 512 and shown["occi.storage.state"] == "online", shown

    machine = cloud.machine("writer")
    cloud.act(machine, "start")
    up(cloud, machine)
    assert cloud.link("storagelink", machine, storage, expect=(403,))[0] == 403
    permit(cloud, "/shelf/", machine)
    # By the URL of the container, as the standard has it.
    url = f"http://{cloud.base.netloc}/cdmi/cdmi_objectid/{identity}"
    link = timed(facts, "attach", lambda: cloud.link("storagelink", machine, url))
    shown = attributes(cloud, link)
    assert shown["occi.storagelink.deviceid"] == identity and shown["occi.storagelink.state"] == "active", shown
    assert len(cloud.devices(machine)) == 1
    nodes = {node["node-name"]: node for node in cloud.qmp(machine, "query-named-block-nodes", flat=True)}
    disk = [node for node in nodes.values() if node["drv"] == "raw"][0]
    assert disk["image"]["virtual-size"] == sectors, disk
    # While it is a machine's it is read, and written by the machine only.
    assert cloud.value("/shelf/system.raw", 250, 260) == image[250:261]
    assert cloud.cdmi("PUT", "/shelf/system.raw?value:0-1", {"value": "AAA="}, expect=(409,))[0] == 409
    for path in ("/shelf/", "/shelf/system.raw"):
        assert cloud.raw("DELETE", path, expect=(409,))[0] == 409
    cloud.cdmi("PUT", "/shelf/system.raw?metadata:colour", {"metadata": {"colour": "blue"}})
    other = cloud.machine("writer")
    assert cloud.link("storagelink", other, storage, expect=(403,))[0] == 403
    permit(cloud, "/shelf/", machine, other)
    assert cloud.link("storagelink", other, storage, expect=(409,))[0] == 409
    for what in ("snapshot", "backup"):
        cloud.act(storage, what, expect=(409,))
    cloud.act(storage, "resize", expect=(409,), size=1)

    # The guest finds it when it starts anew, and writes.
    etag = cloud.raw("HEAD", "/shelf/system.raw")[1].getheader("etag")
    cloud.act(machine, "restart", method="warm")
    writes(cloud, machine, 2)
    timed(facts, "detach", lambda: cloud.call("DELETE", link))
    assert not cloud.devices(machine)
    assert cloud.value("/shelf/system.raw", 512, 1023) == WRITER
    assert cloud.raw("GET", "/shelf/system.raw", None, {"Range": "bytes=510-513"})[2] == image[510:512] + WRITER[:2]
    whole = cloud.raw("GET", "/shelf/system.raw")
    assert whole[2] == (image[:512] + WRITER + image[1024:]).ljust(sectors, b"\0")
    assert whole[1].getheader("etag") != etag
    copied = cloud.cdmi("PUT", "/copy.raw", {"copy": "/shelf/system.raw"})[1]
    assert cloud.raw("GET", f"/cdmi_objectid/{copied['objectID']}")[2] == whole[2]
    # A range is written anew, and the machine that gets it then sees that.
    cloud.cdmi("PUT", "/shelf/system.raw?value:512-515", {"value": base64.b64encode(b"mine").decode()})
    assert not cloud.files() and cloud.value("/shelf/system.raw", 511, 516) == image[511:512] + b"mine" + WRITER[4:5]
    return machine, storage


def asleep(cloud, facts, machine, storage):
    """A machine sleeps and wakes with such a disk."""
    link = cloud.link("storagelink", machine, storage)
    assert len(cloud.files()) == 1
    cloud.act(machine, "suspend", method="hibernate")
    eventually("its process is gone", lambda: cloud.record(machine) is None)
    assert cloud.state(machine) == "suspended" and attributes(cloud, link)["occi.storagelink.state"] == "inactive"
    assert cloud.value("/shelf/system.raw", 512, 515) == b"mine"
    assert cloud.cdmi("PUT", "/shelf/system.raw", {"value": "x"}, expect=(409,))[0] == 409
    timed(facts, "wake", lambda: cloud.act(machine, "start"))
    assert cloud.state(machine) == "active" and len(cloud.devices(machine)) == 1
    cloud.act(machine, "stop", method="poweroff")
    # At rest with the link, it is read still.
    assert cloud.value("/shelf/system.raw", 512, 515) == b"mine"
    cloud.act(machine, "start")
    writes(cloud, machine, 1)
    cloud.act(machine, "stop", method="poweroff")
    assert cloud.value("/shelf/system.raw", 512, 1023) == WRITER
    cloud.call("DELETE", link)


def made(cloud, facts):
    """A storage that brings its container: the disk is of zeros."""
    storage = cloud.create("storage", {"occi.storage.size": 0.01}, [CONTAINER])
    identity = attributes(cloud, storage)["org.snia.cdmi.objectid"]
    container = cloud.cdmi("GET", f"/cdmi_objectid/{identity}", kind="container")[1]
    assert container["children"] == ["disk.raw"], container
    folder = f"/{container['objectName']}"
    disk = cloud.cdmi("GET", f"{folder}disk.raw?metadata;objectID")[1]
    assert int(disk["metadata"]["cdmi_size"]) == -(-int(0.01 * 2**30 + 0.999) // 1024) * 1024, disk
    assert cloud.value(f"{folder}disk.raw", 0, 9) == bytes(10)
    machine = cloud.machine("writer")
    permit(cloud, folder, machine)
    link = cloud.link("storagelink", machine, storage)
    cloud.act(storage, "online")
    cloud.act(machine, "start")
    writes(cloud, machine, 1)
    assert cloud.value(f"{folder}disk.raw", 512, 1023) == WRITER, "what the machine has written is read at once"
    file = [file for file in cloud.files() if disk["objectID"] in file.name][0].stat()
    assert file.st_blocks * 512 < 1 << 20 < file.st_size, "zeros take no room"
    cloud.call("DELETE", machine)
    assert cloud.call("GET", link, expect=None)[0] == 404
    cloud.raw("DELETE", folder)
    assert cloud.call("GET", storage, expect=None)[0] == 404


def unclear(cloud):
    """What cannot be a disk is refused before anything is linked."""
    machine = cloud.machine("writer")
    cloud.cdmi("PUT", "/many/", {}, "container")
    permit(cloud, "/many/", machine)
    identity = cloud.cdmi("GET", "/many/", kind="container")[1]["objectID"]
    target = f"http://{cloud.base.netloc}/cdmi/cdmi_objectid/{identity}"
    link = lambda expect: cloud.link("storagelink", machine, target, expect=expect)
    assert "how large" in str(link((409,))[1])
    cloud.cdmi("PUT", "/many/?metadata", {"metadata": {"occi_storage_size": 1e9}}, "container")
    assert "at most" in str(link((409,))[1])
    cloud.cdmi("PUT", "/many/?metadata", {"metadata": {}}, "container")
    for name in ("a", "b"):
        cloud.cdmi("PUT", f"/many/{name}", {"value": name * 600})
    assert "occi_storage_image" in str(link((409,))[1])
    cloud.cdmi("PUT", "/many/?metadata", {"metadata": {"occi_storage_image": "b"}}, "container")
    made_link = link((201,))
    cloud.act(machine, "start")
    # Named, and as large as whole sectors. The other one is not the machine's.
    assert cloud.cdmi("GET", "/many/b?metadata")[1]["metadata"]["cdmi_size"] == "1024"
    cloud.cdmi("PUT", "/many/a", {"value": "new"})
    cloud.call("DELETE", machine)
    assert cloud.call("GET", made_link, expect=None)[0] == 404
    cloud.raw("DELETE", "/many/")


def attributes(cloud, path):
    return cloud.show(path)["attributes"]


def storages(cloud):
    resources = cloud.call("GET", "/storage/")[1]["resources"]
    return [f"/storage/{resource['id'].removeprefix('urn:uuid:')}" for resource in resources]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--token")
    asked = parser.parse_args()
    cloud = Shelf(asked.url, asked.data, asked.token)
    images = cloud.data / "images"
    images.mkdir(parents=True, exist_ok=True)
    (images / "writer.raw").write_bytes(WRITER)
    facts = {}
    machine, storage = filled(cloud, facts)
    asleep(cloud, facts, machine, storage)
    made(cloud, facts)
    unclear(cloud)
    for path in cloud.call("GET", "/compute/")[1]["resources"]:
        cloud.call("DELETE", f"/compute/{path['id'].removeprefix('urn:uuid:')}")
    cloud.raw("DELETE", "/shelf/")
    cloud.raw("DELETE", "/copy.raw")
    assert not storages(cloud) and not cloud.files()
    say(scenario="disks", milliseconds={name: [round(value, 1) for value in values] for name, values in facts.items()})


if __name__ == "__main__":
    main()
