"""systemctl for octavia's agent where no systemd runs: octavia_systemctl.py UNITS COMMAND UNIT.

Reads the unit files that the agent writes and does what it asks of them: start (`Type=notify` and `Type=forking`),
stop, restart, reload. Enabling does nothing, and nobody restarts what ended by itself.
"""

import ctypes
import os
import re
import resource
import shlex
import signal
import socket
import subprocess
import sys
import time

PATIENCE = 10
# Who loses its parent becomes a child of ours: so we see a daemon end that has just been started.
PR_SET_CHILD_SUBREAPER = 36


class Unit:
    def __init__(self, units, name):
        self.name, self.settings, self.environment = name, {}, {}
        self.pid_file = os.path.join(units, name + ".main")
        self.log = os.path.join(units, name + ".log")
        with open(os.path.join(units, name)) as file:
            for key, value in re.findall(r"^(\w+)=(.*)$", file.read(), re.MULTILINE):
                self.settings.setdefault(key, []).append(value.strip())
        for assignment in shlex.split(" ".join(self.settings.get("Environment", []))):
            key, value = assignment.split("=", 1)
            self.environment[key] = value

    def commands(self, key):
        for line in self.settings.get(key, []):
            replaced = re.sub(r"\$(\w+)", lambda found: self.variable(found.group(1)), line)
            yield shlex.split(replaced)

    def variable(self, name):
        return str(self.main()) if name == "MAINPID" else self.environment[name]

    def main(self):
        """The main process, if it runs."""
        try:
            with open(self.settings.get("PIDFile", [self.pid_file])[0]) as file:
                pid = int(file.read().split()[0])
            with open(f"/proc/{pid}/stat") as file:
                return None if file.read().rpartition(")")[2].split()[0] == "Z" else pid
        except (OSError, ValueError, IndexError):
            return None

    def start(self):
        if self.main():
            return
        for command in self.commands("ExecStartPre"):
            subprocess.run(command, check=True)
        [command] = self.commands("ExecStart")
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        if self.settings.get("Type") == ["forking"]:
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
            subprocess.run(command, check=True)
            until("the process id is there", lambda: self.main() or all_have_ended())
            if not self.main():
                fail(f"{self.name} ended at once")
        else:
            self.start_and_be_told(command)

    def start_and_be_told(self, command):
        """`Type=notify`: started is what says READY=1."""
        told = os.path.join(os.path.dirname(self.pid_file), self.name + ".notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, open(self.log, "w") as log:
            if os.path.exists(told):
                os.unlink(told)
            ready.bind(told)
            ready.settimeout(0.05)
            environment = {**os.environ, "NOTIFY_SOCKET": told}
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )

            def is_ready():
                try:
                    return b"READY=1" in ready.recv(4096)
                except TimeoutError:
                    return child.poll() is not None

            until("it is ready", is_ready)
        if child.poll() is not None:
            with open(self.log) as log:
                fail(log.read())
        with open(self.pid_file, "w") as file:
            file.write(str(child.pid))

    def stop(self):
        if pid := self.main():
            os.kill(pid, signal.SIGTERM)
            until("it has ended", lambda: not self.main())

    def restart(self):
        self.stop()
        self.start()

    def reload(self):
        if not self.main():
            fail(f"{self.name} is not active, cannot reload.")
        for command in self.commands("ExecReload"):
            subprocess.run(command, check=True)


def all_have_ended():
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


def until(what, check):
    deadline = time.monotonic() + PATIENCE
    while not check():
        if time.monotonic() > deadline:
            fail(f"waited too long until {what}")
        time.sleep(0.01)


def fail(why):
    print(why, file=sys.stderr)
    sys.exit(1)


def main(units, command, name):
    if command in ("enable", "disable"):
        return
    if command not in ("start", "stop", "restart", "reload"):
        fail(f"no such command: {command}")
    name = name if name.endswith(".service") else name + ".service"
    try:
        getattr(Unit(units, name), command)()
    except (OSError, subprocess.CalledProcessError) as error:
        fail(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
