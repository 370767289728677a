"""Drives OCCI's QEMU backend through the whole life of machines, and says what it saw as JSON lines.

    occi_machine.py SCENARIO --url URL --data DIRECTORY [--token TOKEN]

DIRECTORY is the plugin's private one: guests are put there as images, and QMP is asked there whether the API says the truth.
A scenario that fails ends with a traceback. `before`, `between` and `after` are for a host that is killed; what `before` says is
given to the others as --facts.
"""

import argparse
import http.client
import json
import os
import pathlib
import signal
import socket
import threading
import time
import urllib.parse

SCHEME = "http://schemas.ogf.org/occi/infrastructure#"
IMAGES = "http://schemas.openstack.org/template/os#"

# --- guests: boot sectors, in 16-bit code ---------------------------------------------------------------------------

# Set segments and stack up, allow interrupts, and print a text that follows the code to the serial port.
GREET = bytes.fromhex("31c0 8ed8 8ed0 bc007c fb be007d ac 08c0 7406 baf803 ee ebf5")
# Write "sleep, type 0" into the power management's control register (0x604), and wait.
POWER_OFF = bytes.fromhex("ba0406 b80020 ef ebfe")
# Let the power button be seen (0x602), then for ever: wait for a tick; if the button was pressed (0x600), power off; eject
# the devices that are to go (0xae04) by saying so (0xae08).
OBEY = bytes.fromhex("ba0206 b80001 ef  f4 ba0006 ed f6c401 7409") + POWER_OFF + bytes.fromhex("ba04ae 66ed 6685c0 74e3 ba08ae 66ef ebdc")
# Wait for ever.
IGNORE = bytes.fromhex("f4 ebfd")
# Wait for nine ticks, half a second, and power off.
LEAVE = bytes.fromhex("b90900 f4 e2fd") + POWER_OFF


def sector(code, text):
    """A boot sector of this code, with the text where GREET looks for it."""
    code = (GREET + code).ljust(0x100, b"\0") + text.encode() + b"\0"
    return code.ljust(510, b"\0") + b"\x55\xaa"


GUESTS = {"obedient": OBEY, "deaf": IGNORE, "brief": LEAVE}


# --- the API ---------------------------------------------------------------------------------------------------------


