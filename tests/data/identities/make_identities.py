#!/usr/bin/env python3
"""Writes the certificates, nkeys and JWTs that tests of the connection sign in with.

    pip install cryptography
    python3 tests/data/identities/make_identities.py

They are worth nothing outside the tests: every key here is public. They are valid for a hundred
years, so that the tests do not end with them.
"""

import base64
import datetime
import ipaddress
import json
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HERE = Path(__file__).parent
BEGIN = datetime.datetime(2025, 1, 1, tzinfo=datetime.timezone.utc)
END = BEGIN + datetime.timedelta(days=36525)


# Certificates


def name(common):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def certificate(common, issuer=None, usage=None, address=None):
    """A certificate and its key; signs itself, as an authority, where there is no issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    signer, signer_key = (issuer[0].subject, issuer[1]) if issuer else (name(common), key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(common))
        .issuer_name(signer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGIN)
        .not_valid_after(END)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if address:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer_key, hashes.SHA256()), key


def write_certificate(stem, pair):
    made, key = pair
    pem = serialization.Encoding.PEM
    (HERE / f"{stem}.pem").write_bytes(made.public_bytes(pem))
    (HERE / f"{stem}-key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def certificates():
    authority = certificate("forebay tests")
    stranger = certificate("a stranger")
    # For the address and not for `localhost`: a test asks for the wrong name.
    server = certificate("server", authority, ExtendedKeyUsageOID.SERVER_AUTH, "127.0.0.1")
    client = certificate("client", authority, ExtendedKeyUsageOID.CLIENT_AUTH)
    strange = certificate("client", stranger, ExtendedKeyUsageOID.CLIENT_AUTH)
    (HERE / "ca.pem").write_bytes(authority[0].public_bytes(serialization.Encoding.PEM))
    (HERE / "stranger-ca.pem").write_bytes(stranger[0].public_bytes(serialization.Encoding.PEM))
    write_certificate("server", server)
    write_certificate("client", client)
    write_certificate("stranger", strange)


# nkeys and JWTs

SEED, PREFIXES = 18 << 3, {"operator": 14 << 3, "account": 0, "user": 20 << 3}


def crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
            crc &= 0xFFFF
    return crc.to_bytes(2, "little")


def base32(data):
    return base64.b32encode(data + crc16(data)).decode().rstrip("=")


class Nkey:
    def __init__(self, kind):
        self.kind, self.key = kind, Ed25519PrivateKey.generate()
        raw = serialization.Encoding.Raw
        private = self.key.private_bytes(
            raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
        )
        public = self.key.public_key().public_bytes(raw, serialization.PublicFormat.Raw)
        prefix = PREFIXES[kind]
        self.seed = base32(bytes([SEED | prefix >> 5, (prefix & 31) << 3]) + private)
        self.public = base32(bytes([prefix]) + public)


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def jwt(who, subject, issuer, claims):
    head = {"typ": "JWT", "alg": "ed25519-nkey"}
    body = {
        "jti": who,
        "iat": int(BEGIN.timestamp()),
        "iss": issuer.public,
        "name": who,
        "sub": subject.public,
        "nats": {**claims, "type": subject.kind, "version": 2},
    }
    text = ".".join(base64url(json.dumps(part).encode()) for part in (head, body))
    return f"{text}.{base64url(issuer.key.sign(text.encode()))}"


NO_LIMITS = {
    key: -1
    for key in (
        "subs data payload imports exports conn leaf mem_storage disk_storage streams consumer"
    ).split()
}


def account(who, operator, jetstream):
    key = Nkey("account")
    limits = {**NO_LIMITS, "wildcards": True}
    if not jetstream:
        limits.update(mem_storage=0, disk_storage=0, streams=0, consumer=0)
    return key, jwt(who, key, operator, {"limits": limits})


def credentials(who, issuer, permissions):
    user = Nkey("user")
    token = jwt(who, user, issuer, {**permissions, "subs": -1, "data": -1, "payload": -1})
    dashes = "-" * 5
    (HERE / f"{who}.creds").write_text(
        f"{dashes}BEGIN NATS USER JWT{dashes}\n{token}\n{dashes}-END NATS USER JWT{dashes}-\n\n"
        f"{dashes}BEGIN USER NKEY SEED{dashes}\n{user.seed}\n{dashes}-END USER NKEY SEED{dashes}-\n"
    )


def jwts():
    operator = Nkey("operator")
    operator_jwt = jwt("forebay tests", operator, operator, {})
    system, system_jwt = account("system", operator, jetstream=False)
    tests, tests_jwt = account("tests", operator, jetstream=True)
    (HERE / "operator.conf").write_text(
        "# Who is let in is in their JWTs; made by make_identities.py.\n"
        f"operator: {operator_jwt}\n"
        f"system_account: {system.public}\n"
        "resolver: MEMORY\n"
        "resolver_preload: {\n"
        f"  {system.public}: {system_jwt}\n"
        f"  {tests.public}: {tests_jwt}\n"
        "}\n"
    )
    credentials("user", tests, {"pub": {}, "sub": {}})
    credentials(
        "limited",
        tests,
        {"pub": {"allow": ["allowed.>"]}, "sub": {"allow": ["allowed.>", "_INBOX.>"]}},
    )
    credentials("one_prefix", tests, {"pub": {}, "sub": {"allow": ["_INBOX_income.>"]}})
    # A user of an account that the server has never heard of.
    credentials("stranger", Nkey("account"), {"pub": {}, "sub": {}})


def nkeys():
    for who in ("user", "stranger"):
        key = Nkey("user")
        (HERE / f"{who}.nk").write_text(f"{key.seed}\n")
        (HERE / f"{who}.pub").write_text(f"{key.public}\n")


if __name__ == "__main__":
    certificates()
    jwts()
    nkeys()
