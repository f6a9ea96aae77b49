"""The sandbox's CA: good for loopback, for nothing else, and gone as a power once made."""

import datetime as dt
import ipaddress
import ssl

import pytest
from cryptography import x509

from wizard.sandbox import ca, workdir


@pytest.fixture
def work(tmp_path):
    work = workdir.prepare(tmp_path / "sandbox")
    ca.ensure(work)
    return work


def handshake(work, host: str, *, trusted: bool = True) -> None:
    """A TLS handshake in memory, as strict as Python can be. Raises ssl.SSLError."""
    client = ssl.create_default_context(cafile=work.ca if trusted else None)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=host)
    theirs = ca.server_context(work).wrap_bio(to_server, to_client, server_side=True)
    pending = [ours, theirs]
    for _ in range(10):
        for side in list(pending):
            try:
                side.do_handshake()
                pending.remove(side)
            except ssl.SSLWantReadError:
                pass
        if not pending:
            return
    raise AssertionError("the handshake does not end")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_strict_client_accepts_it_on_loopback(work, host):
    handshake(work, host)


@pytest.mark.parametrize("host", ["127.0.0.2", "management.azure.com"])
def test_it_is_good_for_no_other_host(work, host):
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(work, host)


def test_it_is_not_trusted_by_itself(work):
    with pytest.raises(ssl.SSLCertVerificationError, match=r"self-signed|unable to get local issuer"):
        handshake(work, "127.0.0.1", trusted=False)


def test_the_ca_is_named_and_limited_to_loopback(work):
    certificate = x509.load_pem_x509_certificate(work.ca.read_bytes())
    assert certificate.subject.rfc4514_string() == r"CN=PrivateLink Wizard sandbox\, trust nowhere"
    limits = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert limits.critical
    assert {limit.value for limit in limits.value.permitted_subtrees or ()} == {
        "localhost",
        ipaddress.ip_network("127.0.0.1/32"),
        ipaddress.ip_network("::1/128"),
    }


def test_the_only_private_key_on_disk_is_the_servers(work):
    holders = [path.name for path in work.path.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    assert holders == ["server.key"]
    server = x509.load_pem_x509_certificate(work.certificate.read_bytes())
    authority = x509.load_pem_x509_certificate(work.ca.read_bytes())
    assert server.public_key() != authority.public_key()
    assert {path.stat().st_mode & 0o777 for path in work.path.iterdir()} == {0o600}


def test_it_stays_the_same_while_it_is_good(work):
    before = work.ca.read_bytes(), work.certificate.read_bytes(), work.key.read_bytes()
    ca.ensure(work)
    assert (work.ca.read_bytes(), work.certificate.read_bytes(), work.key.read_bytes()) == before


@pytest.mark.parametrize("damaged", ["ca", "certificate", "key"])
def test_a_half_written_set_is_made_anew(work, damaged, tmp_path):
    other = workdir.prepare(tmp_path / "other")
    ca.ensure(other)
    getattr(work, damaged).write_bytes(getattr(other, damaged).read_bytes())
    ca.ensure(work)
    handshake(work, "127.0.0.1")
    getattr(work, damaged).write_bytes(b"")
    ca.ensure(work)
    handshake(work, "127.0.0.1")


def test_it_is_renewed_before_it_expires(work, monkeypatch):
    with monkeypatch.context() as shorter:
        shorter.setattr(ca, "_LIFETIME", dt.timedelta(days=6))
        work.ca.unlink()
        ca.ensure(work)
    ca.ensure(work)
    certificate = x509.load_pem_x509_certificate(work.certificate.read_bytes())
    assert certificate.not_valid_after_utc - dt.datetime.now(dt.UTC) > dt.timedelta(days=300)
    handshake(work, "127.0.0.1")