class Cloud:
    def __init__(self, url, data, token):
        self.base = urllib.parse.urlparse(url)
        self.data = pathlib.Path(data)
        self.headers = {"Accept": "application/occi+json", "Content-Type": "application/occi+json"}
        if token:
            self.headers["X-Auth-Token"] = token
        self.connection = None

    def call(self, method, path, body=None, expect=(200, 201)):
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.base.hostname, self.base.port, timeout=60)
            self.connection.connect()
            self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.request(method, path, json.dumps(body) if body is not None else None, self.headers)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        if expect and answer.status not in expect:
            raise AssertionError(f"{method} {path}: {answer.status} {text}")
        kind = answer.getheader("content-type") or ""
        return answer.status, json.loads(text) if "json" in kind and text else text, answer.getheader("location")

    def create(self, kind, attributes=None, mixins=(), expect=(201,)):
        entity = {"kind": SCHEME + kind, "mixins": list(mixins), "attributes": attributes or {}}
        status, body, location = self.call("POST", f"/{kind}/", {"resources": [entity]}, expect)
        return urllib.parse.urlparse(location).path if location else (status, body)

    def machine(self, image=None, **attributes):
        names = {f"occi.compute.{name}": value for name, value in {"memory": 0.0625, **attributes}.items()}
        return self.create("compute", names, [IMAGES + image] if image else [])

    def link(self, kind, source, target, expect=(201,)):
        link = {"kind": SCHEME + kind, "source": {"location": source}, "target": {"location": target}, "attributes": {}}
        status, body, location = self.call("POST", f"/{kind}/", {"links": [link]}, expect)
        return urllib.parse.urlparse(location).path if location else (status, body)

    def act(self, path, term, expect=(200,), **attributes):
        kind = path.split("/")[1]
        action = f"http://schemas.ogf.org/occi/infrastructure/{kind}/action#{term}"
        return self.call("POST", f"{path}?action={term}", {"action": action, "attributes": attributes}, expect)

    def echo(self, path):
        """Send back what a GET shows, in both kinds of renderings: nothing changes."""
        before = self.show(path)
        self.call("PUT", path, before)
        plain = {**self.headers, "Accept": "text/plain", "Content-Type": "text/plain"}
        connection = http.client.HTTPConnection(self.base.hostname, self.base.port, timeout=60)
        connection.request("GET", path, headers=plain)
        connection.request("PUT", path, connection.getresponse().read(), plain)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        assert self.show(path) == before, (before, self.show(path))

    def show(self, path):
        return self.call("GET", path)[1]

    def state(self, path):
        return self.show(path)["attributes"][f"occi.{path.split('/')[1]}.state"]

    def until(self, path, wanted, seconds=15):
        """Milliseconds until a state is visible."""
        begun = time.perf_counter()
        while time.perf_counter() - begun < seconds:
            if (state := self.state(path)) == wanted:
                return (time.perf_counter() - begun) * 1000
            time.sleep(0.002)
        raise AssertionError(f"{path} is {state}, not {wanted}: {self.show(path)}")

    # --- behind the API ---

    def folder(self, path):
        return self.data / "machines" / self.show(path)["id"].removeprefix("urn:uuid:").replace("-", "")

    def record(self, path):
        """What the host has of a machine's process."""
        programs = self.data.parent.parent / "programs" / self.data.name
        for record in programs.glob("*.json"):
            if self.folder(path).name in record.name:
                try:
                    return json.loads(record.read_text())
                except FileNotFoundError:
                    return None
        return None

    def pid(self, path):
        return self.record(path)["pid"]

    def printed(self, path):
        programs = self.data.parent.parent / "programs" / self.data.name
        logs = [log for log in programs.glob("*.log") if self.folder(path).name in log.name]
        return "".join(log.read_text(errors="replace") for log in logs)

    def qmp(self, machine, name, /, **arguments):
        with socket.socket(socket.AF_UNIX) as talk:
            here = os.getcwd()
            os.chdir(self.folder(machine))
            talk.connect("qmp")
            os.chdir(here)
            lines = talk.makefile("rw")
            for command in ({"execute": "qmp_capabilities"}, {"execute": name, "arguments": arguments, "id": "asked"}):
                lines.write(json.dumps(command) + "\n")
            lines.flush()
            for line in lines:
                answer = json.loads(line)
                if answer.get("id") == "asked":
                    return answer.get("return", answer.get("error"))

    def devices(self, path):
        """Serial numbers of disks and hardware addresses of interfaces that the guest can see."""
        named = {item["name"] for item in self.qmp(path, "qom-list", path="/machine/peripheral")}
        return named - {"type"}


def eventually(what, look, seconds=15):
    begun = time.perf_counter()
    while not look():
        assert time.perf_counter() - begun < seconds, what
        time.sleep(0.005)
    return (time.perf_counter() - begun) * 1000


def say(**facts):
    print(json.dumps(facts), flush=True)


def prepare(cloud):
    images = cloud.data / "images"
    images.mkdir(parents=True, exist_ok=True)
    for name, code in GUESTS.items():
        (images / f"{name}.raw").write_bytes(sector(code, f"{name} is up\r\n"))


# --- scenarios -------------------------------------------------------------------------------------------------------


def timed(facts, name, act):
    begun = time.perf_counter()
    result = act()
    facts.setdefault(name, []).append((time.perf_counter() - begun) * 1000)
    return result


