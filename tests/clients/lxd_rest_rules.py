"""The rules of section 3: resources, codes, entity tags, waiting."""

import json
import re
import threading
import time

from lxd_lab import BOOK, Caller, Certificate, Relation, problem, refuses, rule, until

MERGE = {"Content-Type": "application/merge-patch+json"}
KEYS = ["nodes", "registered_certificates", "version"]


def nodes(lab):
    BOOK.section = "3.1 nodes"
    one, two, operator = lab.node(0), lab.node(1), lab.operator
    made = operator("PUT", "nodes/one", one)
    rule(
        "PUT of a new node is 201 with its Location",
        made.status_code == 201 and made.headers["Location"].endswith("/v1/nodes/one"),
        made.text,
    )
    fields = "name endpoint server_name server_version clustered state error last_seen certificate_fingerprint".split()
    rule(
        "a node's view has all fields and no key",
        set(fields) <= made.json().keys() and "PRIVATE" not in made.text,
        made.text,
    )
    view = lab.until_node("one", "online")
    rule(
        "a node says how its server is",
        (view["server_name"], view["server_version"], view["clustered"], view["error"])
        == (lab.servers[0].name, "5.0.2", False, None),
        view,
    )
    rule("the fingerprint is the server's", view["certificate_fingerprint"] == lab.servers[0].fp, view)
    rule(
        "the time it was seen is told", re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", view["last_seen"] or ""), view
    )
    replaced = operator("PUT", "nodes/one", one)
    rule("PUT of a node that is there is 200", replaced.status_code == 200, replaced.text)
    by_print = {
        **{key: two[key] for key in two if key != "server_certificate"},
        "server_fingerprint": lab.servers[1].fp,
    }
    rule("a fingerprint stands for the server's certificate", operator("PUT", "nodes/two", by_print).status_code == 201)
    lab.until_node("two", "online")
    colons = ":".join(re.findall("..", lab.servers[1].fp.upper()))
    rule(
        "a fingerprint may have colons",
        operator("PUT", "nodes/two", {**by_print, "server_fingerprint": colons}).status_code == 200,
    )
    listed = operator("GET", "nodes")
    rule("the list has the views", [node["name"] for node in listed.json()] == ["one", "two"], listed.text)
    taken = operator("PUT", "nodes/one", two)
    refuses("a name in use by another store is 409", 409, taken)
    refuses("an unknown node is 404", 404, operator("GET", "nodes/three"))
    for what, body in {
        "no endpoint": {key: one[key] for key in one if key != "endpoint"},
        "a path in the endpoint": {**one, "endpoint": one["endpoint"] + "/1.0"},
        "no pin": {key: one[key] for key in one if key != "server_certificate"},
        "both pins": {**one, "server_fingerprint": lab.servers[0].fp},
        "a field that there is not": {**one, "pasword": "x"},
        "a key of another certificate": {**one, "client_key": Certificate("other", "p384").key},
        "a certificate for a key": {**one, "client_key": one["client_certificate"]},
        "a list": [one],
    }.items():
        answer = operator("PUT", "nodes/bad", body)
        rule(f"PUT of a node with {what} is 422", problem(answer, 422) and "PRIVATE" not in answer.text, answer.text)
    broken = operator("PUT", "nodes/bad", json.dumps(one)[:-9])
    rule(
        "PUT of a node that is not JSON is 400 and quotes nothing",
        problem(broken, 400) and one["client_key"][40:60] not in broken.text,
        broken.text,
    )
    rule("what was refused is not there", operator("GET", "nodes/bad").status_code == 404)
    etag = operator("GET", "nodes/one").headers["ETag"]
    rule(
        "If-None-Match of a node is 304",
        operator("GET", "nodes/one", headers={"If-None-Match": etag}).status_code == 304,
    )
    refuses("If-Match that fails is 412", 412, operator("PUT", "nodes/one", one, {"If-Match": '"x"'}))
    refuses(
        "If-None-Match: * on a node that is there is 412",
        412,
        operator("PUT", "nodes/one", one, {"If-None-Match": "*"}),
    )
    refuses(
        "PATCH of another type is 415",
        415,
        operator("PATCH", "nodes/one", {"enabled": False}, {"Content-Type": "application/json"}),
    )
    off = operator("PATCH", "nodes/two", {"enabled": False}, MERGE)
    rule("PATCH disables a node", off.status_code == 200 and off.json()["state"] == "disabled", off.text)
    rule("PATCH enables it", operator("PATCH", "nodes/two", {"enabled": True}, MERGE).status_code == 200)
    lab.until_node("two", "online")
    dead = {**by_print, "endpoint": lab.nowhere, "server_fingerprint": "0" * 64}
    rule("PUT works while the node is down", operator("PUT", "nodes/dead", dead).status_code == 201)
    view = lab.until_node("dead", "offline")
    rule("a node that is away says why", "refused" in (view.get("error") or ""), view)
    gone = operator("DELETE", "nodes/dead")
    rule("DELETE of a node that holds nothing of ours is 204", gone.status_code == 204, gone.text)
    other = {**by_print, "server_fingerprint": "1" * 64}
    operator("PUT", "nodes/other", other)
    lab.until_node("other", "pin-mismatch")
    rule("a node with another certificate is pin-mismatch", True)
    operator("DELETE", "nodes/other")
    stranger = Certificate("stranger")
    operator("PUT", "nodes/untrusted", {**by_print, "client_certificate": stranger.pem, "client_key": stranger.key})
    # It shares a store with `two`; alone it could not be asked for anything.
    lab.until_node("untrusted", "untrusted")
    rule("a node that does not trust us is untrusted", True)
    rule("DELETE of one of two nodes with one store is 204", operator("DELETE", "nodes/untrusted").status_code == 204)
    rule("reconcile is 202", lab.reconcile().status_code == 202)


