"""TLS of both protocols, the token, and the warning to who listens beyond this machine without them."""

from __future__ import annotations

import datetime
import http.client
import ipaddress
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from components.errors import InputError
from pipeline.client import NO_RETRIES, CallError, connect
from pipeline.client.messages import MODEL_SERVICE
from pipeline.serving.config_files import read_ssl_config
from pipeline.serving.serve import serve
from pipeline.serving.server import ModelServer
from pipeline.serving.token import is_loopback, read_token, shown
from tests.e2e.conftest import HOUSE, dfei
from tests.hostile.conftest import refused
from tests.pipeline.serving.conftest import ROWS, settings_for
from tests.pipeline.serving.models import NAME

TOKEN = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Pem:
    """A key and its certificate, as files."""

    key: Path
    certificate: Path


def signed(
    folder: Path, name: str, by: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None
) -> Pem:
    """A certificate of `127.0.0.1`, signed by an authority or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, issuer_key = (subject, key) if by is None else (by[0].subject, by[1])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )
    pem = Pem(folder / f"{name}.key", folder / f"{name}.pem")
    pem.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    pem.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return pem


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`ca`, a `server` and a `client` that it signed, a `stranger`, and `ssl.config`s."""
    folder = tmp_path_factory.mktemp("tls")
    authority = signed(folder, "ca")
    certificate = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    key = serialization.load_pem_private_key(authority.key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    server = signed(folder, "server", (certificate, key))
    signed(folder, "client", (certificate, key))
    signed(folder, "stranger")

    def quoted(path: Path) -> str:
        return '"' + path.read_text().replace("\n", "\\n") + '"'

    plain = f"server_key: {quoted(server.key)} server_cert: {quoted(server.certificate)}"
    (folder / "ssl.config").write_text(plain)
    (folder / "mutual.config").write_text(
        f"{plain} custom_ca: {quoted(authority.certificate)} client_verify: true"
    )
    (folder / "token").write_text(TOKEN + "\n")
    return folder


@pytest.fixture(scope="module")
def secured(pushed: Path, folder: Path) -> Iterator[ModelServer]:
    settings = settings_for(
        pushed,
        ssl=read_ssl_config(folder / "ssl.config"),
        certificate=(str(folder / "server.pem"), str(folder / "server.key")),
        token=TOKEN,
        health_port=0,
    )
    with ModelServer(settings) as server:
        yield server


@pytest.mark.parametrize("scheme", ["https", "grpcs"])
def test_a_client_with_the_authority_is_answered(secured: ModelServer, folder: Path, scheme: str) -> None:
    port = secured.rest_port if scheme == "https" else secured.grpc_port
    with connect(f"{scheme}://127.0.0.1:{port}", NAME, ca_file=folder / "ca.pem") as client:
        assert len(client.predict(ROWS)["click_probability"]) == 3


@pytest.mark.parametrize("url", ["https", "grpcs", "http", "grpc"])
def test_a_client_without_it_is_not(secured: ModelServer, folder: Path, url: str) -> None:
    port = secured.rest_port if url.startswith("http") else secured.grpc_port
    files = {"ca_file": folder / "stranger.pem"} if url.endswith("s") else {}
    with (
        connect(f"{url}://127.0.0.1:{port}", NAME, 5.0, NO_RETRIES, **files) as client,
        pytest.raises(CallError),
    ):
        client.predict(ROWS)


def test_clients_that_have_to_show_a_certificate(pushed: Path, folder: Path) -> None:
    settings = settings_for(pushed, ssl=read_ssl_config(folder / "mutual.config"), rest_port=None)
    with ModelServer(settings) as server:
        method = f"/{MODEL_SERVICE}/GetModelStatus"
        authority, key, own = (
            (folder / name).read_bytes() for name in ("ca.pem", "client.key", "client.pem")
        )
        for credentials, answered in (
            (grpc.ssl_channel_credentials(authority, key, own), True),
            (grpc.ssl_channel_credentials(authority), False),
        ):
            with grpc.secure_channel(f"127.0.0.1:{server.grpc_port}", credentials) as channel:
                try:
                    channel.unary_unary(method)(b"\n\x08\n\x06clicks", timeout=5)
                    assert answered
                except grpc.RpcError as error:
                    assert not answered, error


def test_the_metrics_ask_for_the_token(secured: ModelServer, folder: Path) -> None:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    for header, status in (
        (None, 401),
        ("Bearer wrong", 401),
        (f"Basic {TOKEN}", 401),
        (f"bearer {TOKEN}", 200),
    ):
        connection = http.client.HTTPSConnection("127.0.0.1", secured.rest_port, context=context)
        connection.request(
            "GET",
            "/monitoring/prometheus/metrics",
            headers={} if header is None else {"Authorization": header},
        )
        assert connection.getresponse().status == status
        connection.close()


def test_a_change_of_the_configuration_asks_for_it_too(secured: ModelServer, folder: Path) -> None:
    credentials = grpc.ssl_channel_credentials((folder / "ca.pem").read_bytes())
    with grpc.secure_channel(f"127.0.0.1:{secured.grpc_port}", credentials) as channel:
        reload = channel.unary_unary(f"/{MODEL_SERVICE}/HandleReloadConfigRequest")
        for metadata, code in (
            ((), grpc.StatusCode.UNAUTHENTICATED),
            ((("authorization", f"Bearer {TOKEN}"),), grpc.StatusCode.UNIMPLEMENTED),
        ):
            with pytest.raises(grpc.RpcError) as error:
                reload(b"", metadata=metadata, timeout=5)
            assert error.value.code() == code


def test_health_has_a_port_that_asks_for_nothing(secured: ModelServer) -> None:
    for path, status in (("/healthz", 200), ("/readyz", 200), (f"/v1/models/{NAME}", 404), ("/metrics", 404)):
        connection = http.client.HTTPConnection("127.0.0.1", secured.health_port)
        connection.request("GET", path)
        assert connection.getresponse().status == status
        connection.close()


def test_predict_takes_the_authority(secured: ModelServer, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("user_id\n1\n")
    words = (
        "predict",
        tmp_path / "rows.csv",
        "--model",
        NAME,
        "--url",
        f"https://127.0.0.1:{secured.rest_port}",
    )
    assert dfei(*words, "--ca-file", folder / "ca.pem").code == 0
    refused(dfei(*words, "--ca-file", tmp_path / "none.pem"), "none.pem")
    refused(dfei(*words, "--ca-file", folder / "token"), "token")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ssl.config", "server_key: ''", "server_key"),
        ("ssl.config", "server_key: '-----BEGIN x' server_cert: 'no'", "server_cert"),
        ("ssl.config", "nonsense", "SSLConfig"),
        ("token", "short", "16 to"),
        ("token", "x" * 20 + " " + "y" * 20, "16 to"),
        ("token", "é" * 20, "16 to"),
        ("token", "x" * 5000, "16 to"),
    ],
)
def test_files_that_are_none(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_token(path) if name == "token" else read_ssl_config(path)
    assert str(path) in str(error.value)


def test_client_verify_needs_an_authority(folder: Path, tmp_path: Path) -> None:
    text = (folder / "ssl.config").read_text() + " client_verify: true"
    (tmp_path / "ssl.config").write_text(text)
    with pytest.raises(InputError, match="custom_ca"):
        read_ssl_config(tmp_path / "ssl.config")


def test_a_certificate_that_is_none(pushed: Path, folder: Path) -> None:
    with pytest.raises(InputError, match="belong together"):
        serve(pushed, rest_certificate=folder / "server.pem")
    for pair in (("token", "server.key"), ("server.pem", "client.key"), ("none.pem", "server.key")):
        names = tuple(str(folder / name) for name in pair)
        with pytest.raises(InputError, match=re.escape(names[0])):
            ModelServer(settings_for(pushed, certificate=names)).start()


def test_the_token_is_compared_whole() -> None:
    assert shown(None, "")
    assert shown(f"Bearer {TOKEN}", TOKEN)
    for header in (
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        TOKEN,
        "Bearer \udc80",
    ):
        assert not shown(header, TOKEN)


@pytest.mark.parametrize(
    ("host", "own"),
    [(host, True) for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost")]
    + [(host, False) for host in ("0.0.0.0", "::", "10.0.0.1", "model.example")],
)
def test_which_addresses_are_this_machine_s(host: str, own: bool) -> None:
    assert is_loopback(host) == own


def test_who_listens_beyond_this_machine_is_warned(pushed: Path) -> None:
    words = ("serve", str(pushed), "--host", "0.0.0.0", "--rest-port", "0", "--grpc-port", "0")
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=HOUSE,
    )
    try:
        assert process.stdout is not None
        warning = next((line for line in process.stdout if line.startswith("warning:")), "")
    finally:
        process.terminate()
        process.wait(30)
    for word in ("0.0.0.0", "gRPC has no TLS", "REST has no TLS", "--token-file"):
        assert word in warning
