"""A merchant with SM2 keys signs, verifies, encrypts and decrypts as the service and OpenSSL do."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import secrets
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.service import MCHID, PUBLIC_KEY_ID, Reply, certificate_pem, json_body, new_certificate
from tests.sm2_service import SCHEME, SM2Key, has_sm2, openssl, sm4_gcm
from wechatpay_chain import (
    APIError,
    ArgumentError,
    Client,
    ConfigurationError,
    DecryptionError,
    Notifications,
    Reason,
    Sensitive,
    SignatureError,
    UnsupportedError,
    crypto,
)

pytest.importorskip("gmssl_pyx")
pytestmark = pytest.mark.skipif(not has_sm2(), reason="needs OpenSSL's command with SM2")

KEY = "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb"
SERIAL = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sm2")


@pytest.fixture(scope="session")
def merchant(folder):
    return SM2Key.make(folder, "merchant")


@pytest.fixture(scope="session")
def root(folder):
    return SM2Key.make(folder, "Tenpay.com sm2 Root CA")


@pytest.fixture(scope="session")
def platform(folder, root):
    return SM2Key.make(folder, "platform", root)


@pytest.fixture
def settings(merchant, platform, wire):
    wire.respond = lambda received: platform.signed(b'{"a":1}', PUBLIC_KEY_ID)
    return {
        "mchid": MCHID,
        "serial": SERIAL,
        "private_key": merchant.path,
        "certs": {PUBLIC_KEY_ID: platform.public},
        "apiv3_key": KEY,
        "base_url": wire.base_url,
        "retry": None,
    }


@pytest.fixture
def client(settings):
    with Client(**settings) as client:
        yield client


# GB/T 32918.5-2017, A.2 and A.4: the key, its signature of a text by the user 1234567812345678, and a ciphertext.
SECRET = "3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8"
POINT = (
    "09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020"
    "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
)
R = "F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3"
S = "B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA"
C1 = (
    "04EBFC718E8D1798620432268E77FEB6415E2EDE0E073C0F4F640ECD2E149A73",
    "E858F9D81E5430A57B36DAAB8F950A3C64E6EE6A63094D99283AFF767E124DF0",
)
C3 = "59983C18F809E262923C53AEC295D30383B54E39D609D160AFCB1908D0BD8766"
C2 = "21886CA989CA9C7D58087307CA93092D651EFA"


def der(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return bytes((tag, len(content))) + content


def integer(digits: str) -> bytes:
    octets = bytes.fromhex(digits)
    return der(2, b"\0" + octets if octets[0] > 0x7F else octets)


def test_the_examples_of_the_standard():
    public = crypto.SM2PublicKey(bytes.fromhex(POINT))
    key = crypto.SM2PrivateKey(bytes.fromhex(SECRET), public)
    signature = base64.b64encode(der(0x30, integer(R), integer(S))).decode()
    assert crypto.verify(b"message digest", signature, public)
    assert not crypto.verify(b"message digesT", signature, public)
    ciphertext = der(0x30, *map(integer, C1), der(4, bytes.fromhex(C3)), der(4, bytes.fromhex(C2)))
    assert crypto.decrypt(base64.b64encode(ciphertext).decode(), key) == "encryption standard"


def test_the_example_of_sm4_gcm():
    ciphertext = "+lcLNfkZQQx+iQm20Apa3x9Mb/5L7PgZ7w=="
    assert crypto.sm4_gcm_decrypt(ciphertext, KEY.encode(), "uluk4a9R25RW", "associatedData") == b"plaintext"
    assert crypto.sm4_gcm_encrypt("plaintext", KEY.encode(), "uluk4a9R25RW", "associatedData") == ciphertext


@pytest.mark.parametrize(
    ("ciphertext", "nonce", "associated_data"),
    [
        ("+lcLNfkZQQx+iQm20Apa3x9Mb/5L7PgZ7w==", "uluk4a9R25RX", "associatedData"),
        ("+lcLNfkZQQx+iQm20Apa3x9Mb/5L7PgZ7w==", "uluk4a9R25RW", ""),
        ("+lcLNfkZQQx+iQm20Apa3x9Mb/5L7PgZ7w==", "", "associatedData"),
        ("AAAA", "uluk4a9R25RW", "associatedData"),
        ("not base64", "uluk4a9R25RW", "associatedData"),
    ],
)
def test_what_sm4_gcm_does_not_authenticate_is_refused(ciphertext, nonce, associated_data):
    with pytest.raises(DecryptionError):
        crypto.sm4_gcm_decrypt(ciphertext, KEY.encode(), nonce, associated_data)
    with pytest.raises(ConfigurationError, match="expected 32"):
        crypto.sm4_gcm_decrypt(ciphertext, KEY.encode()[:16], nonce, associated_data)


def test_openssl_verifies_and_decrypts_what_the_package_signs_and_encrypts(merchant, folder):
    key, public = crypto.load_sm2_private_key(merchant.path), crypto.load_sm2_public_key(merchant.public)
    assert key.public_key() == public
    for message in (b"", b"GET\n/v3/certificates\n1\nn\n\n", "店".encode() * 1000):
        assert merchant.verifies(message, crypto.sign(message, key), folder)
        assert crypto.verify(message, merchant.sign(message), public)
    for text in ("张三", "x", "x" * 255):
        assert merchant.decrypt(crypto.encrypt(text, public)).decode() == text
        assert crypto.decrypt(merchant.encrypt(text.encode()), key) == text


def test_a_text_that_sm2_cannot_encrypt_is_refused(merchant):
    public = crypto.load_sm2_public_key(merchant.public)
    for text in ("", "x" * 256):
        with pytest.raises(ArgumentError, match="255"):
            crypto.encrypt(text, public)


def test_an_altered_signature_or_ciphertext_is_refused(merchant):
    key = crypto.load_sm2_private_key(merchant.path)
    raw = base64.b64decode(crypto.sign(b"m", key))
    ciphertext = base64.b64decode(crypto.encrypt("张三", key.public))
    for octets in (b"", raw[:-1], raw + b"\0", b"\0" * 70, raw[:-1] + bytes([raw[-1] ^ 1])):
        assert not crypto.verify(b"m", base64.b64encode(octets).decode(), key.public)
    for octets in (
        b"",
        ciphertext[:-1],
        ciphertext + b"\0",
        b"\0" * 100,
        ciphertext[:-1] + bytes([ciphertext[-1] ^ 1]),
    ):
        with pytest.raises(DecryptionError):
            crypto.decrypt(base64.b64encode(octets).decode(), key)
    assert not crypto.verify(b"m", "not base64", key.public)


def test_a_key_comes_in_many_forms(merchant, folder):
    ec = openssl("ec", "-in", merchant.path)
    der_form = openssl("pkey", "-in", merchant.path, "-outform", "DER")
    parameters = openssl("ecparam", "-name", "SM2")
    expected = crypto.load_sm2_private_key(merchant.path)
    for source in (merchant.path.read_text(), der_form, ec, parameters + ec, base64.b64encode(der_form).decode()):
        assert crypto.load_sm2_private_key(source) == expected
    assert crypto.load_sm2_public_key(merchant.certificate_path) == expected.public
    assert crypto.load_sm2_public_key(merchant.certificate) == expected.public
    assert crypto.load_sm2_private_key(expected) is expected


def test_keys_of_the_other_kind_are_named(merchant, service):
    with pytest.raises(ConfigurationError, match="load_sm2_private_key"):
        crypto.load_private_key(merchant.path)
    with pytest.raises(ConfigurationError, match="load_sm2_public_key"):
        crypto.load_public_key(merchant.public)
    with pytest.raises(ConfigurationError, match="load_private_key"):
        crypto.load_sm2_private_key(service.merchant)
    with pytest.raises(ConfigurationError, match="load_public_key"):
        crypto.load_sm2_public_key(service.public_key.public_key())
    with pytest.raises(TypeError, match="RSA or SM2"):
        crypto.sign(b"", "key")


def test_a_key_without_its_public_half_and_an_encrypted_key_are_explained(merchant):
    short = openssl("ec", "-in", merchant.path, "-no_public")
    with pytest.raises(ConfigurationError, match=r"without its public half.*openssl pkey"):
        crypto.load_sm2_private_key(short)
    encrypted = openssl("pkey", "-in", merchant.path, "-aes256", "-passout", "pass:x")
    with pytest.raises(ConfigurationError, match="openssl pkey"):
        crypto.load_private_key(encrypted, "x")


def test_no_error_shows_a_key(merchant):
    secret = crypto.load_sm2_private_key(merchant.path).secret
    damaged = openssl("pkey", "-in", merchant.path, "-outform", "DER").replace(
        secret, secret[:-1] + bytes([secret[-1] ^ 1])
    )
    with pytest.raises(ConfigurationError, match="damaged SM2 private key") as caught:
        crypto.load_sm2_private_key(damaged)
    traceback = caught.tb
    while traceback:
        assert all(
            secret[:-1] not in repr(value).encode("latin-1", "ignore") for value in traceback.tb_frame.f_locals.values()
        )
        traceback = traceback.tb_next
    assert secret.hex() not in repr(crypto.load_sm2_private_key(merchant.path))
    assert repr(secret) not in repr(crypto.load_sm2_private_key(merchant.path))


@pytest.mark.parametrize("verb", ["get", "post"])
def test_a_call_is_signed_and_its_response_verified(client, merchant, folder, wire, send, verb):
    body = {"json": {"store": "店"}} if verb == "post" else {}
    assert send(client.v3.pay.transactions.native, verb, **body).json() == {"a": 1}
    received = wire.received[-1]
    scheme, _, items = received.header("Authorization").partition(" ")
    assert scheme == SCHEME
    found = {name: text.strip('"') for name, _, text in (item.partition("=") for item in items.split(",", 4))}
    assert (found["mchid"], found["serial_no"]) == (MCHID, SERIAL)
    lines = [received.method, received.target, found["timestamp"], found["nonce_str"], received.body.decode(), ""]
    assert merchant.verifies("\n".join(lines).encode(), found["signature"], folder)
    assert received.header("Wechatpay-Serial") == PUBLIC_KEY_ID


def test_personal_data_is_encrypted_and_decrypted(client, merchant, platform, wire):
    wire.respond = lambda received: platform.signed(
        json_body({"name": merchant.encrypt("李四".encode())}), PUBLIC_KEY_ID
    )
    response = client.v3.applyment4sub.applyment.post(json={"name": Sensitive("张三")})
    assert platform.decrypt(json.loads(wire.received[-1].body)["name"]).decode() == "张三"
    assert response.decrypt("name") == {"name": "李四"}


@pytest.mark.parametrize("change", ["signature", "algorithm", "unknown", "body"])
def test_a_response_that_is_not_signed_with_sm2_is_refused(client, platform, service, wire, send, change):
    def respond(received):
        reply = platform.signed(b'{"a":1}', PUBLIC_KEY_ID)
        match change:
            case "signature":
                return service.signed(b'{"a":1}').having(Wechatpay_Signature_Type=SCHEME)
            case "algorithm":
                return reply.having(Wechatpay_Signature_Type="WECHATPAY2-SHA256-RSA2048")
            case "unknown":
                return reply.having(Wechatpay_Signature_Type="WECHATPAY2-SM9")
            case _:
                return Reply(200, reply.headers, b'{"a":2}')

    wire.respond = respond
    with pytest.raises(SignatureError) as refused:
        send(client.v3.pay, "get")
    assert refused.value.reason is Reason.BAD_SIGNATURE


def test_without_the_header_the_key_tells_the_algorithm(client, platform, wire):
    wire.respond = lambda received: platform.signed(b'{"a":1}', PUBLIC_KEY_ID).without("Wechatpay-Signature-Type")
    assert client.v3.pay.get().json() == {"a": 1}


def test_a_merchant_may_have_keys_of_both_kinds(settings, service, merchant, wire, send):
    """One that moves from RSA to SM2: the service may still sign with RSA, and has encrypted for the former key."""
    sm2_id = "PUB_KEY_ID_9"
    certs = {sm2_id: settings["certs"][PUBLIC_KEY_ID], **service.certs}
    both = {**settings, "certs": certs, "former_private_keys": [service.merchant]}
    wire.respond = lambda received: service.signed(b'{"a":1}', key=service.platform, serial=service.platform_serial)
    with Client(**both) as client:
        assert send(client.v3.pay, "get").json() == {"a": 1}
        assert client.decrypt(crypto.encrypt("张三", service.merchant.public_key())) == "张三"
        assert client.decrypt(merchant.encrypt("李四".encode())) == "李四"
        client.v3.pay.post(json={"name": Sensitive("x")})  # encrypted for the SM2 key, not for an RSA key
        assert wire.received[-1].header("Wechatpay-Serial") == sm2_id


def test_values_that_are_encrypted_already_are_not_encrypted_again(client, platform, wire, tmp_path):
    ciphertext = crypto.encrypt("张三", crypto.load_sm2_public_key(platform.public))

    async def send_all():
        line = {"echo_message": "a", "encrypted_echo_message": ciphertext}
        return [
            result async for result in client.bulk("POST", "v3/security/echo", [line], results=tmp_path / "results")
        ]

    assert [result.outcome for result in asyncio.run(send_all())] == ["done"]
    assert json.loads(wire.received[-1].body)["encrypted_echo_message"] == ciphertext
    wire.respond = lambda received: Reply(400, {}, b'{"code":"PARAM_ERROR"}')
    with pytest.raises(APIError) as refused:
        client.v3.security.echo.post(json={"echo_message": "a", "encrypted_echo_message": ciphertext})
    assert "must be encrypted" not in "".join([str(refused.value), *getattr(refused.value, "__notes__", [])])


class Listing:
    """A service that lists its SM2 certificate, and signs with it."""

    def __init__(self, platform, certificate=None):
        self.platform, self.targets = platform, []
        self.certificate = certificate or platform.certificate_path.read_bytes()

    def __call__(self, received):
        self.targets.append(received.target)
        if received.target.startswith("/v3/certificates"):
            nonce = secrets.token_hex(6)
            encrypted = {
                "algorithm": "AEAD_SM4_GCM",
                "nonce": nonce,
                "associated_data": "certificate",
                "ciphertext": sm4_gcm(self.certificate, KEY, nonce, b"certificate"),
            }
            entry = {"serial_no": self.platform.serial, "encrypt_certificate": encrypted}
            return self.platform.signed(json_body({"data": [entry]}), self.platform.serial)
        return self.platform.signed(b'{"a":1}', self.platform.serial)


def test_certificates_are_fetched_by_their_algorithm(settings, platform, root, wire, send):
    wire.respond = listing = Listing(platform)
    with Client(**{**settings, "certs": {}, "trust_anchors": [root.certificate_path]}) as client:
        assert send(client.v3.pay, "post", json={"name": Sensitive("张三")}).json() == {"a": 1}
        assert listing.targets == ["/v3/certificates?algorithm_type=SM2", "/v3/pay"]
        assert list(client.platform_certificates()) == [platform.serial]
    assert listing.targets[-1] == "/v3/certificates?algorithm_type=SM2"


def test_certificates_of_the_other_type_do_not_replace_those_of_this_client(settings, platform, service, wire, send):
    """A merchant that has moved from RSA to SM2 may have the old list in the cache; and a call may ask for that list."""
    listing = Listing(platform)
    certificate = new_certificate(service.platform, subject="Tenpay.com sign", issuer="Tenpay.com Root CA")
    serial, nonce = f"{certificate.serial_number:040X}", secrets.token_hex(6)
    encrypted = {
        "algorithm": "AEAD_AES_256_GCM",
        "nonce": nonce,
        "associated_data": "certificate",
        "ciphertext": crypto.aes_gcm_encrypt(certificate_pem(certificate), KEY.encode(), nonce, "certificate"),
    }
    body = json_body({"data": [{"serial_no": serial, "encrypt_certificate": encrypted}]})

    def respond(received):
        if received.target.endswith("algorithm_type=RSA"):
            return platform.signed(body, platform.serial)
        return listing(received)

    class Cache:
        content = body

        def load(self):
            return self.content

        def save(self, content):
            self.content = content

    wire.respond, cache = respond, Cache()
    with Client(**{**settings, "certs": {}, "certificate_cache": cache}) as client:
        assert send(client.v3.pay, "get").json() == {"a": 1}
        assert b"AEAD_SM4_GCM" in cache.content
        assert send(client.v3.certificates, "get", params={"algorithm_type": "RSA"}).content == body
        assert send(client.v3.pay, "post", json={"name": Sensitive("张三")}).json() == {"a": 1}


def test_keys_of_the_other_type_alone_are_refused(settings, service):
    with pytest.raises(ConfigurationError, match="SM2 key"):
        Client(**{**settings, "certs": service.certs, "apiv3_key": None})
    sm2 = settings["certs"]
    with pytest.raises(ConfigurationError, match="RSA key"):
        Client(**{**service.settings("https://a.example"), "certs": sm2, "apiv3_key": None})


def test_a_name_of_other_algorithms_is_named_in_the_error(client, platform, wire):
    wire.respond = lambda received: platform.signed(b"{}", PUBLIC_KEY_ID).having(Wechatpay_Signature_Type="SM9")
    with pytest.raises(SignatureError, match=r"Wechatpay-Signature-Type is 'SM9'"):
        client.v3.pay.get()


def test_a_key_of_the_wrong_half_is_a_type_error(merchant, service):
    own, rsa = crypto.load_sm2_private_key(merchant.path), service.merchant
    for private in (own, rsa):
        public = private.public_key()
        for call in (
            lambda private=private: crypto.verify(b"m", "AAAA", private),
            lambda private=private: crypto.encrypt("m", private),
            lambda public=public: crypto.sign(b"m", public),
            lambda public=public: crypto.decrypt("AAAA", public),
            lambda: crypto.sign(b"m", "no key"),
        ):
            with pytest.raises(TypeError, match=r"loaded (private|public) key"):
                call()


def test_what_is_no_ciphertext_is_refused_without_a_word(merchant):
    """GmSSL would write to the standard error."""
    script = (
        "import sys; from wechatpay_chain import crypto; key = crypto.load_sm2_private_key(sys.argv[1])\n"
        "for text in sys.argv[2:]:\n"
        "    try: crypto.decrypt(text, key)\n"
        "    except Exception as error: print(type(error).__name__)"
    )
    texts = [
        base64.b64encode(octets).decode()
        for octets in (b"1", b"1" * 256, b"\x30\x03\x02\x01\x01", secrets.token_bytes(120))
    ]
    done = subprocess.run(
        [sys.executable, "-c", script, merchant.path, *texts], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["DecryptionError"] * 4
    assert done.stderr == ""


def test_a_certificate_of_another_issuer_is_refused(settings, platform, folder, wire, send):
    wire.respond = Listing(platform)
    other = SM2Key.make(folder, "Tenpay.com sm2 Root CA")
    with (
        Client(**{**settings, "certs": {}, "trust_anchors": [other.certificate_path]}) as client,
        pytest.raises(ConfigurationError, match="trust_anchors"),
    ):
        send(client.v3.pay, "get")
    stranger = SM2Key.make(folder, "Somebody", other)
    wire.respond = Listing(SM2Key.make(folder, "platform of somebody", stranger))
    with Client(**{**settings, "certs": {}}) as client, pytest.raises(ConfigurationError, match="issued by"):
        send(client.v3.pay, "get")


def test_a_notification_is_verified_and_decrypted(client, settings, platform):
    nonce = secrets.token_hex(6)
    resource = {
        "algorithm": "AEAD_SM4_GCM",
        "original_type": "transaction",
        "associated_data": "transaction",
        "nonce": nonce,
        "ciphertext": sm4_gcm(b'{"out_trade_no":"1"}', KEY, nonce, b"transaction"),
    }
    body = json_body({"id": "1", "event_type": "TRANSACTION.SUCCESS", "resource": resource})
    headers = platform.signature(body, PUBLIC_KEY_ID)
    assert client.notifications.parse(headers, body).resource == {"out_trade_no": "1"}
    alone = Notifications(settings["certs"], KEY)
    assert alone.parse(headers, body).resource == {"out_trade_no": "1"}
    with pytest.raises(SignatureError):
        client.notifications.parse(headers, body + b" ")
    for wrong in ("WECHATPAY2-SHA256-RSA2048", "WECHATPAY2-SM9"):
        with pytest.raises(SignatureError):
            client.notifications.parse({**headers, "Wechatpay-Signature-Type": wrong}, body)


def test_the_certificate_may_stand_for_the_serial_number(settings, merchant, folder):
    with Client(**{**settings, "serial": merchant.certificate_path}) as client:
        assert client.serial == merchant.serial
    with pytest.raises(ConfigurationError, match="does not belong"):
        Client(**{**settings, "serial": SM2Key.make(folder, "other").certificate})


def test_a_signer_signs_with_the_algorithm_of_the_certificate(settings, merchant, wire):
    class Signer:
        def sign(self, message):
            return merchant.sign(message)

    with Client(**{**settings, "private_key": "", "signer": Signer(), "serial": merchant.certificate}) as client:
        client.v3.pay.get()
    assert wire.received[-1].header("Authorization").startswith(f"{SCHEME} ")


def test_what_sm2_does_not_have_is_refused(settings, client, merchant):
    with pytest.raises(UnsupportedError, match="RSA"):
        client.payment.jsapi("wx1", "wx201")
    with pytest.raises(ConfigurationError, match="brand_id"):
        Client(**{**settings, "mchid": "", "brand_id": "120344"})
    with pytest.raises(ConfigurationError, match="certificate"):
        Client(**{**settings, "certificate": merchant.certificate})


def test_without_gmssl_pyx_the_error_says_what_to_install(merchant):
    program = (
        "import sys; sys.modules['gmssl_pyx'] = None\n"
        "from pathlib import Path\n"
        "from wechatpay_chain import Client\n"
        f"Client(mchid='1', serial='2', private_key=Path({str(merchant.path)!r}), certs={{}}, apiv3_key='0' * 32)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert re.search(r"ConfigurationError: .*pip install 'wechatpay-chain\[sm2\]'", run.stderr.splitlines()[-1])


def test_a_key_that_is_cut_off_is_named_by_its_setting(merchant):
    octets = base64.b64decode("".join(merchant.path.read_text().splitlines()[1:-1]))
    start = octets.index(bytes.fromhex("06082a811ccf5501822d"))
    for end in range(start + 10, len(octets) - 1, 7):
        with pytest.raises(ConfigurationError) as refused:
            crypto.load_sm2_private_key(octets[:end])
        assert str(refused.value).startswith("private_key: ")
    # The curve is there, the point has another form.
    broken = octets[:-66] + octets[-66:].replace(b"\0\x04", b"\0\x05", 1)
    with pytest.raises(ConfigurationError, match=r"^private_key: "):
        crypto.load_sm2_private_key(broken)


def test_a_malformed_signature_is_refused_without_a_word(merchant, capfd):
    """GmSSL writes to the standard error for each; a server that anybody can post to would fill its log."""
    key = crypto.load_sm2_private_key(merchant.path)
    order = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
    for octets in (
        b"",
        b"\0" * 64,
        encode_dss_signature(0, 1),
        encode_dss_signature(1, 0),
        encode_dss_signature(order, 1),
        encode_dss_signature(1, order),
        encode_dss_signature(1, 1) + b"\0",
        encode_dss_signature(1, 1)[:-1],
    ):
        assert not crypto.verify(b"m", base64.b64encode(octets).decode(), key.public)
    assert capfd.readouterr().err == ""


def test_a_key_of_the_wrong_size_is_a_configuration_error():
    for make in (lambda: crypto.SM2PublicKey(b"a"), lambda: crypto.SM2PublicKey("a" * 64)):
        with pytest.raises(ConfigurationError, match="SM2 public key"):
            make()
    with pytest.raises(ConfigurationError, match="SM2 private key") as refused:
        crypto.SM2PrivateKey(b"secret", crypto.SM2PublicKey(b"a" * 64))
    assert "secret" not in str(refused.value)
    with pytest.raises(ConfigurationError, match="damaged"):
        crypto.encrypt("a", crypto.SM2PublicKey(b"a" * 64))
    with pytest.raises(ConfigurationError, match="damaged"):
        crypto.sign(b"m", crypto.SM2PrivateKey(b"\0" * 32, crypto.SM2PublicKey(b"a" * 64)))
