"""octavia's own amphora agent, all it writes below one directory: the reference to compare an amphora with.

usage: octavia_agent.py DIRECTORY AMPHORA PORT SERVER_PEM CLIENT_CA [BASE_PATH]

Needs root (namespaces of mounts and processes). Prints `serving` when it accepts. SIGKILL ends it with all its
programs; `unshare`, which it is started by, heeds no other signal.

The agent is started by the `main` of its own command `amphora-agent`: gunicorn with one worker, TLS with client
certificates, and the sender of heartbeats. Changed is only where it lies: paths below DIRECTORY instead of those of an
amphora's image, log files instead of syslog, `systemctl` from `octavia_systemctl.py`, the namespace `amphora-haproxy`
is that of the caller (whose firewall stays as it is: rules are written, not loaded), and there is little free memory,
of which the controller gives two fifths to TLS sessions.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time

ISOLATE = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
FREE_KB = {"MemFree": 65536, "Buffers": 0, "Cached": 0}
CONFIG = """\
[haproxy_amphora]
base_path = {base}
base_cert_dir = {base}/certs
bind_host = 127.0.0.1
bind_port = {port}
[amphora_agent]
agent_server_ca = {clients}
agent_server_cert = {directory}/server.pem
agent_server_network_dir = {directory}/interfaces
amphora_id = {amphora}
[health_manager]
heartbeat_key = reference
"""


def prepare(directory, amphora, port, server, clients, base):
    """Files: a certificate that may be replaced, the configuration where the agent looks for it, the stand-in."""
    for name in ("units", "bin", "interfaces", ".octavia"):
        os.makedirs(os.path.join(directory, name), exist_ok=True)
    os.makedirs(base, exist_ok=True)
    shutil.copy(server, os.path.join(directory, "server.pem"))
    settings = {"base": base, "port": port, "clients": clients, "directory": directory, "amphora": amphora}
    # `PUT config` overwrites the first configuration found by name, not the one of `--config-file`: HOME leads to it.
    write(directory, ".octavia/amphora-agent.conf", CONFIG.format(**settings))
    write(directory, "group.cfg", "global\n    group nogroup\n")
    script = os.path.join(os.path.dirname(__file__), "octavia_systemctl.py")
    write(directory, "bin/systemctl", f'#!/bin/sh\nexec {sys.executable} {script} {directory}/units "$@"\n')
    os.chmod(os.path.join(directory, "bin/systemctl"), 0o755)
    with open("/proc/meminfo") as file:
        memory = file.read()
    for name, size in FREE_KB.items():
        memory = re.sub(rf"^{name}:.*$", f"{name}: {size} kB", memory, flags=re.MULTILINE)
    write(directory, "meminfo", memory)


def write(directory, name, text):
    with open(os.path.join(directory, name), "w") as file:
        file.write(text)


def mount(directory):
    """In the mount namespace: `amphora-haproxy` names the network namespace that we are in."""
    namespace = "/run/netns/amphora-haproxy"
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    os.makedirs(os.path.dirname(namespace))
    with open(namespace, "w"):
        pass
    subprocess.run(["mount", "--bind", "/proc/self/ns/net", namespace], check=True)
    subprocess.run(["mount", "--bind", os.path.join(directory, "meminfo"), "/proc/meminfo"], check=True)


def serve(directory):
    """Be the agent; does not return."""
    os.environ["HOME"] = directory
    os.environ["PATH"] = ":".join([os.path.join(directory, "bin"), os.path.dirname(sys.executable), os.environ["PATH"]])
    sys.argv = ["amphora-agent"]
    log = open(os.path.join(directory, "agent.log"), "a")
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)

    from octavia.cmd import agent
    from octavia.common import constants

    constants.SYSTEMD_DIR = os.path.join(directory, "units")
    constants.HAPROXY_USER_GROUP_CFG = os.path.join(directory, "group.cfg")
    constants.PLUGGED_INTERFACES = os.path.join(directory, "plugged_interfaces")
    constants.NFT_RULES_FILE, constants.NFT_CMD = os.path.join(directory, "nftables-vip.rules"), "/bin/true"

    class Agent(agent.AmphoraAgent):
        def __init__(self, app, options):
            logs = {name: os.path.join(directory, f"{name}.log") for name in ("accesslog", "errorlog")}
            super().__init__(app, {**options, **logs, "syslog": False})

    agent.AmphoraAgent = Agent
    agent.main()


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def supervise(directory, port):
    """As the first process of its namespace: start the agent, and wait for it and for all that loses its parent."""
    mount(directory)
    child = os.fork()
    if child == 0:
        serve(directory)
    serving = False
    while True:
        ended, status = os.waitpid(-1, 0 if serving else os.WNOHANG)
        if ended == child:
            sys.exit(f"the agent ended: see {directory}/agent.log")
        if not serving and accepts(port):
            serving = True
            print("serving", flush=True)
        elif not serving:
            time.sleep(0.02)


def main(directory, amphora, port, server, clients, base=None):
    directory = os.path.abspath(directory)
    base = base or os.path.join(directory, "octavia")
    if os.getpid() != 1:
        prepare(directory, amphora, port, os.path.abspath(server), os.path.abspath(clients), base)
        os.execvp(ISOLATE[0], [*ISOLATE, sys.executable, *sys.argv])
    supervise(directory, int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
