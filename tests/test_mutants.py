"""Damages the code that encrypts, verifies and retries, one line at a time, and expects a test to fail each time.

A change is a file, a text that occurs in it once, and the text that replaces it. The tests run against a copy of the
package with that one change.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
RSA, AEAD, ENCODING, NONCE = "_schemes/rsa.py", "_schemes/aead.py", "_schemes/encoding.py", "_schemes/nonce.py"
VERIFICATION, STACK = "_keys/verification.py", "_pipeline/stack.py"
KEY_CHECKS, SERIALS, FILES = "_keys/checks.py", "_keys/serials.py", "_catalogue/file_operations.py"
VERIFY, RETRY = "_pipeline/verify.py", "_pipeline/retry.py"
APIV2, APIV3, SIGNATURE_V2 = "_pipeline/apiv2.py", "_pipeline/apiv3.py", "_schemes/apiv2.py"

MUTANTS = {
    "a wrong signature is accepted": (RSA, "except InvalidSignature:\n        return False", "except InvalidSignature:\n        return True"),
    "base64 is taken leniently": (ENCODING, "return raw if base64.b64encode(raw).decode() == text else None", "return raw"),
    "another hash is signed": (RSA, "_SHA256 = hashes.SHA256()", "_SHA256 = hashes.SHA512()"),
    "personal data is padded with another hash": (RSA, "padding.MGF1(hashes.SHA1())", "padding.MGF1(hashes.SHA256())"),
    "associated data is ignored": (AEAD, 'cipher.decrypt(nonce.encode(), raw, (associated_data or "").encode())', 'cipher.decrypt(nonce.encode(), raw, b"")'),
    "a nonce is always the same": (NONCE, "secrets.token_hex((size + 1) // 2)", '("0" * (size + 1))'),
    "a serial loses its zeros": (SERIALS, "return digits.zfill(MAX_DIGITS)", "return digits"),
    "a damaged key is accepted": (RSA, "p * q == public.n\n        and", "True\n        or"),
    "a key is not tried out": (KEY_CHECKS, "return kind.verify(message, kind.sign(message, key), key.public_key())", "return True"),
    "only 200 is verified": (APIV3, "if response.ok:\n            yield from check", "if response.status_code == 200:\n            yield from check"),
    "a response of APIv2 may lack its signature": (APIV2, '(not rule.signed and "sign" not in fields)', '"sign" not in fields'),
    "a wrong signature of an unsigned operation is accepted": (APIV2, 'or (not rule.signed and "sign" not in fields)', "or not rule.signed"),
    "a failure of APIv2 is raised before it is verified": (APIV2, 'fields.get("return_code") != _SUCCESS or', 'fields.get("result_code") != _SUCCESS or'),
    "the signature of APIv2 may be a part of itself": (SIGNATURE_V2, 'if value and name != "sign")', "if value)"),
    "an old response is accepted": (VERIFICATION, "abs(skew) >= WINDOW", "skew >= WINDOW"),
    "the window is a second wider": (VERIFICATION, "WINDOW = 300", "WINDOW = 301"),
    "a timestamp may be any number": (VERIFICATION, '"[0-9]{1,12}"', '"[0-9_+]{1,12}"'),
    "an unknown serial gets the preferred key": (VERIFICATION, "key = keyring.find(serial)", "key = keyring.find(serial) or (keyring.preferred or (0, None))[1]"),
    "a path that begins like a download is unsigned": (FILES, "_UNSIGNED_OPERATION.fullmatch", "_UNSIGNED_OPERATION.match"),
    "a path below a download is unsigned": (FILES, '[^/]+")', '.+")'),
    "a download path may have two dots": (FILES, r"(?![^/]*(?:\.|%2E){2})", ""),
    "a nonce in two lines is accepted": (VERIFICATION, " if _PLAIN.fullmatch(nonce) else None", ""),
    "the digest of a statement is not checked": (VERIFY, "failure is None and digest is not None and not _is_sha1", "failure is None and digest == 1 and not _is_sha1"),
    "any response may have a digest instead of a signature": (VERIFY, " if signed is Signed.DIGEST else None", ""),
    "an empty header counts as present": (VERIFICATION, "if not all(values):", "if any(name not in headers for name in _FIELDS):"),
    "a file needs no digest": (VERIFY, "if sink is not None and digest is None:", "if sink is not None and digest == 1:"),
    "the response says what the request was": (VERIFY, "    signed = what_is_signed(request.method", "    request = response.request\n    signed = what_is_signed(request.method"),
    "a verifier may return something else than True": (VERIFICATION, "if verdict is True:", "if verdict is not False:"),
    "a call that was sent is sent again": (RETRY, "request.idempotent or not error.sent", "True"),
    "a call that got a response is sent again": (RETRY, "return request.idempotent and is_temporary", "return is_temporary"),
    "an unverified response is retried": (RETRY, "isinstance(error, APIError) and (error", "isinstance(error, SignatureError) or isinstance(error, APIError) and (error"),
    "the last attempt hides that an earlier one was sent": (STACK, "error.sent = error.sent or was_sent", "pass"),
    "a call that got a response counts as not sent": (STACK, "was_sent = was_sent or is_call\n            except", "pass\n            except"),
    "a failed call counts as not sent": (STACK, "(is_call and isinstance(error, WeChatPayError) and error.sent)", "False"),
    "attempts have no limit": (RETRY, " and len(attempts) < policy.attempts", ""),
    "the body is stripped before it is verified": (VERIFY, "response.headers, response.content\n", "response.headers, response.content.strip()\n"),
}  # fmt: skip


TESTS = {
    RSA: ["tests/test_crypto.py"],
    AEAD: ["tests/test_crypto.py"],
    ENCODING: ["tests/test_crypto.py"],
    NONCE: ["tests/test_crypto.py"],
    KEY_CHECKS: ["tests/test_crypto.py"],
    SERIALS: ["tests/test_crypto.py"],
    VERIFICATION: ["tests/test_verify.py", "tests/test_signer.py"],
    VERIFY: ["tests/test_verify.py", "tests/test_middleware.py", "tests/test_bill.py"],
    FILES: ["tests/test_verify.py", "tests/test_middleware.py", "tests/test_bill.py"],
    RETRY: ["tests/test_retry.py"],
    APIV2: ["tests/apiv2/test_signature.py", "tests/apiv2/test_errors.py"],
    APIV3: ["tests/test_verify.py"],
    SIGNATURE_V2: ["tests/apiv2/test_signature.py", "tests/apiv2/test_errors.py"],
    STACK: ["tests/test_retry.py", "tests/test_middleware.py"],
}


def fails(folder: Path, *tests: str) -> bool:
    """Returns whether a test fails. Leaves out slow tests, and the async half of tests that run in both modes."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-cov", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    run = subprocess.run(
        [*command, "-k", "not async and not gigabyte and not swells and not honoured", *tests],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode in (0, 1), run.stdout + run.stderr
    return run.returncode == 1


@pytest.fixture
def copy_of_the_package(tmp_path):
    for name in ("wechatpay_chain", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_no_test_fails_without_a_change(copy_of_the_package):
    assert not fails(copy_of_the_package, *{test for tests in TESTS.values() for test in tests})


@pytest.mark.parametrize("change", MUTANTS)
def test_a_test_fails_after_a_change(copy_of_the_package, change):
    name, original, mutated = MUTANTS[change]
    file = copy_of_the_package / "wechatpay_chain" / name
    text = file.read_text()
    assert text.count(original) == 1
    file.write_text(text.replace(original, mutated))
    assert fails(copy_of_the_package, *TESTS[name])
