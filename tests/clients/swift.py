"""python-swiftclient against the object store: containers, objects, listings, ranges, metadata."""

import hashlib
import os
import sys

from swiftclient import client

url, token = sys.argv[1:3]
swift = client.Connection(preauthurl=url, preauthtoken=token, retries=0)

swift.put_container("box")
content = os.urandom(9 * 1024 * 1024 + 17)
etag = swift.put_object("box", "dir/big.bin", content, content_type="application/octet-stream")
assert etag == hashlib.md5(content).hexdigest(), etag
swift.put_object("box", "dir/small", iter([b"one", b"two"]), content_type="text/plain", chunk_size=3)

headers, body = swift.get_object("box", "dir/big.bin")
assert body == content
assert headers["content-type"] == "application/octet-stream"
_, part = swift.get_object("box", "dir/big.bin", headers={"Range": "bytes=4194300-4194400"})
assert part == content[4194300:4194401]
_, small = swift.get_object("box", "dir/small")
assert small == b"onetwo"

_, rows = swift.get_container("box", prefix="dir/", full_listing=True)
assert [row["name"] for row in rows] == ["dir/big.bin", "dir/small"], rows
assert rows[0]["bytes"] == len(content)

swift.post_object("box", "dir/small", {"X-Object-Meta-Color": "blue"})
assert swift.head_object("box", "dir/small")["x-object-meta-color"] == "blue"

swift.delete_object("box", "dir/small")
try:
    swift.head_object("box", "dir/small")
except client.ClientException as error:
    assert error.http_status == 404
else:
    raise AssertionError("the object is still there")
try:
    swift.delete_container("box")
except client.ClientException as error:
    assert error.http_status == 409
else:
    raise AssertionError("a container that is not empty was deleted")
swift.delete_object("box", "dir/big.bin")
swift.delete_container("box")
print("all well")
