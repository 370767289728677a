"""Certificates for an amphora and its controller: octavia_pki.py DIRECTORY AMPHORA writes

server_ca.pem, server.pem and rotated.pem (certificate, then key, both of the amphora), client_ca.pem, client.pem.
"""

import datetime
import os
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


class Authority:
    """A certificate authority that signs leaves; the files of a leaf are certificate, then key."""

    def __init__(self, name):
        self.key, self.name = new_key(), common_name(name)
        uses = dict.fromkeys(USES, False) | {"key_cert_sign": True, "crl_sign": True}
        builder = begin(self.name, self.name, self.key)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(x509.KeyUsage(**uses), critical=True)
        self.certificate = pem(builder.sign(self.key, hashes.SHA256()))

    def issue(self, name, *purposes):
        """Certificate and key, PEM, for a name that is CN and DNS SAN, as a controller cuts them for amphorae."""
        key = new_key()
        uses = dict.fromkeys(USES, False) | {"digital_signature": True, "key_encipherment": True}
        builder = begin(common_name(name), self.name, key)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.KeyUsage(**uses), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        public = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(public, critical=False)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        return pem(builder.sign(self.key, hashes.SHA256())), private.decode()

    def revoked(self):
        """The list of revoked certificates, PEM: none."""
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name)
        builder = builder.last_update(now - DAY).next_update(now + DAY)
        return pem(builder.sign(self.key, hashes.SHA256()))


USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


def new_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def common_name(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def begin(subject, issuer, key):
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - DAY).not_valid_after(now + DAY)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def pem(signed):
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def main(directory, amphora):
    servers, clients = Authority("servers"), Authority("clients")
    files = {
        "server_ca.pem": servers.certificate,
        "client_ca.pem": clients.certificate,
        "server.pem": "".join(servers.issue(amphora, SERVER, CLIENT)),
        "rotated.pem": "".join(servers.issue(amphora, SERVER, CLIENT)),
        "client.pem": "".join(clients.issue("controller", CLIENT)),
    }
    os.makedirs(directory, exist_ok=True)
    for name, text in files.items():
        with open(os.path.join(directory, name), "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(text)


if __name__ == "__main__":
    main(*sys.argv[1:3])
