"""Algorithms, and the loading of keys in every form that people have them in."""

from __future__ import annotations

import base64
import math
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from hypothesis import given
from hypothesis import strategies as st

from tests.service import certificate_pem, new_certificate, private_pem, public_pem, rsa_sign, rsa_verifies
from wechatpay_chain import ConfigurationError, DecryptionError, WeChatPayError, crypto
from wechatpay_chain._schemes.canonical import parse_authorization, request_message, response_message
from wechatpay_chain.errors import ArgumentError

KEY = b"0123456789abcdef0123456789ABCDEF"
UNICODE = st.text(st.characters(exclude_categories=("Cs",)))


def test_the_canonical_message_of_a_request():
    assert request_message("get", "/v3/certificates", 1554208460, "593BEC0C930BF1AFEB40B4A08C8FB242", b"") == (
        b"GET\n/v3/certificates\n1554208460\n593BEC0C930BF1AFEB40B4A08C8FB242\n\n"
    )
    assert request_message("POST", "/v3/x?a=%20", "1", "n", "中\n") == b"POST\n/v3/x?a=%20\n1\nn\n\xe4\xb8\xad\n\n"


def test_the_canonical_message_of_a_response():
    assert response_message("1554209980", "c5ac7061fccab6bf3e254dcf98995b8c", b'{"data":[]}') == (
        b'1554209980\nc5ac7061fccab6bf3e254dcf98995b8c\n{"data":[]}\n'
    )
    assert response_message(1, "n", "") == b"1\nn\n\n"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer x",
        "WECHATPAY2-SHA256-RSA2048 mchid=1",
        'WECHATPAY9-SHA256-RSA2048 mchid="1"',
        'WECHATPAY2-SHA256-RSA2048 mchid="1" serial_no="2"',
    ],
)
def test_an_authorization_of_another_form_is_not_parsed(header):
    assert parse_authorization(header) == {}


def test_an_authorization_is_parsed_in_any_order():
    assert parse_authorization('WECHATPAY2-SHA256-RSA2048 serial_no="A",mchid="1",signature="a+/="') == {
        "serial_no": "A",
        "mchid": "1",
        "signature": "a+/=",
    }


@given(st.binary())
def test_only_the_right_signature_verifies(service, message):
    signature = crypto.sign(message, service.merchant)
    assert rsa_verifies(service.merchant, signature, message)
    assert signature == rsa_sign(service.merchant, message)
    assert crypto.verify(message, signature, service.merchant.public_key()) is True
    assert crypto.verify(message + b"\n", signature, service.merchant.public_key()) is False
    assert crypto.verify(message, signature, service.platform.public_key()) is False


