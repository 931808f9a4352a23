"""Keys, certificates and serials load in every form that people copy; errors name the rest and show no secret."""

from __future__ import annotations

import base64
import html
import inspect
import io
import json
import textwrap
import urllib.parse
import zipfile
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12
from cryptography.x509.oid import NameOID

from tests.service import (
    MCHID,
    PUBLIC_KEY_ID,
    SERIAL,
    certificate_pem,
    new_certificate,
    new_key,
    private_pem,
    public_pem,
)
from wechatpay_chain import Client, ConfigurationError, DecryptionError, crypto

HOST = "http://127.0.0.1:9/"
DER, PEM, PLAIN = serialization.Encoding.DER, serialization.Encoding.PEM, serialization.NoEncryption()
PKCS1, PKCS8 = serialization.PrivateFormat.TraditionalOpenSSL, serialization.PrivateFormat.PKCS8
P256, SM2 = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a811ccf5501822d")


def full_width(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


def split_lines(pem: str) -> list[str]:
    return pem.strip().split("\n")


def get_base64(pem: str) -> str:
    return "".join(split_lines(pem)[1:-1])


def decode_pem(pem: str) -> bytes:
    return base64.b64decode(get_base64(pem))


FORMS = {
    "bytes": lambda pem: pem.encode(),
    "bytearray": lambda pem: bytearray(pem.encode()),
    "der": decode_pem,
    "der and a line break": lambda pem: decode_pem(pem) + b"\n",
    "base64": get_base64,
    "base64 as bytes": lambda pem: get_base64(pem).encode(),
    "base64 wrapped": lambda pem: "\n".join(split_lines(pem)[1:-1]),
    "base64 of 76 columns": lambda pem: base64.encodebytes(decode_pem(pem)),
    "base64 without padding": lambda pem: get_base64(pem).rstrip("="),
    "base64 with too much padding": lambda pem: get_base64(pem).rstrip("=") + "====",
    "base64url": lambda pem: base64.urlsafe_b64encode(decode_pem(pem)),
    "base64url without padding": lambda pem: base64.urlsafe_b64encode(decode_pem(pem)).decode().rstrip("="),
    "base64url in a PEM": lambda pem: (
        f"{split_lines(pem)[0]}\n{base64.urlsafe_b64encode(decode_pem(pem)).decode()}\n{split_lines(pem)[-1]}"
    ),
    "base64 of the PEM": lambda pem: base64.b64encode(pem.encode()).decode(),
    "base64 of the PEM of Windows": lambda pem: base64.b64encode(b"\xef\xbb\xbf" + pem.replace("\n", "\r\n").encode()),
    "base64 twice": lambda pem: base64.b64encode(base64.b64encode(pem.encode())),
    "hexadecimal": lambda pem: decode_pem(pem).hex(),
    "a data URL": lambda pem: f"data:application/x-pem-file;base64,{base64.b64encode(pem.encode()).decode()}",
    "base64: in front": lambda pem: f"base64:{get_base64(pem)}",
    "backslash n": lambda pem: pem.replace("\n", "\\n"),
    "backslash r backslash n": lambda pem: pem.replace("\n", "\\r\\n"),
    "two backslashes and n": lambda pem: pem.replace("\n", "\\\\n"),
    "JSON": lambda pem: json.dumps({"private_key": pem}),
    "JSON of PHP": lambda pem: json.dumps(pem).replace("/", "\\/"),
    "JSON of .NET": lambda pem: json.dumps(pem).replace("+", "\\u002B"),
    "JSON in JSON": lambda pem: json.dumps(json.dumps(pem)),
    "blanks for line breaks": lambda pem: pem.replace("\n", " "),
    "nothing for line breaks": lambda pem: pem.replace("\n", ""),
    "no blanks at all": lambda pem: pem.replace("\n", "").replace(" ", ""),
    "one long line": lambda pem: f"{split_lines(pem)[0]}\n{get_base64(pem)}\n{split_lines(pem)[-1]}",
    "CR LF": lambda pem: pem.replace("\n", "\r\n"),
    "CR": lambda pem: pem.replace("\n", "\r"),
    "the line separator of Unicode": lambda pem: pem.replace("\n", "\u2028"),
    "blank lines": lambda pem: pem.replace("\n", "\n\n"),
    "BOM": lambda pem: f"\ufeff{pem}",
    "BOM as bytes": lambda pem: b"\xef\xbb\xbf" + pem.encode(),
    "BOM read as Latin-1": lambda pem: f"ï»¿{pem}",
    "BOM and base64": lambda pem: f"\ufeff{get_base64(pem)}",
    "UTF-16": lambda pem: pem.encode("utf-16"),
    "UTF-16 big endian": lambda pem: b"\xfe\xff" + pem.encode("utf-16-be"),
    "UTF-16 without its mark": lambda pem: pem.encode("utf-16-le"),
    "UTF-32": lambda pem: pem.encode("utf-32"),
    "zero bytes at the end": lambda pem: f"{pem}\0",
    "double quotes": lambda pem: f'"{pem}"',
    "single quotes and base64": lambda pem: f"'{get_base64(pem)}'",
    "typographic quotes": lambda pem: f"“{pem}”",
    "repr of bytes": lambda pem: repr(pem.encode()),
    "source code of Java": lambda pem: " +\n".join(f'        "{line}\\n"' for line in split_lines(pem)),
    "source code of PHP": lambda pem: "\n".join(f"    . '{line}'" for line in split_lines(pem)),
    "indented": lambda pem: textwrap.indent(pem, "    "),
    "indented with tabs": lambda pem: textwrap.indent(pem, "\t"),
    "blanks at the ends of lines": lambda pem: f"\n\n {pem}".replace("\n", "  \n"),
    "a quotation in a mail": lambda pem: textwrap.indent(pem, "> "),
    "a comment": lambda pem: textwrap.indent(pem, "# "),
    "YAML": lambda pem: "key: |\n" + textwrap.indent(pem, "  "),
    "Markdown": lambda pem: f"```\n{pem}```\n",
    "continued lines": lambda pem: pem.replace("\n", "\\\n"),
    "Bag Attributes": lambda pem: (
        f"Bag Attributes\n    localKeyID: 42 74\nKey Attributes: <No Attributes>\n{pem}\nthe end\n"
    ),
    "explanations in GBK": lambda pem: f"商户的文件：\n{pem}\n请妥善保管".encode("gbk"),
    "zero-width spaces": lambda pem: pem.replace("A", "A\u200b"),
    "invisible characters in base64": lambda pem: (
        get_base64(pem)[:50] + "\u200e\u00ad\u2060\ufeff" + get_base64(pem)[50:]
    ),
    "no-break spaces": lambda pem: pem.replace(" ", "\u00a0").replace("\n", "\u00a0\n"),
    "full-width dashes": lambda pem: pem.replace("-", "－"),
    "em dashes": lambda pem: pem.replace("-----", "——-"),
    "full-width characters": full_width,
    "three dashes": lambda pem: pem.replace("-----", "---"),
    "no dashes": lambda pem: pem.replace("-----", ""),
    "no BEGIN line": lambda pem: pem.split("\n", 1)[1],
    "no END line": lambda pem: pem.rsplit("\n", 2)[0],
    "percent-encoded": lambda pem: urllib.parse.quote(pem),
    "form-encoded": lambda pem: urllib.parse.quote_plus(pem),
    "percent-encoded base64": lambda pem: urllib.parse.quote(get_base64(pem), safe=""),
    "HTML": lambda pem: html.escape(pem).replace("+", "&#43;").replace("\n", "<br>\n"),
    "an .env file": lambda pem: 'export PRIVATE_KEY="' + pem.replace("\n", "\\n") + '"\n',
    "an .env file and base64": lambda pem: f"PRIVATE_KEY={get_base64(pem)}\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_keys_are_loaded_in_every_form_that_people_copy(service, tmp_path, form):
    key, public, certificate = service.merchant, service.public_key.public_key(), service.certificate
    file = tmp_path / "copied"
    for private_form in (PKCS1, PKCS8):
        copied = FORMS[form](private_pem(key, form=private_form))
        assert crypto.load_private_key(copied).private_numbers() == key.private_numbers()
        file.write_bytes(copied.encode() if isinstance(copied, str) else copied)
        assert crypto.load_private_key(file).private_numbers() == key.private_numbers()
    for public_form in (serialization.PublicFormat.SubjectPublicKeyInfo, serialization.PublicFormat.PKCS1):
        assert crypto.load_public_key(FORMS[form](public_pem(service.public_key, public_form))) == public
    assert crypto.load_public(FORMS[form](certificate_pem(certificate))) == certificate


@pytest.mark.parametrize(
    "form", ["bytes", "backslash n", "blanks for line breaks", "CR LF", "base64 of the PEM", "UTF-16"]
)
@pytest.mark.parametrize("private_form", [PKCS1, PKCS8])
def test_encrypted_keys_are_loaded_in_the_forms_that_people_copy(service, form, private_form):
    locked = private_pem(service.merchant, serialization.BestAvailableEncryption(b"secret"), private_form)
    loaded = crypto.load_private_key(FORMS[form](locked), "secret")
    assert loaded.private_numbers() == service.merchant.private_numbers()


def test_key_urls_of_the_php_sdk_are_loaded(service):
    key, numbers = service.merchant, service.merchant.private_numbers()
    for scheme, form in (("pkcs1", PKCS1), ("pkcs8", PKCS8)):
        url = f"private.{scheme}://{get_base64(private_pem(key, form=form))}"
        assert crypto.load_private_key(url).private_numbers() == numbers
        with pytest.raises(ConfigurationError, match="an RSA private key"):
            crypto.load_public_key(url)
    for scheme, form in (
        ("spki", serialization.PublicFormat.SubjectPublicKeyInfo),
        ("pkcs1", serialization.PublicFormat.PKCS1),
    ):
        url = f"public.{scheme}://{get_base64(public_pem(key, form))}"
        assert crypto.load_public_key(url) == key.public_key()
        with pytest.raises(ConfigurationError, match="an RSA public key"):
            crypto.load_private_key(url)


def test_paths_are_found_in_every_spelling(service, tmp_path, monkeypatch):
    folder = tmp_path / "商户 密钥（新）"
    folder.mkdir()
    file = folder / "apiclient_key.pem"
    file.write_text(private_pem(service.merchant))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(folder)
    for path in (
        file,
        str(file),
        f'"{file}"',
        f" {file}\r\n",
        f"\u202a{file}",
        file.as_uri(),
        f"file://localhost{urllib.parse.quote(str(file))}",
        f"file:{file}",
        f"file://{file}",
        Path(f"file://{file}"),
        "file://apiclient_key.pem",
        "apiclient_key.pem",
        Path("~") / folder.name / file.name,
        f"~/{folder.name}/{file.name}",
    ):
        assert crypto.load_private_key(path).key_size == 2048, path


def test_the_url_of_a_windows_path_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "C:").mkdir()
    key = new_key()
    (tmp_path / "C:" / "a key.pem").write_text(private_pem(key))
    assert crypto.load_private_key("file:///C:/a%20key.pem").private_numbers() == key.private_numbers()


def test_a_string_that_looks_like_base64_is_never_a_path(service, tmp_path, monkeypatch):
    """A file whose name is the base64 of a key is found through a Path only."""
    monkeypatch.chdir(tmp_path)
    short = base64.b64encode(ed25519.Ed25519PrivateKey.generate().private_bytes(DER, PKCS8, PLAIN)).decode()
    name = short.replace("+", "-").replace("/", "_")
    assert len(name) == 64
    Path(name).write_text(private_pem(service.merchant))
    with pytest.raises(ConfigurationError, match="Ed25519"):
        crypto.load_private_key(name)
    assert crypto.load_private_key(Path(name)).key_size == 2048
    for path in (
        "MIIshort",
        "M" * 64,
        "MyCompany/secrets/production/wechatpay/merchant1900007291/private_key",
        "a" * 64,
    ):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(private_pem(service.merchant))
        assert crypto.load_private_key(path).key_size == 2048


def test_the_key_or_the_first_certificate_of_a_file_is_loaded(service):
    key, other = private_pem(service.merchant), private_pem(service.platform)
    leaf, root = new_certificate(service.platform, serial=5), new_certificate(service.public_key, serial=6)
    chain = certificate_pem(leaf) + certificate_pem(root)
    for bundle in (key + chain, chain + key, f"{chain}\n\n{key}{key}"):
        assert crypto.load_private_key(bundle).private_numbers() == service.merchant.private_numbers()
        assert crypto.load_public(bundle) == leaf, "the first certificate"
    with pytest.raises(ConfigurationError, match="came 2 private keys"):
        crypto.load_private_key(key + other)
    with pytest.raises(ConfigurationError, match="several keys"):
        crypto.load_public_key(public_pem(service.merchant) + public_pem(service.platform))
    with pytest.raises(ConfigurationError, match="several keys, an RSA public key and a certificate"):
        crypto.load_public_key(public_pem(service.merchant) + chain)


def build_p12(key, certificate, passphrase: bytes | None, others=()) -> bytes:
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else PLAIN
    return pkcs12.serialize_key_and_certificates(b"Tenpay Certificate", key, certificate, others, encryption)


@pytest.fixture(scope="module")
def certificate(service):
    return new_certificate(service.merchant, serial=0x0A1B2C)


@pytest.fixture(scope="module")
def apiclient_cert(service, certificate):
    return build_p12(service.merchant, certificate, MCHID.encode(), [service.certificate])


def build_client(service, **settings) -> Client:
    return Client(**{**service.settings(HOST), **settings})


OWN_SERIAL = "0" * 34 + "0A1B2C"


def test_a_p12_contains_key_and_serial(service, tmp_path, apiclient_cert):
    file = tmp_path / "apiclient_cert.p12"
    file.write_bytes(apiclient_cert)
    for source in (file, str(file), apiclient_cert, base64.b64encode(apiclient_cert).decode()):
        for serial in ("", None, OWN_SERIAL, "0A:1B:2C", 0x0A1B2C, file, apiclient_cert):
            client = build_client(service, private_key=source, serial=serial)
            assert client.serial == OWN_SERIAL
            assert client.decrypt(crypto.encrypt("张三", service.merchant.public_key())) == "张三"
    assert crypto.load_private_key(file, MCHID).private_numbers() == service.merchant.private_numbers()
    assert crypto.serial_number(file, MCHID) == OWN_SERIAL
    assert build_client(service, former_private_keys=[file]).serial == SERIAL
    bundle = certificate_pem(service.certificate) + private_pem(service.merchant)
    own = certificate_pem(new_certificate(service.merchant, serial=0x0A1B2C))
    client = build_client(service, private_key=bundle + own, serial="")
    assert client.serial == OWN_SERIAL, "a PEM file can contain both too"


def test_a_p12_is_decrypted_with_the_passphrase_or_the_merchant_number(service, certificate):
    own_passphrase = build_p12(service.merchant, certificate, b"secret")
    client = build_client(service, private_key=own_passphrase, passphrase="secret", serial=own_passphrase)
    assert client.serial == OWN_SERIAL
    client = build_client(service, private_key=build_p12(service.merchant, certificate, None), serial="")
    assert client.serial == OWN_SERIAL
    for settings, pattern in (
        ({"private_key": own_passphrase}, "private_key: .*the merchant number does not decrypt"),
        (
            {"private_key": own_passphrase, "passphrase": "another secret"},
            "private_key: .*passphrase= does not decrypt",
        ),
        ({"serial": own_passphrase}, "serial: .*the merchant number does not decrypt"),
        ({"certs": {PUBLIC_KEY_ID: own_passphrase}}, r"certs\['PUB_KEY_ID_0.*an empty passphrase does not decrypt"),
        ({"private_key": build_p12(None, None, MCHID.encode(), [certificate])}, "without a private key"),
        ({"serial": build_p12(service.merchant, None, MCHID.encode())}, "serial: .*without a certificate"),
        ({"private_key": build_p12(service.merchant, None, MCHID.encode()), "serial": ""}, "serial: it is missing"),
        ({"private_key": build_p12(ec.generate_private_key(ec.SECP256R1()), None, MCHID.encode())}, "ECPrivateKey"),
        ({"private_key": own_passphrase[:-40]}, "cut short"),
    ):
        with pytest.raises(ConfigurationError, match=pattern) as caught:
            build_client(service, **settings)
        assert_hidden(caught.value, "another secret", service)


def test_a_certificate_is_accepted_in_place_of_its_serial(service, tmp_path, certificate):
    file = tmp_path / "apiclient_cert.pem"
    file.write_text(certificate_pem(certificate))
    for serial in (
        file,
        str(file),
        f"{file}\n",
        file.as_uri(),
        certificate,
        certificate_pem(certificate),
        certificate.public_bytes(DER),
        get_base64(certificate_pem(certificate)),
    ):
        assert build_client(service, serial=serial).serial == OWN_SERIAL


def test_a_certificate_of_another_key_is_refused(service, certificate, apiclient_cert):
    other = new_certificate(service.platform, serial=9)
    for settings in (
        {"serial": other},
        {"serial": certificate_pem(other)},
        {"private_key": apiclient_cert, "serial": other},
        {"private_key": apiclient_cert, "serial": SERIAL},
        {"private_key": apiclient_cert, "serial": new_certificate(service.merchant, serial=10)},
        {"private_key": private_pem(service.merchant) + certificate_pem(certificate), "serial": SERIAL},
    ):
        with pytest.raises(ConfigurationError, match=r"^serial and private_key: .*private_key="):
            build_client(service, **settings)
    signer = {"signer": type("Signer", (), {"sign": lambda self, message: ""})(), "private_key": ""}
    assert build_client(service, serial=other, **signer).serial == f"{9:040X}", (
        "with a signer, there is no key to compare"
    )


def test_a_source_that_is_neither_a_serial_nor_a_certificate_is_refused(service, tmp_path):
    for serial, pattern in {
        public_pem(service.merchant): "serial: .*bare public key",
        private_pem(service.merchant): "serial: .*an RSA private key",
        tmp_path / "apiclient_cert.pem": "serial: .*apiclient_cert.pem",
        "keys/apiclient_cert.pem": "serial: .*apiclient_cert.pem",
        "apiclient_cert.crt": "serial: .*apiclient_cert.crt",
        tmp_path: "serial: .*directory",
        b"": "serial: it is missing",
        " \u200b": "serial: ",
    }.items():
        with pytest.raises(ConfigurationError, match=pattern) as caught:
            build_client(service, serial=serial)
        assert_hidden(caught.value, get_base64(private_pem(service.merchant)), service)


NUMBER = 0x0408B07E79B8269FEC3D5D3E6AB8ED163A6A380D
DIGITS = f"{NUMBER:040X}"
COLONS = ":".join(DIGITS[place : place + 2] for place in range(0, 40, 2))


@pytest.mark.parametrize(
    "spelling",
    [
        f"serial={DIGITS}\n",
        f"Serial Number: {DIGITS}",
        f"        Serial Number:\n            {COLONS.lower()}\n",
        f"Serial Number: {NUMBER} ({NUMBER:#x})",
        f"Serial number {DIGITS}",
        f"X509v3 Serial Number: {COLONS}",
        f"SerialNumber : {DIGITS}",
        f'"serial_no": "{DIGITS}"',
        f"WECHATPAY_SERIAL={DIGITS}",
        f"序列号：{DIGITS}",
        f"商户API证书序列号【{DIGITS}】",
        f"\u200e{DIGITS.lower()}",
        f"\u200e{COLONS.lower().replace(':', ' ')}",
        f"\ufeff{DIGITS}\r\n",
        f"{DIGITS[:10]}\u200b{DIGITS[10:]}",
        f"{DIGITS[:10]}\u00a0{DIGITS[10:]}",
        f"{DIGITS[:20]}\n{DIGITS[20:]}",
        f"{DIGITS}\\n",
        full_width(DIGITS),
        COLONS.replace(":", "-"),
        f"00{DIGITS}",
        f"00:{COLONS}",
        f"0X{DIGITS}",
        f"'{DIGITS}'",
        f"“{DIGITS}”",
        f"{DIGITS},",
    ],
)
def test_serials_are_read_as_people_copy_them(service, spelling):
    assert crypto.normalize_serial(spelling) == DIGITS
    assert build_client(service, serial=spelling).serial == DIGITS
    assert DIGITS in repr(build_client(service, certs={spelling: service.platform.public_key()}))


@pytest.mark.parametrize(
    ("spelling", "pattern"),
    [
        (DIGITS.replace("0", "O", 1), r"U\+004F LATIN CAPITAL LETTER O at character 1, where a zero may be meant"),
        (f"{DIGITS[:5]}l{DIGITS[6:]}", r"U\+006C LATIN SMALL LETTER L at character 6, where a one may be meant"),
        (f"\u200b {DIGITS[:3]}G{DIGITS[4:]}", r"U\+0047 LATIN CAPITAL LETTER G at character 6"),
        (f"serial={DIGITS[:3]}G{DIGITS[4:]}", r"U\+0047 LATIN CAPITAL LETTER G at character 11"),
        (f"А{DIGITS[1:]}", r"U\+0410 CYRILLIC CAPITAL LETTER A at character 1"),
        (f"{DIGITS[:20]}…", r"U\+2026 HORIZONTAL ELLIPSIS at character 21"),
        ("4.08B07E+46", r"U\+002E FULL STOP at character 2"),
        (f"{DIGITS}0", "41 hexadecimal digits"),
        (f"-{DIGITS}", "negative"),
        (-NUMBER, "negative"),
        ("serial=", "without a digit"),
        ("0" * 40, "zero"),
        (True, "bool"),
    ],
)
def test_the_error_of_a_serial_names_its_flaw(service, spelling, pattern):
    with pytest.raises(ConfigurationError, match=f"^serial: .*{pattern}.*; expected"):
        crypto.normalize_serial(spelling)
    with pytest.raises(ConfigurationError, match=r"^serial: .*expected"):
        build_client(service, serial=spelling)
    if isinstance(spelling, str):
        with pytest.raises(ConfigurationError, match=f"^certs: .*{pattern}.*; expected"):
            build_client(service, certs={spelling: service.platform.public_key()})


@pytest.mark.parametrize(
    "spelling", [f"\u200e{PUBLIC_KEY_ID}", f'"{PUBLIC_KEY_ID}"', PUBLIC_KEY_ID.lower(), f"公钥ID：{PUBLIC_KEY_ID}\r\n"]
)
def test_ids_of_public_keys_are_read_as_people_copy_them(service, spelling):
    assert PUBLIC_KEY_ID in repr(build_client(service, certs={spelling: service.public_key.public_key()}))


def test_the_error_of_an_id_names_its_flaw(service):
    for key_id, pattern in (
        ("PUB_KEY_ID_0 1", r"U\+0020 SPACE at character 13"),
        ("\u200ePUB_KEY_ID_公", r"U\+516C CJK UNIFIED IDEOGRAPH-516C at character 13"),
        ("PUB_KEY_ID_", "digits are missing"),
    ):
        with pytest.raises(ConfigurationError, match=f"^certs: .*{pattern}"):
            build_client(service, certs={key_id: service.public_key.public_key()})


API_KEY = "9f8e7d6c5b4a39281706f5e4d3c2b1Aa"


@pytest.mark.parametrize("setting", ["apiv3_key", "apiv2_key"])
@pytest.mark.parametrize(
    ("key", "pattern"),
    [
        (f"{API_KEY}\n", "ends with a line break, .*32 characters"),
        (f"{API_KEY}\r\n".encode(), "ends with a line break"),
        (f"{API_KEY[:-1]}\n", "ends with a line break, .*31 characters"),
        (f"{API_KEY} ", "ends with a space"),
        (f"\t{API_KEY}", "begins with a tab"),
        (f'"{API_KEY}"', "quotation marks"),
        (f"'{API_KEY[2:]}'", "quotation marks"),
        (f"\ufeff{API_KEY}", "begins with a byte order mark"),
        (f"\ufeff{API_KEY}".encode(), "begins with a byte order mark"),
        (f"{API_KEY}\u200b", r"ends with the invisible character U\+200B"),
        (f"{API_KEY}\\n", r"ends with \\n written out"),
        (full_width(API_KEY), "full-width characters"),
        (f"{API_KEY[:9]}\u200b{API_KEY[9:]}", "invisible characters"),
        (f"{API_KEY[:29]}\u200b", "invisible"),
        (f"{API_KEY[:30]}é", "not ASCII"),
        ("\ud800" * 32, "not ASCII"),
        (f"{API_KEY[:9]} {API_KEY[9:]}", "whitespace among them"),
        ("0123456789abcdef", "half of an MD5 hash"),
        ("0123456789" * 4, "serial number"),
        ("0123456789abcdef" * 4, "SHA-256"),
        (base64.b64encode(API_KEY.encode()).decode(), "32 bytes in base64"),
        (base64.b64encode(bytes(range(16))).decode(), "16 bytes in base64, such as an MD5 hash"),
        ("5f0c5b5e-8c3f-4a7e-9a53-0f8f4b1c2d3e", "UUID"),
        (MCHID, "merchant number"),
        (PUBLIC_KEY_ID, r"certs="),
        (API_KEY[:-1], "came 31 bytes"),
        (b"\xff" * 33, "came 33 bytes"),
        (bytearray(API_KEY.encode()), "came a bytearray"),
    ],
)
def test_the_error_of_an_api_key_names_its_flaw(service, setting, key, pattern):
    with pytest.raises(ConfigurationError, match=f"^{setting}: .*{pattern}.*; expected") as caught:
        build_client(service, **{setting: key})
    assert_hidden(caught.value, key if isinstance(key, str) else bytes(key).decode("latin-1"), service)
    assert_hidden(caught.value, API_KEY, service)


def build_ec_key(form=PKCS8, curve=P256) -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(DER, form, PLAIN).replace(P256, curve)


def build_pem(label: str, octets: bytes) -> str:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(octets).decode()}-----END {label}-----\n"