def life(cloud):
    """Every action and method, with the state that QMP says after each."""
    facts = {}
    path = cloud.machine("obedient")
    assert cloud.state(path) == "inactive"
    shown = cloud.show(path)["attributes"]
    assert shown["occi.compute.cores"] == 1 and shown["occi.compute.architecture"] == "x64", shown

    def acted(term, wanted, **parameters):
        name = "-".join([term, *parameters.values()])
        answer = timed(facts, name, lambda: cloud.act(path, term, **parameters))[1]
        assert answer["attributes"]["occi.compute.state"] == wanted, (name, answer)
        assert cloud.state(path) == wanted, name
        if wanted != "inactive" and parameters.get("method") != "hibernate":
            said = cloud.qmp(path, "query-status")["status"]
            assert said == {"active": "running", "suspended": "paused"}[wanted], (name, said)

    for _ in range(5):
        acted("start", "active")
        eventually("the guest is up", lambda: "obedient is up" in cloud.printed(path))
        cloud.act(path, "start", expect=(409,))
        acted("suspend", "suspended", method="suspend")
        cloud.act(path, "stop", expect=(409,), method="poweroff")
        acted("start", "active")
        acted("restart", "active", method="warm")
        before = cloud.pid(path)
        acted("restart", "active", method="cold")
        assert cloud.pid(path) != before
        acted("stop", "inactive", method="poweroff")
        assert cloud.record(path) is None
    assert cloud.printed(path) == ""

    # The guest is asked, and takes its time.
    for method in ("acpioff", "graceful"):
        cloud.act(path, "start")
        eventually("the guest is up", lambda: "obedient is up" in cloud.printed(path))
        time.sleep(0.1)
        cloud.act(path, "stop", method=method)
        facts[f"stop-{method}"] = [cloud.until(path, "inactive")]
    cloud.act(path, "start")
    eventually("the guest is up", lambda: "obedient is up" in cloud.printed(path))
    time.sleep(0.1)
    before = cloud.pid(path)
    cloud.act(path, "restart", method="graceful")
    assert cloud.state(path) == "active"
    facts["restart-graceful"] = [eventually("another process", lambda: (cloud.record(path) or {}).get("pid") not in (None, before))]
    cloud.until(path, "active")
    console = cloud.show(path)["attributes"]["org.openstack.compute.console.vnc"]
    assert pathlib.Path(console.removeprefix("vnc+unix://")).is_socket(), console
    folder = cloud.folder(path)
    timed(facts, "delete", lambda: cloud.call("DELETE", path))
    assert not folder.exists() and cloud.call("GET", path, expect=None)[0] == 404
    say(scenario="life", milliseconds={name: [round(value, 1) for value in values] for name, values in facts.items()})


def hibernation(cloud):
    """A guest sleeps in its disk, with its devices, and goes on where it was."""
    path, disk, net = cloud.machine("obedient"), cloud.create("storage", {"occi.storage.size": 0.01}), cloud.create("network")
    cloud.act(disk, "online")
    cloud.act(path, "start")
    eventually("the guest is up", lambda: "obedient is up" in cloud.printed(path))
    # Plugged in while it runs: it has to find them in the same places when it wakes up.
    cloud.link("networkinterface", path, net)
    link = cloud.link("storagelink", path, disk)
    cloud.act(path, "suspend", method="hibernate")
    visible = cloud.until(path, "suspended")
    gone = eventually("the process is gone", lambda: cloud.record(path) is None)
    assert cloud.state(path) == "suspended"
    status, why, _ = cloud.call("DELETE", link, expect=(409,))
    assert "hibernated" in str(why), why
    cloud.call("POST", path, {"kind": SCHEME + "compute", "attributes": {"occi.compute.memory": 0.125}}, (409,))
    begun = time.perf_counter()
    cloud.act(path, "start")
    assert cloud.state(path) == "active"
    woken = (time.perf_counter() - begun) * 1000
    time.sleep(0.3)
    assert "obedient is up" not in cloud.printed(path), "it booted anew"
    eventually("its sleep is out of its disk", lambda: "vmstate" not in snapshots(cloud, path))
    # It is the guest that was there: it still obeys the power button.
    cloud.act(path, "stop", method="acpioff")
    cloud.until(path, "inactive")
    cloud.act(path, "start")
    eventually("the guest is up", lambda: "obedient is up" in cloud.printed(path))
    cloud.call("DELETE", path)
    say(scenario="hibernation", visible=round(visible, 1), gone=round(gone, 1), woken=round(woken, 1))


def snapshots(cloud, path):
    nodes = cloud.qmp(path, "query-named-block-nodes")
    return json.dumps([node["image"].get("snapshots") for node in nodes]).replace("vm-state-size", "vmstate")