def test_an_invalid_signature_does_not_verify(service):
    key = service.merchant.public_key()
    good = crypto.sign(b"m", service.merchant)
    raw = base64.b64decode(good)
    stray_bits = base64.b64encode(raw[:-1]).decode()
    assert crypto.verify(b"m", good, key)
    other_hash = base64.b64encode(service.merchant.sign(b"m", padding.PKCS1v15(), hashes.SHA1())).decode()
    pss = base64.b64encode(
        service.merchant.sign(b"m", padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    ).decode()
    last = chr(ord(good[-3]) + 1) if good[-3] not in "Zz9+/" else "A"
    for bad in (
        "", " ", "=", "A", f"{good}\n", f" {good}", good[:100] + "\n" + good[100:], good.rstrip("="), f"{good}=",
        f"WECHATPAY/SIGNTEST/{good}", good.replace("+", "-").replace("/", "_") + "*", stray_bits,
        f"{good[:-3]}{last}==", base64.b64encode(raw + b"\0").decode(), base64.b64encode(b"\0" + raw).decode(),
        base64.b64encode(b"").decode(), "中" * 344, other_hash, pss, "\ud800",
    ):  # fmt: skip
        assert crypto.verify(b"m", bad, key) is False, bad
    for value in (None, 1, good.encode() + b"\0", [], b""):
        assert crypto.verify(b"m", value, key) is False  # type: ignore[arg-type]


@given(UNICODE.filter(lambda text: len(text.encode()) <= 214))
def test_encrypted_personal_data_is_decrypted(service, text):
    encrypted = crypto.encrypt(text, service.platform.public_key())
    assert crypto.decrypt(encrypted, service.platform) == text
    decrypted = service.platform.decrypt(
        base64.b64decode(encrypted), padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    )
    assert decrypted.decode() == text


def test_personal_data_that_is_too_long_is_refused(service):
    key = service.platform.public_key()
    crypto.encrypt("a" * 214, key)
    for text in ("a" * 215, "中" * 72, "\ud800"):
        with pytest.raises(ArgumentError, match="plaintext"):
            crypto.encrypt(text, key)


def test_an_invalid_ciphertext_is_not_decrypted(service):
    encrypted = crypto.encrypt("张三", service.platform.public_key())
    sha256 = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    not_text = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    public = service.platform.public_key()
    bad = [
        "", "x", f"{encrypted}\n", encrypted[:-4], encrypted[::-1],
        base64.b64encode(public.encrypt(b"a", sha256)).decode(),
        base64.b64encode(public.encrypt(b"a", padding.PKCS1v15())).decode(),
        base64.b64encode(public.encrypt(b"\xff", not_text)).decode(),
    ]  # fmt: skip
    messages = set()
    for text in bad:
        with pytest.raises(DecryptionError) as caught:
            crypto.decrypt(text, service.platform)
        messages.add(str(caught.value))
    with pytest.raises(DecryptionError):
        crypto.decrypt(encrypted, service.merchant)
    assert len(messages) == 1, "one message for every cause"


def test_aes_gcm_test_cases_13_and_14():
    """Checks the cases with a 256-bit key and a nonce of text in McGrew and Viega, The Galois/Counter Mode."""
    key, nonce = bytes(32), "\0" * 12
    tag_13 = bytes.fromhex("530f8afbc74536b9a963b4f1c4cb738b")
    encrypted_14 = bytes.fromhex("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919")
    assert crypto.aes_gcm_encrypt(b"", key, nonce) == base64.b64encode(tag_13).decode()
    assert crypto.aes_gcm_encrypt(bytes(16), key, nonce) == base64.b64encode(encrypted_14).decode()
    assert crypto.aes_gcm_decrypt(base64.b64encode(encrypted_14).decode(), key, nonce) == bytes(16)


@given(st.binary() | UNICODE, st.text("0123456789abcdef", min_size=12, max_size=12), UNICODE)
def test_aes_gcm_decrypts_what_it_encrypted(plain, nonce, data):
    encrypted = crypto.aes_gcm_encrypt(plain, KEY, nonce, data)
    assert crypto.aes_gcm_decrypt(encrypted, KEY, nonce, data) == (plain.encode() if isinstance(plain, str) else plain)


@pytest.mark.parametrize("encrypt", [crypto.aes_gcm_encrypt, crypto.sm4_gcm_encrypt])
@pytest.mark.parametrize("nonce", ["", "1234567", "1" * 129])
def test_a_nonce_that_no_cipher_takes_is_an_argument_error(encrypt, nonce):
    with pytest.raises(ArgumentError, match="expected 12"):
        encrypt("x", KEY, nonce)


@given(st.integers(0, 27), st.integers(1, 255))
def test_a_flipped_byte_does_not_decrypt(position, flip):
    raw = bytearray(base64.b64decode(crypto.aes_gcm_encrypt("hello world!", KEY, "0123456789ab", "a")))
    raw[position] ^= flip
    with pytest.raises(DecryptionError):
        crypto.aes_gcm_decrypt(base64.b64encode(raw).decode(), KEY, "0123456789ab", "a")


def test_other_arguments_do_not_decrypt():
    encrypted = crypto.aes_gcm_encrypt("x", KEY, "0123456789ab", "a")
    for arguments in (
        (encrypted, KEY, "0123456789ab", "b"),
        (encrypted, KEY, "0123456789ab"),
        (encrypted, KEY, "ba9876543210", "a"),
        (encrypted, KEY[::-1], "0123456789ab", "a"),
        (encrypted[:20], KEY, "0123456789ab", "a"),
        (f"{encrypted}\n", KEY, "0123456789ab", "a"),
        ("", KEY, "0123456789ab", "a"),
        (encrypted, KEY, "", "a"),
        (encrypted, KEY, "x" * 200, "a"),
    ):
        with pytest.raises(DecryptionError):
            crypto.aes_gcm_decrypt(*arguments)
    assert crypto.aes_gcm_decrypt(crypto.aes_gcm_encrypt("x", KEY, "0123456789ab"), KEY, "0123456789ab", None) == b"x"
    for key in (b"", KEY[:31], KEY + b"x", KEY[:16]):
        with pytest.raises(ConfigurationError, match="32"):
            crypto.aes_gcm_decrypt(encrypted, key, "0123456789ab", "a")
        with pytest.raises(ConfigurationError, match="32"):
            crypto.aes_gcm_encrypt("x", key, "0123456789ab")


def test_nonces_are_random_letters_and_digits():
    nonces = {crypto.nonce() for _ in range(1000)}
    assert len(nonces) == 1000
    assert {len(nonce) for nonce in nonces} == {32}
    assert all(nonce.isascii() and nonce.isalnum() for nonce in nonces)
    assert [len(crypto.nonce(size)) for size in (1, 12, 17, 40)] == [1, 12, 17, 40]


PRIVATE = serialization.PrivateFormat
PUBLIC = serialization.PublicFormat
DER, PEM, PLAIN = serialization.Encoding.DER, serialization.Encoding.PEM, serialization.NoEncryption()


def is_same_key(key: RSAPrivateKey, other: RSAPrivateKey) -> bool:
    return key.private_numbers() == other.private_numbers()


@pytest.mark.parametrize("form", [PRIVATE.PKCS8, PRIVATE.TraditionalOpenSSL])
def test_private_keys_are_loaded_in_every_form(service, tmp_path, form):
    key = service.merchant
    pem, der = key.private_bytes(PEM, form, PLAIN), key.private_bytes(DER, form, PLAIN)
    file = tmp_path / "apiclient_key.pem"
    file.write_bytes(pem)
    binary = tmp_path / "apiclient_key.der"
    binary.write_bytes(der)
    with_bom = tmp_path / "with_bom.pem"
    with_bom.write_bytes(b"\xef\xbb\xbf" + pem.replace(b"\n", b"\r\n"))
    for source in (file, str(file), binary, with_bom, pem, der, pem.decode(), f"\n {pem.decode()}\n", key):
        assert is_same_key(crypto.load_private_key(source), key)


@pytest.mark.parametrize("passphrase", ["secret", b"secret"])
@pytest.mark.parametrize("form", [PRIVATE.PKCS8, PRIVATE.TraditionalOpenSSL])
def test_encrypted_private_keys_are_loaded_with_their_passphrase(service, form, passphrase):
    locked = service.merchant.private_bytes(PEM, form, serialization.BestAvailableEncryption(b"secret"))
    assert is_same_key(crypto.load_private_key(locked, passphrase), service.merchant)
    with pytest.raises(ConfigurationError, match="passphrase="):
        crypto.load_private_key(locked)
    with pytest.raises(ConfigurationError, match="passphrase: it does not decrypt"):
        crypto.load_private_key(locked, "another")
    with pytest.raises(ConfigurationError, match="leave the passphrase out"):
        crypto.load_private_key(private_pem(service.merchant), passphrase)


@pytest.mark.parametrize("form", [PUBLIC.SubjectPublicKeyInfo, PUBLIC.PKCS1])
def test_public_keys_are_loaded_in_every_form(service, tmp_path, form):
    key = service.public_key.public_key()
    pem, der = key.public_bytes(PEM, form), key.public_bytes(DER, form)
    file = tmp_path / "pub_key.pem"
    file.write_bytes(pem)
    for source in (file, str(file), pem, der, pem.decode(), key):
        assert crypto.load_public_key(source) == key


def test_a_certificate_is_loaded_as_its_public_key(service, tmp_path):
    certificate = service.certificate
    file = tmp_path / "wechatpay.pem"
    file.write_text(certificate_pem(certificate))
    pem = certificate_pem(certificate)
    for source in (file, str(file), pem, pem.encode(), certificate.public_bytes(DER), certificate):
        assert crypto.load_public_key(source) == service.platform.public_key()
        assert crypto.serial_number(source) == service.platform_serial
    assert isinstance(crypto.load_public(pem), x509.Certificate)


def test_a_serial_keeps_its_leading_zeros(service):
    certificate = new_certificate(service.platform, serial=0x0A1B)
    assert crypto.serial_number(certificate) == "0" * 36 + "0A1B"
    with pytest.raises(ConfigurationError, match="serial"):
        crypto.serial_number(service.platform.public_key())


SERIAL = 0x0408B07E79B8269FEC3D5D3E6AB8ED163A6A380D


@pytest.mark.parametrize(
    "spelling",
    [
        "0408B07E79B8269FEC3D5D3E6AB8ED163A6A380D",
        "0408b07e79b8269fec3d5d3e6ab8ed163a6a380d",
        "408B07E79B8269FEC3D5D3E6AB8ED163A6A380D",
        "04:08:B0:7E:79:B8:26:9F:EC:3D:5D:3E:6A:B8:ED:16:3A:6A:38:0D",
        " 0408b07e 79b8269f ec3d5d3e 6ab8ed16 3a6a380d\n",
        "0x408b07e79b8269fec3d5d3e6ab8ed163a6a380d",
        "serial=0408B07E79B8269FEC3D5D3E6AB8ED163A6A380D\n",
        SERIAL,
        str(SERIAL),
    ],
)
def test_serials_are_normalized_from_every_spelling(spelling):
    assert crypto.normalize_serial(spelling) == f"{SERIAL:040X}"


@given(st.integers(1, 2**160 - 1))
def test_every_serial_is_normalized(number):
    expected = f"{number:040X}"
    colons = ":".join(expected[i : i + 2] for i in range(0, 40, 2))
    for spelling in (number, expected, expected.lower(), expected.lstrip("0"), colons, colons.lower()):
        assert crypto.normalize_serial(spelling) == expected
    if len(str(number)) > 40:
        assert crypto.normalize_serial(str(number)) == expected


@pytest.mark.parametrize(
    "spelling", ["", "xyz", "PUB_KEY_ID_01", "A" * 41, 2**160, "9" * 50, -1, 0, "0", "-1", "é", 1.5, None]
)
def test_an_invalid_serial_is_refused(spelling):
    with pytest.raises(ConfigurationError, match="serial"):
        crypto.normalize_serial(spelling)


def secret_lines(key: RSAPrivateKey) -> list[str]:
    return [line for line in private_pem(key).splitlines() if len(line) > 40]


def test_an_invalid_private_key_is_refused(service, tmp_path):
    public, certificate = public_pem(service.merchant), certificate_pem(service.certificate)
    elliptic = private_pem(ec.generate_private_key(ec.SECP256R1()))
    pem = private_pem(service.merchant)
    body = "".join(secret_lines(service.merchant))
    (tmp_path / "empty").write_bytes(b"")
    expected = {
        public: "came an RSA public key",
        public.encode(): "came an RSA public key",
        certificate: "came a certificate",
        service.certificate.public_bytes(DER): "came a certificate",
        elliptic: "EC|Elliptic",
        private_pem(ed25519.Ed25519PrivateKey.generate()): "Ed25519",
        pem[:900]: "damaged",
        pem.replace("MII", "AAA", 1): "damaged",
        b"\x00\x01": "2 bytes",
        b"": "0 bytes",
        body[:99] + "." + body[99:]: "neither PEM nor base64",
        "no/such/file.pem": "path",
        tmp_path: "directory",
        tmp_path / "none.pem": "none.pem",
        tmp_path / "empty": "0 bytes",
        Path("a\0b"): "path",
        42: "came a int",
    }
    for source, pattern in [*expected.items(), (service.merchant.public_key(), "RSAPublicKey")]:
        with pytest.raises(ConfigurationError, match=pattern) as caught:
            crypto.load_private_key(source)  # type: ignore[arg-type]
        message = str(caught.value)
        assert "private_key" in message
        assert not any(line in message for line in secret_lines(service.merchant))


def test_an_invalid_public_key_is_refused(service, tmp_path):
    certificate = certificate_pem(service.certificate)
    for source, pattern in {
        private_pem(service.merchant): "an RSA private key",
        service.merchant.private_bytes(DER, PRIVATE.PKCS8, PLAIN): "an RSA private key",
        certificate[:400]: "damaged PEM block .certificate.: it is cut short",
        b"": "0 bytes",
        tmp_path: "directory",
        "nothing": "path",
        public_pem(ec.generate_private_key(ec.SECP256R1())): "EC|Elliptic",
        service.merchant: "came a",
        None: "NoneType",
    }.items():
        with pytest.raises(ConfigurationError, match=pattern) as caught:
            crypto.load_public_key(source)  # type: ignore[arg-type]
        assert not any(line in str(caught.value) for line in secret_lines(service.merchant))


def test_a_certificate_of_another_kind_of_key_is_refused(service):
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(ConfigurationError, match="RSA"):
        crypto.load_public_key(new_certificate(key))


NUMBERS = ("n", "e", "d", "p", "q", "dmp1", "dmq1", "iqmp")


def change_number(key: RSAPrivateKey, name: str, flip: int) -> bytes:
    """Returns the key in PKCS#1 with one of its numbers changed."""
    numbers = key.private_numbers()
    values = [numbers.public_numbers.n, numbers.public_numbers.e]
    values += [numbers.d, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp]
    values[NUMBERS.index(name)] ^= flip
    return encode_pkcs1(values)


def encode_pkcs1(values: list[int]) -> bytes:
    def encode_der(tag: int, content: bytes) -> bytes:
        size = len(content)
        length = (
            bytes([size])
            if size < 128
            else b"\x81" + bytes([size])
            if size < 256
            else b"\x82" + size.to_bytes(2, "big")
        )
        return bytes([tag]) + length + content

    integers = b"".join(encode_der(2, value.to_bytes(value.bit_length() // 8 + 1, "big")) for value in [0, *values])
    return encode_der(0x30, integers)


def test_change_number_without_a_change_returns_the_key(service):
    assert is_same_key(crypto.load_private_key(change_number(service.merchant, "n", 0)), service.merchant)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("flip", [2, 4, 1 << 8, 1 << 15])
def test_a_key_with_a_damaged_number_is_refused(service, name, flip):
    with pytest.raises(ConfigurationError, match=r"private_key: .*damaged"):
        crypto.load_private_key(change_number(service.merchant, name, flip))


def test_a_key_with_the_modulus_of_another_key_is_refused(service):
    """A careless merge of two files gives such a key."""
    mixed = service.merchant.private_numbers().public_numbers.n ^ service.platform.private_numbers().public_numbers.n
    with pytest.raises(ConfigurationError, match="damaged"):
        crypto.load_private_key(change_number(service.merchant, "n", mixed))


def test_a_key_with_a_factor_that_is_not_prime_is_refused(service):
    """The numbers of this key satisfy every equation, but one factor is itself a product."""
    one, other = service.merchant.private_numbers(), service.platform.private_numbers()
    e = 65537
    p, q = one.p * one.q, other.p
    d = pow(e, -1, math.lcm(p - 1, q - 1))
    with pytest.raises(ConfigurationError, match="damaged"):
        crypto.load_private_key(encode_pkcs1([p * q, e, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p)]))


def test_numbers_that_make_no_key_are_refused(service):
    numbers = service.merchant.private_numbers()
    n, p, q = numbers.public_numbers.n, numbers.p, numbers.q
    for values in (
        [n, 65537, 1, 1, n, 0, 1, 0],
        [n, 65537, 1, n, 1, 1, 0, 1],
        [n, 1, 1, p, q, 1, 1, numbers.iqmp],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ):
        with pytest.raises(ConfigurationError, match="damaged"):
            crypto.load_private_key(encode_pkcs1(values))


@given(st.data())
def test_a_key_with_a_flipped_bit_is_refused_or_equal(service, data):
    der = bytearray(service.merchant.private_bytes(DER, PRIVATE.TraditionalOpenSSL, PLAIN))
    position = data.draw(st.integers(0, len(der) * 8 - 1))
    der[position // 8] ^= 1 << position % 8
    try:
        loaded = crypto.load_private_key(bytes(der))
    except WeChatPayError:
        return
    assert is_same_key(loaded, service.merchant)


def test_a_private_key_is_loaded_in_2_ms(service):
    pem = private_pem(service.merchant)
    best = min(_measure_seconds(lambda: crypto.load_private_key(pem)) for _ in range(20))
    assert best < 0.002, f"{best * 1000:.2f} ms"


def _measure_seconds(call) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def test_a_loaded_public_key_is_an_rsa_key(service):
    assert isinstance(crypto.load_public_key(public_pem(service.merchant)), RSAPublicKey)