def build_sm2_certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return new_certificate(key, serial=7).public_bytes(DER).replace(P256, SM2)


def build_certificate_request(key) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, MCHID)])
    return x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256()).public_bytes(PEM)


def zip_text(text: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zip_file:
        zip_file.writestr("apiclient_key.pem", text)
    return file.getvalue()


def build_invalid_sources(key: rsa.RSAPrivateKey) -> dict[str, tuple[object, str]]:
    """Returns sources that cannot be used as a key, and a pattern of the error for each."""
    pem = private_pem(key)
    content = get_base64(pem)
    return {
        "certificate request": (build_certificate_request(key), "a certificate request.*the request is only"),
        "certificate request as base64": (get_base64(build_certificate_request(key).decode()), "a certificate request"),
        "EC": (build_ec_key(), "an EC private key"),
        "EC of SEC 1": (
            build_pem("EC PARAMETERS", P256) + build_pem("EC PRIVATE KEY", build_ec_key(PKCS1)),
            "came an EC private key",
        ),
        # Their points are those of another curve.
        "damaged SM2": (build_ec_key(curve=SM2), "SM2 private key"),
        "damaged SM2 of SEC 1": (build_pem("EC PRIVATE KEY", build_ec_key(PKCS1, SM2)), "SM2 private key"),
        "Ed25519": (private_pem(ed25519.Ed25519PrivateKey.generate()), "an Ed25519 private key"),
        "Ed25519 as base64": (
            get_base64(private_pem(ed25519.Ed25519PrivateKey.generate())),
            "an Ed25519 private key",
        ),
        "DSA": (private_pem(dsa.generate_private_key(1024)), "a DSA private key"),
        "OpenSSH": (
            key.private_bytes(PEM, serialization.PrivateFormat.OpenSSH, PLAIN),
            "an OpenSSH private key",
        ),
        "OpenSSH public": (
            key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH),
            "an OpenSSH public key",
        ),
        "PuTTY": (f"PuTTY-User-Key-File-3: ssh-rsa\nPrivate-Lines: 14\n{content}", "a PuTTY key"),
        "JWK": (json.dumps({"kty": "RSA", "d": content}), "a JWK"),
        "XML": (f"<RSAKeyValue><D>{content}</D></RSAKeyValue>", "an XML key of .NET"),
        "PGP": (
            f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{content}\n-----END PGP PRIVATE KEY BLOCK-----",
            "a PGP block",
        ),
        "PKCS#7": (pkcs7.serialize_certificates([new_certificate(key)], PEM), r"a PKCS#7 container"),
        "HTML": (b"<!DOCTYPE html>\n<html><body>404</body></html>", "an HTML page.*download the file again"),
        "ZIP": (zip_text(pem), "a ZIP archive; .*extract it"),
        "Java": (b"\xfe\xed\xfe\xed\0\0\0\2" + decode_pem(pem), "a Java keystore"),
        "an id": (PUBLIC_KEY_ID, "the id of WeChat Pay's public key"),
        "nothing": (b"\n", "nothing"),
        "blanks": ("\u200b \n", "an empty string"),
        "noise": (bytes(range(128, 256)), "128 bytes that are neither"),
        "cut": (pem[:900], r"damaged PEM block \(private key\): it is cut short, 6.. of 1... bytes"),
        "cut DER": (decode_pem(pem)[:700], "damaged DER: it is cut short, 700 of"),
        "cut base64": (content[:800], "damaged DER: it is cut short, 600 of"),
        "base64 with a character too many": (content[:801], "damaged base64"),
        "cut at the beginning": (content[300:], "damaged base64"),
        "cut short at the beginning": (content[300:500], "neither PEM nor base64"),
        "a line missing at the beginning": (pem.replace(content[:64], ""), "damaged PEM block"),
        "an ellipsis for a line": (
            pem.replace(content[64:128], "..."),
            r"damaged PEM block.*U\+002E FULL STOP at character 67",
        ),
        "a placeholder": (build_pem("PRIVATE KEY", b"your key here"), "damaged PEM block"),
        "no content": ("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----", "an empty PEM block"),
        "two keys in one DER": (decode_pem(pem) + decode_pem(pem), "bytes follow its end"),
        "a long text": ("no key. " * 200, "a string of 1599 characters, which is neither PEM nor base64"),
        "a user's folder": ("~nobody-at-all/apiclient_key.pem", "~nobody-at-all/apiclient_key.pem"),
        "a URL": ("https://example.com/key.pem", "a URL with the scheme 'https'"),
        "a Path of base64": (Path(content[:99].replace("//", "/x") + "x"), "a path of 100 characters"),
        "base64 with a suffix": (content[:40] + ".pem", "a string of 44 characters"),
        "an open file": (io.BytesIO(pem.encode()), "came a BytesIO"),
    }