def relations(lab):
    BOOK.section = "3.1 relations"
    operator = lab.operator
    relation = Relation(lab)
    made = relation.made.json()
    rule(
        "a relation is made with an id, a token and a Location",
        relation.made.headers["Location"].endswith(relation.path) and made["id"] and made["token"],
        made,
    )
    rule("a token is told once", "token" not in operator("GET", relation.path).json())
    rule(
        "a relation says what it was made with",
        (made["interface"], made["remote_app"], made["label"]) == ("lxd", "demo", "of a test"),
    )
    rule("relations are listed", relation.id in [one["id"] for one in operator("GET", "relations").json()])
    refuses(
        "another interface is 422", 422, operator("POST", "relations", {"interface": "lxd-https", "remote_app": "a"})
    )
    refuses("no application is 422", 422, operator("POST", "relations", {"interface": "lxd"}))
    refuses("not JSON is 400", 400, operator("POST", "relations", "{"))
    rule(
        "version and nodes are there before any certificate",
        relation.provider()["version"] == "1.0" and len(relation.nodes()) == 2,
        relation.provider(),
    )
    refuses("an unknown relation is 404", 404, operator("GET", "relations/0123"))

    BOOK.section = "3.1 units"
    rule(
        "joining is 201 with a Location",
        (lambda got: got.status_code == 201 and got.headers["Location"].endswith("/units/7"))(relation.join(7)),
    )
    rule("joining again is 200", relation.join(7).status_code == 200)
    rule("a unit is told", relation("GET", "units/7").json()["unit"] == "demo/7")
    rule("a fresh unit's bag is empty", relation.bag(7) == {})
    for name in ("07", "x", "-1", "99999999999"):
        answer = relation.join(name)
        refuses(f"a unit `{name}` is 404", 404, answer)
    rule(
        "an unknown unit is 404",
        problem(relation("GET", "units/8"), 404) and problem(relation("GET", "units/8/data"), 404),
    )
    refuses("a bag of a unit that did not join is 404", 404, relation.write(unit=8))
    refuses(
        "If-None-Match: * on a unit that joined is 412", 412, relation("PUT", "units/7", headers={"If-None-Match": "*"})
    )
    refuses("departing with a wrong If-Match is 412", 412, relation("DELETE", "units/7", headers={"If-Match": '"x"'}))
    rule("departing is 204", relation("DELETE", "units/7").status_code == 204)
    refuses("departing again is 404", 404, relation("DELETE", "units/7"))

    BOOK.section = "3.1 provider"
    put = relation("PUT", "provider/data", {})
    rule("PUT of the provider's bag is 405 with Allow", problem(put, 405) and "GET" in put.headers["Allow"], put.text)
    head = relation("HEAD", "provider/data")
    rule(
        "HEAD of the provider's bag has its ETag",
        head.status_code == 200 and head.headers["ETag"] == relation("GET", "provider/data").headers["ETag"],
    )
    rule("the bag's keys are those of the contract", sorted(relation.provider()) == KEYS)
    rule("all values are strings", all(isinstance(value, str) for value in relation.provider().values()))
    relation.end()


def access(lab):
    BOOK.section = "3.3, 3.7 access"
    mine, other = Relation(lab), Relation(lab)
    rule("no token is 401", problem(lab.stranger("GET", mine.path), 401) and problem(lab.stranger("GET", "nodes"), 401))
    refuses("a wrong token is 401", 401, Caller(lab.url, "wrong")("GET", mine.path))
    rule("401 says how", "Bearer" in lab.stranger("GET", mine.path).headers["WWW-Authenticate"])
    foreign = mine.requirer
    rule(
        "another relation's bag is 403",
        problem(foreign("PUT", f"{other.path}/units/0/data", {}), 403)
        and problem(foreign("GET", f"{other.path}/units/0/data"), 403),
    )
    refuses("another relation's provider is 403", 403, foreign("GET", f"{other.path}/provider/data"))
    for method, path in (
        ("GET", "nodes"),
        ("PUT", "nodes/x"),
        ("GET", "relations"),
        ("POST", "relations"),
        ("GET", "certificates"),
        ("POST", "reconcile"),
        ("DELETE", mine.path),
    ):
        rule(f"{method} {path.split('/')[0]} is not a requirer's", foreign(method, path, {}).status_code in (401, 403))
    for path in ("", "units/0", "units/0/data", "provider/data", "certificates"):
        rule(f"a requirer reads {path or 'its relation'}", mine("GET", path).status_code == 200)
        rule(
            f"an operator reads {path or 'a relation'}",
            lab.operator("GET", f"{mine.path}/{path}".rstrip("/")).status_code == 200,
        )
    mine.end(), other.end()