def by_itself(cloud):
    """What happens to a machine without the API: its guest leaves, its process is killed, it is paused behind our back."""
    facts = {}
    path = cloud.machine("brief")
    cloud.act(path, "start")
    eventually("it has gone", lambda: (cloud.record(path) or {"ended": True})["ended"])
    facts["powered off"] = cloud.until(path, "inactive")
    assert "occi.compute.state.message" not in cloud.show(path)["attributes"]
    cloud.call("DELETE", path)

    path = cloud.machine("obedient")
    cloud.act(path, "start")
    os.kill(cloud.pid(path), signal.SIGKILL)
    facts["killed"] = cloud.until(path, "error")
    assert "signal 9" in cloud.show(path)["attributes"]["occi.compute.state.message"]
    cloud.act(path, "start")
    assert "occi.compute.state.message" not in cloud.show(path)["attributes"]
    # Without anybody who looks at the machine: lists and filters follow the end of the process.
    os.kill(cloud.pid(path), signal.SIGKILL)
    headers = {**cloud.headers, "Content-Type": "text/occi", "Accept": "text/uri-list", "X-OCCI-Attribute": 'occi.compute.state="error"'}

    def listed():
        connection = http.client.HTTPConnection(cloud.base.hostname, cloud.base.port)
        connection.request("GET", "/compute/", headers=headers)
        return path in connection.getresponse().read().decode()

    facts["killed, in a filtered list"] = eventually("the list follows", listed)
    cloud.act(path, "start")
    cloud.qmp(path, "stop")
    facts["paused"] = cloud.until(path, "suspended")
    cloud.qmp(path, "cont")
    facts["resumed"] = cloud.until(path, "active")
    # A guest that does not listen is ended when its time is up (3 s in the test's configuration).
    deaf = cloud.machine("deaf")
    cloud.act(deaf, "start")
    cloud.act(deaf, "stop", method="graceful")
    assert cloud.state(deaf) == "active"
    facts["deaf, ended"] = cloud.until(deaf, "inactive")
    for machine in (path, deaf):
        cloud.call("DELETE", machine)
    say(scenario="by itself", milliseconds={name: round(value, 1) for name, value in facts.items()})


