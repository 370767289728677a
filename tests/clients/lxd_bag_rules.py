"""The rules of sections 3.2 and 3.3: what a bag may hold, and how a write is refused."""

import json

from lxd_lab import BOOK, Certificate, Relation, block, codes, problem, refuses, rule, wanting

MERGE = {"Content-Type": "application/merge-patch+json"}
KEYS = ["nodes", "registered_certificates", "version"]


def bags(lab):
    BOOK.section = "3.2 bags"
    relation, good, other = Relation(lab), Certificate("good"), Certificate("other")
    juju = {"ingress-address": "10.0.0.2", "private-address": "10.0.0.2", "egress-subnets": "10.0.0.2/32"}
    wrote = relation("PUT", "units/0/data", {**juju, "version": "1.7", **wanting(good)})
    rule(
        "a write returns the bag and its ETag",
        wrote.status_code == 200
        and wrote.json() == {**juju, "version": "1.7", **wanting(good)}
        and wrote.headers["ETag"] == relation("GET", "units/0/data").headers["ETag"],
        wrote.text,
    )
    rule("unknown keys are kept", juju.items() <= relation.bag().items())
    patched = relation("PATCH", "units/0/data", {"ingress-address": None, "private-address": "", "more": "1"}, MERGE)
    rule(
        "PATCH: null and nothing delete, the rest stays",
        patched.json() == {"egress-subnets": "10.0.0.2/32", "version": "1.7", "more": "1", **wanting(good)},
        patched.text,
    )
    refuses(
        "PATCH of another type is 415", 415, relation("PATCH", "units/0/data", {}, {"Content-Type": "application/json"})
    )
    rule(
        "PUT replaces: a key that is nothing is gone",
        relation("PUT", "units/0/data", {"gone": "", **wanting(good)}).json() == wanting(good),
    )
    before = relation("GET", "units/0/data")
    refused = relation("PATCH", "units/0/data", {"new": "1", **wanting(other, "junk")}, MERGE)
    rule(
        "a refusal names key and index",
        problem(refused, 422) and codes(refused) == [("client_certificates", 1, "pem_malformed")],
        refused.text,
    )
    rule("a refusal changes nothing, not even other keys", relation("GET", "units/0/data").json() == before.json())
    same = relation("PUT", "units/0/data", before.json())
    rule("the ETag follows from the content", same.headers["ETag"] == before.headers["ETag"])
    turned = json.dumps(dict(reversed(list({**before.json(), "a": "1"}.items()))))
    tags = {relation("PUT", "units/0/data", text).headers["ETag"] for text in (turned, {**before.json(), "a": "1"})}
    rule("the order of keys does not matter", len(tags) == 1)
    etag = tags.pop()
    refuses(
        "If-Match that fails is 412", 412, relation("PUT", "units/0/data", {}, {"If-Match": before.headers["ETag"]})
    )
    refuses(
        "If-Match of PATCH that fails is 412", 412, relation("PATCH", "units/0/data", {}, {**MERGE, "If-Match": '"x"'})
    )
    rule(
        "If-Match that holds writes",
        relation("PUT", "units/0/data", before.json(), {"If-Match": etag}).status_code == 200,
    )
    refuses("If-None-Match: * on a bag is 412", 412, relation("PUT", "units/0/data", {}, {"If-None-Match": "*"}))
    rule(
        "If-None-Match of a bag is 304",
        relation("GET", "units/0/data", headers={"If-None-Match": before.headers["ETag"]}).status_code == 304,
    )
    weak = "W/" + before.headers["ETag"]
    refuses("a weak tag does not match a write", 412, relation("PUT", "units/0/data", {}, {"If-Match": weak}))

    BOOK.section = "3.2 Prefer"
    relation.until_registered(good)
    waited = relation.write(good, other, headers={"Prefer": "wait=30"})
    rule(
        "wait: the answer says that nothing is pending",
        waited.json() == {"data": wanting(good, other), "pending": []}
        and "wait=30" in waited.headers["Preference-Applied"],
        waited.text,
    )
    rule("wait: by then all nodes have it", all(other.fp in server.entries() for server in lab.servers))
    third = Certificate("third")
    lenient = relation.write(third, "junk", good, headers={"Prefer": "handling=lenient"})
    rule(
        "lenient stores the good entries",
        lenient.status_code == 200 and json.loads(relation.bag()["client_certificates"]) == [third.pem, good.pem],
        lenient.text,
    )
    rule(
        "lenient reports the bad ones",
        codes(lenient) == [("client_certificates", 1, "pem_malformed")]
        and "lenient" in lenient.headers["Preference-Applied"],
        lenient.text,
    )
    values = relation("PUT", "units/0/data", {"n": 1, "s": "1"}, {"Prefer": "handling=lenient"})
    rule(
        "lenient drops what is no string",
        relation.bag() == {"s": "1"} and codes(values) == [("n", None, "not_a_string")],
        values.text,
    )
    refuses(
        "lenient takes no bag that is none", 422, relation("PUT", "units/0/data", [], {"Prefer": "handling=lenient"})
    )
    refuses("strict is said and done", 422, relation.write("junk", headers={"Prefer": "handling=strict"}))

    BOOK.section = "3.3 refusals"
    rule(
        "not JSON is 400",
        problem(relation("PUT", "units/0/data", "{"), 400) and problem(relation("PUT", "units/0/data", b"\xff"), 400),
    )
    refuses("an empty body is 400", 400, relation("PUT", "units/0/data", b""))
    key = Certificate("key").key
    secret = key.splitlines()[1][:20]
    refusals = {
        "not_an_object": ([], None, None),
        "not_a_string": ({"a": ["x"]}, "a", None),
        "not_json": ({"client_certificates": good.pem}, "client_certificates", None),
        "not_a_list": ({"client_certificates": json.dumps(good.pem)}, "client_certificates", None),
        "pem_malformed": (wanting(good, good.pem[:200]), "client_certificates", 1),
        "pem_not_certificate": (wanting(block("CERTIFICATE REQUEST", b"xxxx")), "client_certificates", 0),
        "der_invalid": (wanting(good, other, block("CERTIFICATE", b"xxxx")), "client_certificates", 2),
        "trailing_data": (wanting(block("CERTIFICATE", good.der + b"x")), "client_certificates", 0),
        "private_key": (wanting(good, good.pem + key), "client_certificates", 1),
        "too_large": (wanting(good.pem + " " * 65536), "client_certificates", 0),
        "too_many": (wanting(*["x"] * 257), "client_certificates", None),
        "version_unsupported": ({"version": "2.0"}, "version", None),
    }
    was = relation.bag()
    for code, (bag, name, index) in refusals.items():
        answer = relation("PUT", "units/0/data", bag)
        found = codes(answer)
        rule(
            f"{code} names key and index",
            problem(answer, 422)
            and found == [(name, index, code)]
            and all(error["message"] for error in answer.json()["errors"]),
            answer.text,
        )
        rule(f"{code} changes nothing", relation.bag() == was)
    answer = relation.write(key)
    rule(
        "of a private key nothing is quoted, and it is to be replaced",
        secret not in answer.text and "replace" in answer.text,
        answer.text,
    )
    rule(
        "an entry that is no string is named",
        codes(relation("PUT", "units/0/data", {"client_certificates": '["x", 7]'}))
        == [("client_certificates", 0, "pem_malformed"), ("client_certificates", 1, "not_a_string")],
    )
    long = relation("PUT", "units/0/data", {"a": "x" * (1 << 20)})
    refuses("a bag over 1 MiB is 413", 413, long)
    rule("a bag of 1 MiB is taken", relation("PUT", "units/0/data", {"a": "x" * ((1 << 20) - 8)}).status_code == 200)
    huge = relation("PUT", "units/0/data", {"a": "x" * (5 << 20)})
    refuses("a body without measure is 413", 413, huge)
    every = relation("PUT", "units/0/data", {"x": 1, "version": "x", **wanting("y")})
    rule("all faults are told at once", len(codes(every)) == 3, every.text)
    relation.end()
    lab.until_gone(good, other, third)
