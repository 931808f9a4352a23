"""Each of these changes to what proves an answer makes a test fail.

A change is a file, a text that stands in it once, and what takes its place. The tests of algorithms and verification run
against a copy of the package with that one change.
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
PROOF, FLOW = "_keys/verification.py", "_pipeline/stack.py"
KEY_CHECKS, SERIALS, FILES = "_keys/checks.py", "_keys/serials.py", "_catalogue/file_operations.py"
VERIFY, RETRY = "_pipeline/verify.py", "_pipeline/retry.py"

MUTANTS = {
    "a wrong signature is good": (RSA, "except InvalidSignature:\n        return False", "except InvalidSignature:\n        return True"),
    "base64 is taken leniently": (ENCODING, "return raw if base64.b64encode(raw).decode() == text else None", "return raw"),
    "another hash is signed": (RSA, "_SHA256 = hashes.SHA256()", "_SHA256 = hashes.SHA512()"),
    "another hash pads personal data": (RSA, "padding.MGF1(hashes.SHA1())", "padding.MGF1(hashes.SHA256())"),
    "associated data is not bound": (AEAD, 'cipher.decrypt(nonce.encode(), raw, (associated_data or "").encode())', 'cipher.decrypt(nonce.encode(), raw, b"")'),
    "a nonce is always the same": (NONCE, "secrets.token_hex((size + 1) // 2)", '("0" * (size + 1))'),
    "a serial loses its zeros": (SERIALS, "return digits.zfill(MAX_DIGITS)", "return digits"),
    "a damaged key is taken": (KEY_CHECKS, "p * q == public.n\n        and", "True\n        or"),
    "a key is not tried": (KEY_CHECKS, "key.public_key().verify(signature, message, padding.PKCS1v15(), hashes.SHA256())", "pass"),
    "only 200 is verified": (VERIFY, "if response.ok:", "if response.status_code == 200:"),
    "an old answer is fresh": (PROOF, "abs(skew) >= WINDOW", "skew >= WINDOW"),
    "the window is a second wider": (PROOF, "WINDOW = 300", "WINDOW = 301"),
    "a timestamp may be any number": (PROOF, '"[0-9]{1,12}"', '"[0-9_+]{1,12}"'),
    "an unknown serial gets the preferred key": (PROOF, "key = keyring.find(serial)", "key = keyring.find(serial) or (keyring.preferred or (0, None))[1]"),
    "whatever begins like a download is one": (FILES, "_UNSIGNED_OPERATION.fullmatch", "_UNSIGNED_OPERATION.match"),
    "a download may lie deeper": (FILES, '[^/]+")', '.+")'),
    "a download may lie above": (FILES, r"(?![^/]*(?:\.|%2E){2})", ""),
    "a folded nonce is plain": (PROOF, " if _PLAIN.fullmatch(nonce) else None", ""),
    "the digest of a statement is not checked": (VERIFY, "failure is None and digest is not None and not _is_sha1", "failure is None and digest == 1 and not _is_sha1"),
    "a digest proves any answer": (VERIFY, "if is_digest_signed(request.method, request.target) else None", ""),
    "an empty header is there": (PROOF, "if not all(values):", "if any(name not in headers for name in _FIELDS):"),
    "a signature of nothing proves a file": (VERIFY, "if sink is not None and digest is None:", "if sink is not None and digest == 1:"),
    "what was answered says what was asked": (VERIFY, "    if is_unsigned(request.method", "    request = response.request\n    if is_unsigned(request.method"),
    "a verifier need not say yes": (PROOF, "if verdict is True:", "if verdict is not False:"),
    "what was sent is sent again": (RETRY, "request.idempotent or not error.sent", "True"),
    "what was answered is sent again": (RETRY, "return request.idempotent and isinstance", "return isinstance"),
    "what is unproven is asked for again": (RETRY, "isinstance(error, APIError) and error.status_code in RETRYABLE", "(isinstance(error, SignatureError) or error.status_code in RETRYABLE)"),
    "the end hides the beginning": (FLOW, "error.sent = error.sent or was_sent", "pass"),
    "an answer is not remembered": (FLOW, "was_sent = was_sent or is_call\n            except", "pass\n            except"),
    "a failure that was sent is not remembered": (FLOW, "(is_call and isinstance(error, WeChatPayError) and error.sent)", "False"),
    "attempts have no end": (RETRY, " and len(attempts) < policy.attempts", ""),
    "the body is stripped before it is verified": (VERIFY, "response.headers, response.content\n", "response.headers, response.content.strip()\n"),
}  # fmt: skip


TESTS = {
    RSA: ["tests/test_crypto.py"],
    AEAD: ["tests/test_crypto.py"],
    ENCODING: ["tests/test_crypto.py"],
    NONCE: ["tests/test_crypto.py"],
    KEY_CHECKS: ["tests/test_crypto.py"],
    SERIALS: ["tests/test_crypto.py"],
    PROOF: ["tests/test_verify.py", "tests/test_signer.py"],
    VERIFY: ["tests/test_verify.py", "tests/test_middleware.py", "tests/test_bill.py"],
    FILES: ["tests/test_verify.py", "tests/test_middleware.py", "tests/test_bill.py"],
    RETRY: ["tests/test_retry.py"],
    FLOW: ["tests/test_retry.py", "tests/test_middleware.py"],
}


def fails(folder: Path, *tests: str) -> bool:
    """Whether a test fails, of those that need just one mode."""
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
def copied(tmp_path):
    for name in ("wechatpay_chain", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_nothing_fails_without_a_change(copied):
    assert not fails(copied, *{test for tests in TESTS.values() for test in tests})


@pytest.mark.parametrize("change", MUTANTS)
def test_a_change_is_noticed(copied, change):
    name, original, mutated = MUTANTS[change]
    file = copied / "wechatpay_chain" / name
    text = file.read_text()
    assert text.count(original) == 1
    file.write_text(text.replace(original, mutated))
    assert fails(copied, *TESTS[name])