def devices(cloud):
    """Disks and interfaces come and go while the machine runs."""
    facts = {}
    path = cloud.machine("obedient")
    disk, net = cloud.create("storage", {"occi.storage.size": 0.01}), cloud.create("network", mixins=[], attributes={"occi.network.label": "lan"})
    other = cloud.create("storage", {"occi.storage.size": 0.01})
    cloud.act(other, "online")
    cloud.link("storagelink", path, other)
    cloud.act(path, "start")
    assert len(cloud.devices(path)) == 1
    eventually("the guest is up", lambda: "obedient is up" in cloud.printed(path))
    link = cloud.link("storagelink", path, disk)
    assert len(cloud.devices(path)) == 1, "offline storage was plugged in"
    timed(facts, "online", lambda: cloud.act(disk, "online"))
    assert len(cloud.devices(path)) == 2
    assert cloud.show(link)["attributes"]["occi.storagelink.state"] == "active"
    device = cloud.show(link)["attributes"]["occi.storagelink.deviceid"]
    assert device.removeprefix("/dev/disk/by-id/virtio-") in disk.replace("-", ""), device
    # A disk has one machine.
    second = cloud.machine("obedient")
    assert cloud.link("storagelink", second, disk, expect=(409,))[0] == 409
    # It grows while it is in use, and does not shrink.
    cloud.act(disk, "resize", size=0.02)
    grown = [node["image"]["virtual-size"] for node in cloud.qmp(path, "query-named-block-nodes", flat=True)]
    assert max(grown) >= 0.02 * 2**30, grown
    cloud.act(disk, "resize", size=0.01, expect=(409,))
    for _ in range(10):
        cloud.act(disk, "snapshot")
    snapshots = [node["image"].get("snapshots", []) for node in cloud.qmp(path, "query-named-block-nodes", flat=True)]
    assert max(map(len, snapshots)) == 8, snapshots
    cloud.act(disk, "backup", expect=(409,))
    timed(facts, "offline", lambda: cloud.act(disk, "offline"))
    assert len(cloud.devices(path)) == 1
    for _ in range(2):
        cloud.act(disk, "snapshot")
        cloud.act(disk, "backup")
    assert len(list((cloud.data / "storages").glob("*.backup.qcow2"))) == 1
    cloud.act(disk, "online")
    snapshots = [node["image"].get("snapshots", []) for node in cloud.qmp(path, "query-named-block-nodes", flat=True)]
    assert max(map(len, snapshots)) == 8, snapshots
    # Its link leads from another machine, and from this one again.
    for source, left in ((second, 1), (path, 2)):
        cloud.call("POST", link, {"source": {"location": source}})
        assert len(cloud.devices(path)) == left
    timed(facts, "detach disk", lambda: cloud.call("DELETE", link))
    assert len(cloud.devices(path)) == 1
    interface = timed(facts, "attach interface", lambda: cloud.link("networkinterface", path, net))
    assert len(cloud.devices(path)) == 2
    shown = cloud.show(interface)["attributes"]
    assert shown["occi.networkinterface.address"] == "10.0.2.15" and shown["occi.networkinterface.state"] == "active", shown
    assert "http://schemas.openstack.org/compute/instance#os_vms" in cloud.show(path)["mixins"]
    cloud.echo(path)
    # It gets another hardware address, and leads to another network, while the machine runs.
    mac = lambda: cloud.qmp(path, "qom-get", path="/machine/peripheral/l" + interface.replace("-", "")[-20:], property="mac")
    for wanted in ("52:54:00:aa:bb:cc", "52:54:00:aa:bb:cd"):
        timed(facts, "another address", lambda: cloud.call("POST", interface, {"attributes": {"occi.networkinterface.mac": wanted}}))
        assert mac() == wanted and len(cloud.devices(path)) == 2
    ranged = cloud.create("network", {"occi.network.address": "192.168.7.0/24"}, ["http://schemas.ogf.org/occi/infrastructure/network#ipnetwork"])
    cloud.call("POST", interface, {"attributes": {"occi.networkinterface.address": "192.168.7.9"}}, (409,))
    timed(facts, "another network", lambda: cloud.call("POST", interface, {"target": {"location": ranged}}))
    shown = cloud.show(interface)["attributes"]
    assert shown["occi.networkinterface.address"] == "192.168.7.15" and shown["occi.networkinterface.mac"] == wanted, shown
    assert mac() == wanted and len(cloud.devices(path)) == 2
    cloud.call("POST", interface, {"target": {"location": net}})
    timed(facts, "up", lambda: cloud.act(net, "up"))
    cloud.act(net, "down")
    timed(facts, "detach interface", lambda: cloud.call("DELETE", interface))
    assert len(cloud.devices(path)) == 1
    # A guest that does not let go keeps its device, and the client is told.
    cloud.act(disk, "offline")
    deaf = cloud.machine("deaf")
    cloud.act(disk, "online")
    kept = cloud.link("storagelink", deaf, disk)
    cloud.act(deaf, "start")
    eventually("the guest is up", lambda: "deaf is up" in cloud.printed(deaf))
    assert "let go" in str(cloud.call("DELETE", kept, expect=(409,))[1])
    cloud.call("DELETE", deaf)
    assert cloud.call("GET", kept, expect=None)[0] == 404
    cloud.call("DELETE", path)
    cloud.call("DELETE", disk)
    # Neither the disk nor its backup.
    assert not list((cloud.data / "storages").glob(disk.rsplit("/")[-1].replace("-", "") + "*"))
    say(scenario="devices", milliseconds={name: [round(value, 1) for value in values] for name, values in facts.items()})