KINDS = sorted(build_invalid_sources(new_key()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("setting", ["private_key", "former_private_keys", "certs", "trust_anchors"])
def test_an_invalid_source_is_named_in_the_error(service, setting, kind):
    source, pattern = build_invalid_sources(service.merchant)[kind]
    value, path = {
        "private_key": (source, "private_key"),
        "former_private_keys": ([service.platform, source], r"former_private_keys\[1\]"),
        "certs": ({PUBLIC_KEY_ID: source}, rf"certs\['{PUBLIC_KEY_ID}'\]"),
        "trust_anchors": ([service.certificate, source], r"trust_anchors\[1\]"),
    }[setting]
    with pytest.raises(ConfigurationError, match=f"(?s)^{path}: .*{pattern}") as caught:
        build_client(service, **{setting: value})
    assert "expected" in str(caught.value)
    assert_hidden(caught.value, get_base64(private_pem(service.merchant)), service)


def test_a_key_of_another_kind_is_named_in_the_error(service):
    key = service.merchant
    for source, pattern in (
        (public_pem(key), "came an RSA public key"),
        (get_base64(public_pem(key)), "came an RSA public key"),
        (certificate_pem(new_certificate(key)), "came a certificate; .*apiclient_key.pem beside"),
        (new_certificate(key), "came a Certificate"),
        (key.public_key(), "came an RSAPublicKey"),
        (build_pem("CERTIFICATE", build_sm2_certificate()), "came a certificate"),
    ):
        with pytest.raises(ConfigurationError, match=f"^private_key: {pattern}"):
            build_client(service, private_key=source)
    for source in (
        private_pem(key),
        decode_pem(private_pem(key)),
        private_pem(key, serialization.BestAvailableEncryption(b"x")),
    ):
        with pytest.raises(ConfigurationError, match=rf"^certs\['{PUBLIC_KEY_ID}'\]: came an .* private key"):
            build_client(service, certs={PUBLIC_KEY_ID: source})


def test_a_certificate_with_a_damaged_sm2_key_is_refused(service):
    octets = build_sm2_certificate()
    loaded = x509.load_der_x509_certificate(octets)
    serial = f"{7:040X}"
    for source in (octets, build_pem("CERTIFICATE", octets), loaded):
        with pytest.raises(ConfigurationError, match="SM2"):
            crypto.load_public_key(source)
        with pytest.raises(ConfigurationError, match=rf"^certs\['{serial}'\]: .*SM2"):
            build_client(service, certs={serial: source})
        with pytest.raises(ConfigurationError, match=r"^trust_anchors\[0\]: .*SM2"):
            build_client(service, trust_anchors=[source])
        with pytest.raises(ConfigurationError, match=r"^serial and private_key: "):
            build_client(service, serial=source)
        assert crypto.serial_number(source) == serial
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    spki = key.public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(ConfigurationError, match="SM2 public key"):
        crypto.load_public_key(spki.replace(P256, SM2))


def test_the_error_of_a_damaged_certificate_names_its_setting(service):
    octets = service.certificate.public_bytes(DER)
    messages = []
    for place in range(0, len(octets), 7):
        damaged = octets[:place] + bytes([octets[place] ^ 0xFF]) + octets[place + 1 :]
        try:
            build_client(service, certs={service.platform_serial: damaged})
        except ConfigurationError as error:
            messages.append(str(error))
    assert len(messages) > 20
    assert all(message.startswith(f"certs['{service.platform_serial}']: ") for message in messages)


def test_a_key_that_is_too_short_to_sign_is_refused(service):
    p, q = (1 << 127) - 1, (1 << 521) - 1  # two Mersenne primes
    e = 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(e, p * q))
    short = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    for source in (short, private_pem(short)):
        with pytest.raises(ConfigurationError, match=r"^private_key: came an RSA key of 648 bits, .*too short"):
            build_client(service, private_key=source)


def test_the_passphrase_also_decrypts_former_keys(service):
    locked = private_pem(service.platform, serialization.BestAvailableEncryption(b"secret"))
    plain = private_pem(service.merchant)
    with pytest.raises(ConfigurationError, match=r"^former_private_keys\[0\]: the key is encrypted"):
        build_client(service, former_private_keys=[locked])
    own = private_pem(service.merchant, serialization.BestAvailableEncryption(b"secret"))
    client = build_client(service, private_key=own, passphrase="secret", former_private_keys=[locked, plain])
    assert client.decrypt(crypto.encrypt("张三", service.platform.public_key())) == "张三"
    for value in (plain, plain.encode(), Path("key.pem"), None, 5):
        with pytest.raises(ConfigurationError, match=r"^former_private_keys: came .*expected a list"):
            build_client(service, former_private_keys=value)


def find_texts(value: object, depth: int = 4) -> list[str]:
    """Returns every text that an error tracker could read in a value."""
    if isinstance(value, (bytes, bytearray)):
        return [value.decode("latin-1"), base64.b64encode(value).decode()]
    if isinstance(value, str):
        return [value]
    texts = [repr(value)]
    if depth:
        members = list(value) if isinstance(value, (list, tuple, set, frozenset)) else []
        members += [*value, *value.values()] if isinstance(value, dict) else []
        members += list(vars(value).values()) if hasattr(value, "__dict__") and not isinstance(value, type) else []
        for member in members:
            texts += find_texts(member, depth - 1)
    return texts


def find_shown_text(error: BaseException) -> str:
    """Returns the text and arguments of an error and its causes, and the variables of the package's frames."""
    shown, errors = "", [error]
    for current in errors:
        shown += "\n".join([str(current), repr(current), *find_texts(current.args)])
        causes = (current.__cause__, current.__context__)
        errors += [cause for cause in causes if cause is not None and cause not in errors]
        frame = current.__traceback__
        while frame is not None:
            if frame.tb_frame.f_globals["__name__"].startswith("wechatpay_chain."):
                for value in frame.tb_frame.f_locals.values():
                    shown += "\n".join(find_texts(value))
            frame = frame.tb_next
    return shown.replace("\n", "").replace("\\n", "")


def assert_hidden(error: BaseException, secret: str, service) -> None:
    """Asserts that no 12 characters of a secret or of the merchant's key are in an error."""
    shown = find_shown_text(error)
    for hidden in (secret.replace("\n", ""), get_base64(private_pem(service.merchant))):
        for place in range(max(1, len(hidden) - 11)):
            assert hidden[place : place + 12] not in shown


def test_assert_hidden_finds_a_secret(service):
    secret = get_base64(private_pem(service.merchant))

    def leak(text: str) -> None:
        raise ConfigurationError(text)

    with pytest.raises(ConfigurationError) as caught:
        leak(f"came {secret[100:112]}")
    with pytest.raises(AssertionError):
        assert_hidden(caught.value, secret, service)


@pytest.mark.parametrize("form", ["der", "base64", "backslash n", "UTF-16", "JSON", "BOM"])
def test_no_traceback_shows_a_secret(service, form):
    pem = private_pem(service.merchant)
    source = FORMS[form](pem)
    locked = private_pem(service.platform, serialization.BestAvailableEncryption(b"open sesame, open"))
    encrypted = crypto.aes_gcm_encrypt("x", API_KEY.encode(), "0123456789ab")
    secrets_given = {
        "open barley, please": lambda: crypto.load_private_key(locked, "open barley, please"),
        "leave me out, please": lambda: crypto.load_private_key(source, "leave me out, please"),
        pem: lambda: crypto.load_public_key(source),
        pem + " ": lambda: crypto.load_public(source),
        pem + "  ": lambda: crypto.serial_number(source),
        pem + "   ": lambda: crypto.normalize_serial(pem),
        pem + "    ": lambda: crypto.key_octets("apiv3_key", pem),
        API_KEY: lambda: crypto.key_octets("apiv3_key", f"{API_KEY}\n"),
        API_KEY + " ": lambda: crypto.aes_gcm_encrypt("x", f"{API_KEY}x".encode(), "0123456789ab"),
        API_KEY + "  ": lambda: crypto.aes_gcm_decrypt(encrypted, f"{API_KEY}x".encode(), "0123456789ab"),
        API_KEY + "   ": lambda: crypto.aes_gcm_decrypt(f"{encrypted}x", API_KEY.encode(), "0123456789ab"),
        "a name of somebody" * 20: lambda: crypto.encrypt("a name of somebody" * 20, service.platform.public_key()),
        "secrets of \udc80 somebody": lambda: crypto.encrypt(
            "secrets of \udc80 somebody", service.platform.public_key()
        ),
        API_KEY + "    ": lambda: build_client(
            service, private_key=source, apiv3_key=API_KEY, passphrase=None, base_url="ftp://nowhere"
        ),
        pem + "     ": lambda: build_client(service, private_key=source, certs={"PUB_KEY_ID_01": source}),
        pem + "      ": lambda: build_client(service, private_key=source, serial="no serial"),
        pem + "       ": lambda: build_client(service, private_key=source, unknown=1),
    }
    for secret, call in secrets_given.items():
        with pytest.raises((ConfigurationError, DecryptionError, ValueError, TypeError)) as caught:
            call()
        assert caught.value.__context__ is None
        assert_hidden(caught.value, secret.strip(), service)


def test_an_error_of_the_users_code_is_raised_as_it_is(service):
    class UserError(Exception):
        pass

    class Cache:
        @property
        def load(self):
            raise UserError("of the user") from ValueError("its cause")

        save = None

    with pytest.raises(UserError, match="of the user") as caught:
        build_client(service, certificate_cache=Cache())
    assert isinstance(caught.value.__cause__, ValueError)


def test_decorated_functions_keep_their_signature_and_docstring():
    assert list(inspect.signature(crypto.load_private_key).parameters) == ["source", "passphrase"]
    assert "private_key" in inspect.signature(Client).parameters
    assert crypto.load_private_key.__doc__
