# -*- coding: utf-8 -*-
"""kamaki 0.16 (Python 2.7), library and command line: files by hashmap, images, sharing."""

from __future__ import print_function

import os
import subprocess
import sys
import tempfile
import time

from kamaki.clients import ClientError
from kamaki.clients.image import ImageClient
from kamaki.clients.pithos import PithosClient

BLOCK = 4 << 20
root, program, ann, ann_token, bob, bob_token = sys.argv[1:7]


def holding(data=b""):
    kept = tempfile.NamedTemporaryFile()
    kept.write(data)
    kept.flush()
    kept.seek(0)
    return kept


def refused(status, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except ClientError as error:
        assert error.status == status, error
        return
    raise AssertionError("%s was not refused" % call)


def library():
    pithos = PithosClient(root + "/object-store/v1", ann_token, ann, "box")
    images = ImageClient(root + "/image/v1.0", ann_token)
    pithos.create_container("box")

    def remote(name, **named):
        out = tempfile.NamedTemporaryFile()
        pithos.download_object(name, out, **named)
        out.flush()
        out.seek(0)
        return out.read()

    # Blocks that repeat, that are empty, and zeros at the end of the last.
    big = os.urandom(BLOCK) + b"\0" * BLOCK + b"a" * (2 * BLOCK) + os.urandom(123457) + b"\0\0"
    pithos.upload_object("big", holding(big))
    assert remote("big") == big
    assert pithos.get_object_hashmap("big")["bytes"] == len(big)
    pithos.upload_object("empty", holding())
    assert remote("empty") == b""

    # In place.
    pithos.upload_from_string("text", "hello")
    pithos.append_object("text", holding("world"))
    pithos.overwrite_object("text", 0, 1, holding("HE"))
    assert remote("text") == b"HElloworld"
    pithos.truncate_object("text", 4)
    assert remote("text") == b"HEll"
    pithos.overwrite_object("big", BLOCK - 2, BLOCK + 2, holding(b"abcde"))
    changed = big[: BLOCK - 2] + b"abcde" + big[BLOCK + 3 :]
    assert remote("big") == changed

    # History, copies, conditions.
    first = pithos.get_object_versionlist("text")[0][0]
    assert remote("text", version=first) == b"hello"
    pithos.copy_object("box", "text", "box", "copy", source_version=first)
    pithos.move_object("box", "copy", "box", "moved")
    assert remote("moved") == b"hello"
    refused(404, pithos.get_object_info, "copy")
    refused(412, pithos.upload_object, "big", holding(big), if_not_exist=True)

    # An image of it, shared and taken back.
    location = "pithos://%s/box/big" % ann
    image = images.register("Débian", location, params={"is_public": False}, properties={"OS": "Debian Linux"})
    number = image["id"]
    assert images.get_meta(number)["properties"] == {"os": "Debian Linux"}
    theirs = ImageClient(root + "/image/v1.0", bob_token)
    refused(403, theirs.get_meta, number)
    images.add_member(number, bob)
    assert theirs.get_meta(number)["name"] == u"Débian"
    assert number in [found["id"] for found in theirs.list_public()]
    reader = PithosClient(root + "/object-store/v1", bob_token, ann, "box")
    out = tempfile.NamedTemporaryFile()
    reader.download_object("big", out)
    out.flush()
    out.seek(0)
    assert out.read() == changed
    images.remove_member(number, bob)
    refused(403, theirs.get_meta, number)
    images.unregister(number)
    refused(404, images.get_meta, number)

    # Emptied, purged and gone, the way the command line does it.
    pithos.del_container(delimiter="/")
    pithos.purge_container()
    refused(404, pithos.get_container_info)


def command_line():
    settings = tempfile.NamedTemporaryFile()

    def kamaki(*arguments):
        command = [sys.executable, program, "-c", settings.name] + list(arguments)
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        out, _ = running.communicate()
        assert running.returncode == 0, (arguments, out)
        return out

    kamaki("config", "set", "cloud.here.url", root + "/identity/v2.0")
    kamaki("config", "set", "cloud.here.token", ann_token)
    kamaki("config", "set", "default_cloud", "here")
    assert ann in kamaki("user", "info")
    kamaki("container", "create", "images")
    content = os.urandom(BLOCK + 99)
    kept = holding(content)
    kamaki("file", "upload", kept.name, "/images/disk.img")
    assert "disk.img" in kamaki("file", "list", "/images")
    back = tempfile.mktemp()
    kamaki("file", "download", "/images/disk.img", back)
    with open(back, "rb") as downloaded:
        assert downloaded.read() == content
    os.unlink(back)
    kamaki("image", "register", "--name", "Disk", "--location", "/images/disk.img", "--property", "OS=Linux")
    listed = kamaki("image", "list", "--name", "Disk")
    assert "Disk" in listed, listed
    kamaki("file", "publish", "/images/disk.img")


library()
command_line()
print("all well")