def watching(lab):
    BOOK.section = "3.4 watching"
    relation, certificate = Relation(lab), Certificate("watched")
    read = relation("GET", "provider/data")
    etag = read.headers["ETag"]
    rule("a strong ETag", re.fullmatch(r'"[^"]+"', etag))
    rule("If-None-Match is 304", relation("GET", "provider/data", headers={"If-None-Match": etag}).status_code == 304)
    began = time.monotonic()
    rule(
        "a poll without a tag is answered at once",
        relation("GET", "provider/data", params={"wait": 30}).status_code == 200,
    )
    rule(
        "a poll with another tag is answered at once",
        relation("GET", "provider/data", params={"wait": 30}, headers={"If-None-Match": '"x"'}).status_code == 200
        and time.monotonic() - began < 5,
    )
    began = time.monotonic()
    rule(
        "a poll that sees no change is 304 after its time",
        relation("GET", "provider/data", params={"wait": 2}, headers={"If-None-Match": etag}).status_code == 304
        and 2 <= time.monotonic() - began < 5,
    )
    for wait in ("x", "-1", "1.5"):
        refuses(f"wait={wait} is 400", 400, relation("GET", "provider/data", params={"wait": wait}))
    polled = []
    token = relation.made.json()["token"]
    poll = threading.Thread(
        target=lambda: polled.append(
            Caller(lab.url, token)(
                "GET", f"{relation.path}/provider/data", params={"wait": 1000}, headers={"If-None-Match": etag}
            )
        )
    )
    poll.start()
    relation("PUT", "units/0/data", {"a": "1"})
    relation("PUT", "units/0/data", {"a": "1"})
    relation.write(certificate)
    poll.join()
    rule(
        "a poll ends with the first change",
        polled[0].status_code == 200 and polled[0].headers["ETag"] != etag and certificate.fp in polled[0].text,
    )
    relation.until_registered(certificate)

    BOOK.section = "3.4 events"
    stream = relation("GET", "provider/events", stream=True)
    lines = stream.iter_lines(decode_unicode=True)
    rule("events are a stream", stream.headers["Content-Type"].startswith("text/event-stream"))

    def event():
        found = {}
        for line in lines:
            if not line and found:
                return found
            if line and not line.startswith(":"):
                field, _, value = line.partition(": ")
                found[field] = value
        return found

    first = event()
    tag = relation("GET", "provider/data").headers["ETag"]
    rule(
        "an event is the bag, and its id the ETag",
        first["id"] == tag and json.loads(first["data"]) == relation.provider(),
        first,
    )
    relation.write()
    second = event()
    rule("a change is an event", second["id"] != tag and certificate.fp not in second["data"], second)
    stream.close()
    tag = until(
        "the bag is at rest",
        lambda: not relation.nodes()[lab.servers[0].endpoint] and relation("GET", "provider/data").headers["ETag"],
    )
    resumed = relation("GET", "provider/events", headers={"Last-Event-ID": tag}, stream=True)
    lines = resumed.iter_lines(decode_unicode=True)
    relation.end()
    ended = event()
    rule("Last-Event-ID takes it up, and its end is told", ended.get("event") == "broken", ended)
    resumed.close()
    lab.until_gone(certificate)


def views(lab):
    BOOK.section = "3.5 views"
    relation, certificate = Relation(lab), Certificate("viewed")
    relation.write(certificate)
    relation.until_registered(certificate)
    view = relation.view(certificate)
    fields = "fingerprint subject not_before not_after key ignored_blocks owners nodes".split()
    rule("a view has all fields", sorted(view) == sorted(fields), view)
    rule(
        "a node's part has all fields",
        all(sorted(state) == sorted("node state owned attempts next_attempt error".split()) for state in view["nodes"]),
        view,
    )
    rule(
        "what it says is so",
        (view["subject"], view["not_after"]) == ("CN=viewed", certificate.ends.strftime("%Y-%m-%dT%H:%M:%SZ")),
        view,
    )
    whole = lab.operator("GET", f"certificates/{certificate.fp}")
    rule("the operator's view is the same", whole.json()["nodes"] == view["nodes"])
    rule(
        "it has an ETag",
        lab.operator(
            "GET", f"certificates/{certificate.fp}", headers={"If-None-Match": whole.headers["ETag"]}
        ).status_code
        == 304,
    )
    rule(
        "all are listed", [one["fingerprint"] for one in lab.operator("GET", "certificates").json()] == [certificate.fp]
    )
    rule(
        "an unknown one is 404",
        problem(lab.operator("GET", f"certificates/{'0' * 64}"), 404)
        and problem(lab.operator("GET", f"certificates/{certificate.fp[:12]}"), 404),
    )
    relation.end()
    lab.until_gone(certificate)
