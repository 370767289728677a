"""A real Keystone on a port of 127.0.0.1, with SQLite, for tests.

    keystone_server.py DIRECTORY PORT TEMPLATES [SECONDS]

DIRECTORY is this Keystone's own. What every one begins with (a database with the user `admin`, password `admin`, and keys)
is made once and kept in TEMPLATES. Tokens live for SECONDS, an hour if nothing is said. Prints `serving` when it serves, and ends with
its standard input.
"""

import base64
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

CONFIGURATION = """
[DEFAULT]
log_dir =
use_stderr = true
default_log_levels = keystone=WARNING,alembic=WARNING,sqlalchemy=WARNING
[database]
connection = sqlite:///{directory}/keystone.db
[cache]
enabled = false
[fernet_tokens]
key_repository = {directory}/keys
[fernet_receipts]
key_repository = {directory}/keys
[credential]
key_repository = {directory}/keys
[token]
expiration = {seconds}
"""


def configure(directory, seconds):
    text = CONFIGURATION.format(directory=directory, seconds=seconds)
    (directory / "keystone.conf").write_text(text)


def prepare(template):
    """What every Keystone begins with. Whoever is first makes it."""
    if template.exists():
        return
    template.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=template.parent))
    configure(made, 3600)
    keys = made / "keys"
    keys.mkdir(mode=0o700)
    for name in ("0", "1"):
        (keys / name).write_bytes(base64.urlsafe_b64encode(os.urandom(32)))
        (keys / name).chmod(0o600)
    manage = [str(Path(sys.executable).parent / "keystone-manage"), "--config-file", str(made / "keystone.conf")]
    subprocess.run([*manage, "db_sync"], check=True, stderr=subprocess.DEVNULL)
    bootstrap = ["bootstrap", "--bootstrap-password", "admin", "--bootstrap-public-url", "http://keystone.test/v3"]
    subprocess.run([*manage, *bootstrap], check=True, stderr=subprocess.DEVNULL)
    try:
        made.rename(template)
    except OSError:
        # Another test was faster.
        shutil.rmtree(made)


def end_with_input():
    sys.stdin.read()
    os._exit(0)


def main():
    directory, port, templates = Path(sys.argv[1]).resolve(), int(sys.argv[2]), Path(sys.argv[3])
    seconds = int(sys.argv[4]) if len(sys.argv) > 4 else 3600
    template = templates / "keystone"
    prepare(template)
    if not (directory / "keystone.db").exists():
        shutil.copytree(template, directory, dirs_exist_ok=True)
    configure(directory, seconds)
    os.environ["OS_KEYSTONE_CONFIG_DIR"] = str(directory)
    # Keystone reads the arguments of whoever runs it.
    sys.argv = ["keystone"]
    from keystone.wsgi.api import application
    from waitress.server import create_server

    server = create_server(application, host="127.0.0.1", port=port, threads=8, clear_untrusted_proxy_headers=True)
    threading.Thread(target=end_with_input, daemon=True).start()
    print("serving", flush=True)
    server.run()


if __name__ == "__main__":
    main()