def save(cloud):
    """A running machine, and one at rest, become templates that others boot from."""
    facts = {}
    path = cloud.machine("obedient")
    cloud.act(path, "start")

    def saved(**parameters):
        template = cloud.act(path, "save", **parameters)[1]["mixins"][0]
        assert template["depends"] == [SCHEME + "os_tpl"], template
        return template["term"]

    def boots(image):
        begun = time.perf_counter()
        while True:
            entity = {"kind": SCHEME + "compute", "mixins": [IMAGES + image], "attributes": {"occi.compute.memory": 0.0625}}
            status, body, location = cloud.call("POST", "/compute/", {"resources": [entity]}, (201, 409))
            if status == 201:
                break
            assert time.perf_counter() - begun < 15, body
            time.sleep(0.01)
        ready = (time.perf_counter() - begun) * 1000
        copy = urllib.parse.urlparse(location).path
        cloud.act(copy, "start")
        eventually("the copy is up", lambda: "obedient is up" in cloud.printed(copy))
        cloud.call("DELETE", copy)
        return ready

    facts["hot"] = boots(saved(method="hot", name="mine"))
    assert cloud.state(path) == "active"
    late = saved(method="deferred")
    entity = {"kind": SCHEME + "compute", "mixins": [IMAGES + late]}
    assert cloud.call("POST", "/compute/", {"resources": [entity]}, (409,))
    cloud.act(path, "stop", method="poweroff")
    facts["deferred"] = boots(late)
    facts["at rest"] = boots(saved())
    assert cloud.state(path) == "inactive"
    cloud.call("DELETE", path)
    say(scenario="save", milliseconds={name: round(value, 1) for name, value in facts.items()})


def closed(cloud):
    """What would lead out, or too far, is refused."""
    for attributes in ({"occi.compute.cores": 100000}, {"occi.compute.memory": 1e9}):
        assert cloud.create("compute", attributes, expect=(409,))[0] == 409
    assert cloud.create("storage", {"occi.storage.size": 1e9}, expect=(409,))[0] == 409
    # An image that leads to a file of the host.
    out = cloud.data / "images" / "outside.qcow2"
    os.system(f"qemu-img create -q -f qcow2 -b /etc/passwd -F raw {out} 1M")
    path = cloud.machine("outside")
    shown = cloud.act(path, "start")[1]["attributes"]
    assert shown["occi.compute.state"] == "error" and "other files" in shown["occi.compute.state.message"], shown
    cloud.call("DELETE", path)
    out.unlink()
    # QEMU itself cannot get out, if somebody got at its monitor.
    path = cloud.machine("obedient")
    cloud.act(path, "start")
    refused = {
        "read": cloud.qmp(path, "blockdev-add", **{"driver": "raw", "node-name": "x", "file": {"driver": "file", "filename": "/etc/hostname"}}),
        "write": cloud.qmp(path, "pmemsave", val=0, size=16, filename="/tmp/occi-was-here"),
    }
    assert "desc" in refused["read"] and "desc" in refused["write"], refused
    try:
        refused["exec"] = cloud.qmp(path, "migrate", uri="exec:touch /tmp/occi-was-here")
    except ConnectionError:
        # The kernel ends it at the attempt.
        refused["exec"] = cloud.until(path, "error") and cloud.show(path)["attributes"]["occi.compute.state.message"]
    time.sleep(0.2)
    assert not os.path.exists("/tmp/occi-was-here")
    cloud.call("DELETE", path)
    say(scenario="closed", refused=refused)


def deleted(cloud):
    """A machine that is deleted just when it is started, or started again, leaves nothing, whoever comes last."""
    programs = cloud.data.parent.parent / "programs" / cloud.data.name
    facts = {}

    def delete(how, path, folder, others=lambda: None):
        cloud.call("DELETE", path)
        others()
        gone = lambda: not folder.exists() and not list(programs.glob(f"*{folder.name}*"))
        facts.setdefault(how, []).append(eventually(f"nothing is left: {how}", gone))
        assert cloud.call("GET", path, expect=None)[0] == 404

    for moment in range(8):
        path = cloud.machine("obedient")
        cloud.act(path, "start")
        eventually("the guest is up", lambda: "obedient is up" in cloud.printed(path))
        time.sleep(0.1)
        folder, pid = cloud.folder(path), cloud.pid(path)
        cloud.act(path, "restart", method="graceful")
        eventually("the guest has left", lambda: not os.path.exists(f"/proc/{pid}"))
        time.sleep(moment * 0.006)
        delete("started again", path, folder)
    for moment in range(8):
        path = cloud.machine("obedient")
        folder, other = cloud.folder(path), Cloud(cloud.base.geturl(), cloud.data, cloud.headers.get("X-Auth-Token"))
        start = threading.Thread(target=other.act, args=(path, "start", (200, 404, 409)))
        start.start()
        time.sleep(moment * 0.01)
        delete("started", path, folder, start.join)
    say(scenario="deleted", milliseconds={how: [round(value, 1) for value in values] for how, values in facts.items()})


