"""python-glanceclient's v1 client: data, reservations, updates, pages, members, refusals."""

import hashlib
import io
import os
import subprocess
import sys
import tempfile

from glanceclient import exc
from glanceclient.v1.client import Client

url, ann_token, bob_token = sys.argv[1:4]
ann, bob = Client(url, token=ann_token), Client(url, token=bob_token)


def refused(kind, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except kind:
        return
    raise AssertionError(f"{call} {arguments} {named} was not refused with {kind}")


def data(client, image):
    return b"".join(client.images.data(image))


# With data, and back by somebody else.
content = os.urandom(5000)
formats = {"disk_format": "raw", "container_format": "bare"}
image = ann.images.create(
    name="Deb ☂ ian",
    is_public=True,
    min_ram=256,
    properties={"distro": "Debian Linux"},
    data=io.BytesIO(content),
    **formats,
)
assert (image.status, image.size, image.name) == ("active", 5000, "Deb ☂ ian"), image
assert image.checksum == hashlib.md5(content).hexdigest()
assert data(ann, image.id) == content == data(bob, image.id)

# 64 MB, chunked.
big = os.urandom(1 << 20) * 64
large = ann.images.create(name="big", data=io.BytesIO(big), **formats)
assert (large.size, large.checksum) == (len(big), hashlib.md5(big).hexdigest())
assert data(ann, large.id) == big

# Reserved first, its data later; what does not fit changes nothing.
reserved = ann.images.create(name="reserved", size=len(content))
assert reserved.status == "queued"
refused(exc.HTTPNotFound, data, ann, reserved.id)
refused(exc.HTTPBadRequest, ann.images.update, reserved.id, data=io.BytesIO(content[:-1]), size=5000, **formats)
assert ann.images.get(reserved.id).status == "queued"
assert ann.images.update(reserved.id, data=io.BytesIO(content), **formats).status == "active"
refused(exc.HTTPConflict, ann.images.update, reserved.id, data=io.BytesIO(content))

# Refused, and nothing remains.
before = len(list(ann.images.list()))
refused(exc.HTTPBadRequest, ann.images.create, name="x", checksum="0" * 32, data=io.BytesIO(content), **formats)
refused(exc.HTTPBadRequest, ann.images.create, name="x", size=4999, data=io.BytesIO(content), **formats)
refused(exc.HTTPBadRequest, ann.images.create, name="x", disk_format="raw", container_format="ami")
refused(exc.HTTPBadRequest, ann.images.create, name="x", copy_from="http://127.0.0.1/x", **formats)
assert len(list(ann.images.list())) == before

# A chosen id, once.
chosen = "11111111-2222-4333-8444-555555555555"
assert ann.images.create(id=chosen, name="chosen").id == chosen
refused(exc.HTTPConflict, bob.images.create, id=chosen, name="again")

# Properties stay unless they are purged.
assert set(ann.images.update(image.id, properties={"os": "x"}).properties) == {"distro", "os"}
assert ann.images.update(image.id, properties={"os": "y"}, purge_props=True).properties == {"os": "y"}
refused(exc.HTTPForbidden, bob.images.update, image.id, name="mine")

# Pages, filters, orders.
for number in range(25):
    odd = {"odd": str(number % 2)}
    ann.images.create(name=f"p{number:02}", data=io.BytesIO(b"x" * number), properties=odd, **formats)
everything = list(ann.images.list(page_size=7))
assert len(everything) == before + 26, len(everything)
assert [found.name for found in everything[:3]] == ["p24", "p23", "p22"]
for key in ("name", "size", "id", "created_at", "updated_at"):
    for direction in ("asc", "desc"):
        page = list(ann.images.list(page_size=7, sort_key=key, sort_dir=direction))
        values = [getattr(found, key) for found in page]
        assert values == sorted(values, reverse=direction == "desc"), (key, direction, values)
assert len(list(ann.images.list(filters={"properties": {"odd": "1"}}))) == 12
assert len(list(ann.images.list(filters={"size_min": 20, "size_max": 24}))) == 5
rest = list(ann.images.list(marker=everything[10].id))
assert [found.id for found in rest] == [found.id for found in everything[11:]]
refused(exc.HTTPBadRequest, lambda: list(ann.images.list(filters={"size_min": "x"})))
assert [found.id for found in bob.images.list()] == [image.id]

# Members.
shared = everything[0].id
refused(exc.HTTPNotFound, bob.images.get, shared)
ann.image_members.create(shared, "bob", can_share=True)
assert [(member.member_id, member.can_share) for member in ann.image_members.list(image=shared)] == [("bob", True)]
assert data(bob, shared) == b"x" * 24
assert [member.image_id for member in bob.image_members.list(member="bob")] == [shared]
ann.image_members.delete(shared, "bob")
refused(exc.HTTPNotFound, bob.images.get, shared)
refused(exc.HTTPNotFound, ann.image_members.delete, shared, "bob")

# Protected, deleted, gone.
ann.images.update(shared, protected=True)
refused(exc.HTTPForbidden, ann.images.delete, shared)
ann.images.update(shared, protected=False)
refused(exc.HTTPForbidden, bob.images.delete, image.id)
ann.images.delete(shared)
refused(exc.HTTPNotFound, ann.images.get, shared)


# The command line. Standard input would be image data to it unless it is closed.
def glance(*arguments):
    start = ["glance", "--os-image-api-version", "1", "--os-image-url", url, "--os-auth-token", ann_token]
    ended = subprocess.run(start + list(arguments), capture_output=True, text=True, preexec_fn=lambda: os.close(0))
    assert ended.returncode == 0, (arguments, ended.stdout, ended.stderr)
    return ended.stdout


with tempfile.TemporaryDirectory() as directory:
    there, back = os.path.join(directory, "there"), os.path.join(directory, "back")
    with open(there, "wb") as file:
        file.write(content)
    named = ["--disk-format", "qcow2", "--container-format", "bare", "--property", "os=linux"]
    assert "active" in glance("image-create", "--name", "from-cli", "--file", there, *named)
    assert "from-cli" in glance("image-list", "--property-filter", "os=linux", "--page-size", "2")
    glance("image-download", "from-cli", "--file", back)
    with open(back, "rb") as file:
        assert file.read() == content
    number = next(ann.images.list(filters={"name": "from-cli"})).id
    glance("member-create", number, "bob", "--can-share")
    assert "bob" in glance("member-list", "--image-id", number)
    glance("image-delete", "from-cli")
    assert "from-cli" not in glance("image-list")
print("all well")
