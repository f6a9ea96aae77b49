"""A CA and one loopback server certificate, for this sandbox alone.

The CA is limited to loopback by name constraints and its key is thrown away after the one signature, so that even
somebody who puts it into a system's store by mistake gives nobody any power. Renewed whole before it expires.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from wizard.sandbox.workdir import WorkDir, write_private

CA_NAME = "PrivateLink Wizard sandbox, trust nowhere"

_LIFETIME = dt.timedelta(days=397)
_RENEW_BEFORE = dt.timedelta(days=7)
_LOOPBACK = ("127.0.0.1", "::1")


def ensure(work: WorkDir) -> None:
    """See to it that CA, server certificate and key are there and not about to expire."""
    if not _usable(work):
        _issue(work)


def server_context(work: WorkDir) -> ssl.SSLContext:
    """TLS as the sandbox's servers speak it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(work.certificate, work.key)
    return context


def _usable(work: WorkDir) -> bool:
    if not (work.ca.exists() and work.certificate.exists() and work.key.exists()):
        return False
    try:
        certificate = x509.load_pem_x509_certificate(work.certificate.read_bytes())
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(work.ca.read_bytes()))
        server_context(work)
    except (InvalidSignature, ValueError, TypeError, OSError):  # ssl.SSLError is an OSError
        return False
    return certificate.not_valid_after_utc - dt.datetime.now(dt.UTC) > _RENEW_BEFORE


def _issue(work: WorkDir) -> None:
    ca_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _ca_certificate(ca_key)
    server = _server_certificate(ca, ca_key, server_key)
    # The CA last: a start that died half-way through leaves a pair that does not match, and is done again.
    write_private(
        work.key,
        server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
    write_private(work.certificate, server.public_bytes(serialization.Encoding.PEM))
    write_private(work.ca, ca.public_bytes(serialization.Encoding.PEM))


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # A clock a little behind (a container, a virtual machine just woken up) must not refuse it.
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _ca_certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, CA_NAME)])
    loopback = [x509.IPAddress(ipaddress.ip_network(address)) for address in _LOOPBACK]
    return (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(certificates=True), critical=True)
        .add_extension(x509.NameConstraints([x509.DNSName("localhost"), *loopback], None), critical=True)
        .sign(key, hashes.SHA256())
    )


def _server_certificate(
    ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "PrivateLink Wizard sandbox server")])
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in _LOOPBACK]
    issuer_id = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        _builder(subject, ca.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), *addresses]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id),
            critical=False,
        )
        .sign(ca_key, hashes.SHA256())
    )


def _key_usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