def before(cloud):
    """Machines in every state, for a host that is about to be killed."""
    prepare(cloud)
    kept = {"running": cloud.machine("obedient"), "paused": cloud.machine("obedient"), "asleep": cloud.machine("obedient")}
    kept |= {"leaves": cloud.machine("obedient"), "dies": cloud.machine("obedient"), "asked": cloud.machine("obedient")}
    for path in kept.values():
        cloud.act(path, "start")
    for path in kept.values():
        eventually("the guest is up", lambda: "obedient is up" in cloud.printed(path))
    cloud.act(kept["paused"], "suspend", method="suspend")
    cloud.act(kept["asleep"], "suspend", method="hibernate")
    pids = {name: cloud.pid(path) for name, path in kept.items() if name != "asleep"}
    cloud.act(kept["asked"], "restart", method="graceful")
    say(machines=kept, pids=pids, folders={name: str(cloud.folder(path)) for name, path in kept.items()})


def between(facts):
    """While there is no host: all run on, one guest leaves by itself, one process is killed."""
    for name, pid in facts["pids"].items():
        assert name == "asked" or os.path.exists(f"/proc/{pid}"), f"{name} went with the host"
    with socket.socket(socket.AF_UNIX) as talk:
        os.chdir(facts["folders"]["leaves"])
        talk.connect("qmp")
        talk.sendall(b'{"execute": "qmp_capabilities"}\n{"execute": "system_powerdown"}\n')
        eventually("it leaves", lambda: not os.path.exists("qmp"))
    os.kill(facts["pids"]["dies"], signal.SIGKILL)
    say(scenario="between")


def after(cloud, facts):
    """The next host finds all of them as they are."""
    kept, pids = facts["machines"], facts["pids"]
    wanted = {"running": "active", "paused": "suspended", "asleep": "suspended", "leaves": "inactive", "dies": "error", "asked": "active"}
    took = {name: round(cloud.until(kept[name], state), 1) for name, state in wanted.items()}
    assert cloud.pid(kept["running"]) == pids["running"] and cloud.pid(kept["paused"]) == pids["paused"]
    eventually("it was started again", lambda: (cloud.record(kept["asked"]) or {}).get("pid") not in (None, pids["asked"]))
    eventually("its process is gone", lambda: cloud.record(kept["asleep"]) is None)
    for name in ("paused", "asleep", "leaves", "dies"):
        cloud.act(kept[name], "start")
        assert cloud.state(kept[name]) == "active", name
    assert cloud.pid(kept["paused"]) == pids["paused"]
    for path in kept.values():
        cloud.call("DELETE", path)
    say(scenario="after", milliseconds=took)


SCENARIOS = {"life": life, "hibernation": hibernation, "by-itself": by_itself, "devices": devices, "save": save, "closed": closed, "deleted": deleted}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario", choices=[*SCENARIOS, "all", "before", "between", "after"])
    parser.add_argument("--url", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--token")
    parser.add_argument("--facts")
    asked = parser.parse_args()
    cloud = Cloud(asked.url, asked.data, asked.token)
    if asked.scenario == "before":
        return before(cloud)
    if asked.scenario == "after":
        return after(cloud, json.loads(asked.facts))
    if asked.scenario == "between":
        return between(json.loads(asked.facts))
    prepare(cloud)
    for name, scenario in SCENARIOS.items():
        if asked.scenario in (name, "all"):
            scenario(cloud)


if __name__ == "__main__":
    main()
