"""The client: settings in, the layers wired, and its lifetime."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from wechatpay_chain._chain.call import Seconds
from wechatpay_chain._chain.calls import divide
from wechatpay_chain._chain.card_key import CardKey
from wechatpay_chain._chain.encoding import Encoder
from wechatpay_chain._chain.flows import Flows
from wechatpay_chain._chain.node import Chain, Node
from wechatpay_chain._chain.root import Root, no_such_root
from wechatpay_chain._chain.v2_calls import V2Calls
from wechatpay_chain._chain.v3_calls import V3Calls
from wechatpay_chain._config import parse_config
from wechatpay_chain._dispatch import Dispatch
from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain._keys.loading import CertificateSource, PrivateKeySource, PublicKeySource
from wechatpay_chain._keys.merchant_keys import MerchantKeys
from wechatpay_chain._keys.refresh import Refresh
from wechatpay_chain._messages.protocols import (
    AsyncTransport,
    CertificateCache,
    NonceStore,
    Signer,
    Transport,
    Verifier,
)
from wechatpay_chain._messages.response import Response
from wechatpay_chain._pipeline import layers, log
from wechatpay_chain._pipeline import retry as retrying
from wechatpay_chain._pipeline.apiv3 import ApiV3
from wechatpay_chain._pipeline.retry import Retry
from wechatpay_chain._pipeline.stack import Stack, fetch_through
from wechatpay_chain._shielding import shielded
from wechatpay_chain._transport.route import Route
from wechatpay_chain._transport.transports import Transports
from wechatpay_chain.errors import ConfigurationError

if TYPE_CHECKING:
    import aiohttp
    import requests
    from cryptography import x509
    from typing_extensions import Self

    from wechatpay_chain._bulk.bulk import Bulk
    from wechatpay_chain._bulk.lines import LineSource
    from wechatpay_chain._files.announcement import Source
    from wechatpay_chain._files.download import Progress
    from wechatpay_chain._files.output import Target
    from wechatpay_chain._nodes import V2, V3, Global, Hk
    from wechatpay_chain._nodes.brackets import Brackets
    from wechatpay_chain._notifications.notifications import Notifications
    from wechatpay_chain._payment import Payment

else:
    Brackets = object  # its overloads of `client["…"]` are for type checkers

__all__ = ["Client"]


class Client(Brackets):
    """Client for every operation of WeChat Pay: requests are signed, and responses are verified.

    The constructor makes no connection and starts no thread. One client serves any number of threads and event loops,
    and continues to work in a forked child.

    Every call ends in bounded time, with a verified response or with a `WeChatPayError`, whose `sent` says whether the service
    may have acted on the call. `wechatpay_chain.errors` has the tree, and the few other exceptions that a call may raise.

    Args:
        mchid: the merchant number (商户号).
        brand_id: the number of a brand (品牌) in place of the merchant number, for `client.brand`. `serial`, `private_key`, `certs`
            and `apiv3_key` are then the brand's own; WeChat Pay has only public keys for brands, and no APIv2.
        serial: the serial number of the merchant API certificate, in any notation; or that certificate
            (apiclient_cert.pem) in any form that keys may have. Not needed if the certificate comes with `private_key`.
        private_key: the private key of that certificate (apiclient_key.pem): a path, PEM text, PEM or DER bytes, base64 of
            them, or a loaded key. apiclient_cert.p12 has the key and the certificate.
        certs: WeChat Pay's keys: each public key under its `PUB_KEY_ID_…`, each platform certificate under its serial
            number, in any mix.
        apiv3_key: the APIv3 key, 32 bytes. With it, `certs` is optional: platform certificates are fetched before the first
            call, for an unknown serial number, and every 12 hours. If `certs` has only public keys, they are fetched only
            when a response names a certificate.
        fetch_certificates: False to never fetch platform certificates.
        apiv2_key: the APIv2 key, 32 characters: for calls and notifications of APIv2, and for the signatures of `client.payment`
            that need it.
        former_apiv2_keys: APIv2 keys from before a reset, which the service may still sign with.
        workwx_secret: the secret of the application of enterprise WeChat that pays, for the second signature (workwx_sign).
        certificate: the merchant API certificate (apiclient_cert.pem) in any form that keys may have, for the operations of APIv2
            that need it as a TLS certificate. Not needed if it comes with `private_key`.
        certificate_cache: a file, or a `CertificateCache`, that keeps fetched certificates for the next process.
        signer: a `Signer`, which signs in place of `private_key`: an HSM, a KMS or a signing service.
        verifier: a `Verifier`, which verifies signatures in place of `certs`. `certs` is then used to encrypt and to name a key.
        trust_anchors: fetched certificates must be issued by one of these certificates, in any form that keys may have. Of
            a file with several, the first is used.
        seen: a `NonceStore` for notifications, such as `SeenNonces()`; see `Notifications`.
        passphrase: for encrypted private keys. The default for a PKCS#12 file is the merchant number.
        former_private_keys: older keys of the merchant, which decrypt what was encrypted before a renewal.
        base_url: scheme and host of the service; https, or http to this machine.
        timeout: seconds for each attempt: (connect, read, total), by default `(5.0, 30.0, 60.0)`; read is the wait for the next
            bytes. (c, r) has the total max(60, c + r). One number n means (n, n). A download has no total unless its own
            `timeout=` has three numbers.
        retry: how often and how long a call is retried. Only a call that cannot pay twice is. None sends each call once.
        proxies: proxy URLs by scheme, as in requests; None reads the environment, `{}` connects directly.
        max_response_bytes: limit for a 2xx response in memory, as received and decoded; 64 MiB. Not for downloads.
        ca_bundle: a file or folder of trusted certificate authorities; None reads REQUESTS_CA_BUNDLE and SSL_CERT_FILE
            from the environment, else trusts what the HTTP library trusts.
        allow_http: accept an http base_url on another machine, for an egress proxy of your own.
        session: a requests.Session of your own, for its adapters and proxies. You close it, and make another after a fork. It does
            not present `certificate`; a call that needs it uses the client's own connections.
        async_session: an aiohttp.ClientSession of your own. You close it. Its client middlewares are not used.
        transport: a `Transport`, which sends blocking calls in place of requests, as in tests.
        async_transport: an `AsyncTransport`, which sends awaited calls in place of aiohttp.

    Attributes:
        mchid: the merchant number; empty for a brand.
        brand_id: the number of the brand; empty for a merchant.
        serial: the serial number of the merchant API certificate, as the service writes it.
        v2: starts a chain of APIv2; so do v3, hk (older cross-border), global_ (customs) and brand (brand merchants).

    Raises:
        ConfigurationError: a setting is missing or wrong. The message names it, and never shows a secret.
    """

    v2: Root[V2] = Root("v2")
    v3: Root[V3] = Root("v3")
    hk: Root[Hk] = Root("hk")
    global_: Root[Global] = Root("global")
    brand: Root[Node] = Root("brand")

    # Defaults of "" and {} mean "missing", so that a missing setting gets an error as clear as a wrong one.
    @shielded
    def __init__(
        self,
        *,
        mchid: str | int = "",
        brand_id: str | int = "",
        serial: int | CertificateSource = "",
        private_key: PrivateKeySource = "",
        certs: Mapping[str, PublicKeySource] = {},
        apiv3_key: str | bytes | None = None,
        apiv2_key: str | bytes | None = None,
        former_apiv2_keys: Sequence[str | bytes] = (),
        workwx_secret: str | None = None,
        certificate: CertificateSource | None = None,
        fetch_certificates: bool = True,
        signer: Signer | None = None,
        verifier: Verifier | None = None,
        certificate_cache: str | os.PathLike[str] | CertificateCache | None = None,
        trust_anchors: Sequence[PublicKeySource] = (),
        seen: NonceStore | None = None,
        passphrase: str | bytes | None = None,
        former_private_keys: Sequence[PrivateKeySource] = (),
        base_url: str = "https://api.mch.weixin.qq.com/",
        timeout: float | tuple[float, float] | tuple[float, float, float] = (5.0, 30.0),
        retry: Retry | None = Retry(),  # noqa: B008 -- it is immutable
        max_response_bytes: int = 64 << 20,
        proxies: Mapping[str, str] | None = None,
        ca_bundle: str | os.PathLike[str] | None = None,
        allow_http: bool = False,
        session: requests.Session | None = None,
        async_session: aiohttp.ClientSession | None = None,
        transport: Transport | None = None,
        async_transport: AsyncTransport | None = None,
    ) -> None:
        sending = ("proxies", "ca_bundle", "session", "async_session", "transport", "async_transport")
        settings = {name: value for name, value in locals().items() if name not in ("self", "sending", *sending)}
        config = self._config = parse_config(**settings)  # the settings for sending are checked below, in _transport
        self.serial = config.credentials.serial
        self.mchid, self.brand_id = config.mchid, config.brand_id
        route = Route(config.origin, proxies, ca_bundle, config.certificate)
        transports = Transports(route, config.response_limit, session, async_session, transport, async_transport)
        keyring = config.keyring
        merchant_keys = MerchantKeys(config.private_keys)
        stack = Stack(fixed=("verify",))
        lists, cache = config.certificates, config.certificate_cache
        fetches, verifies, fetch = config.fetches, config.verifier is None, partial(fetch_through, stack)
        refresh = Refresh(keyring, lists, cache, config.timeout, fetch, fetches=fetches, verifies=verifies)
        api = ApiV3(config.credentials, keyring, config.verifier, refresh, merchant_keys.decrypt)
        stack._fill(
            log=log.log,
            retry=retrying.retry(config.retry, config.origins),
            errors=layers.raise_errors,
            verify=layers.verify(api),
            rotate=layers.rotate(api),
            sign=layers.sign(api),
        )
        encoder = Encoder(config.origin, config.timeout)
        calls = divide(keyring.scheme, V3Calls(encoder, keyring, refresh), V2Calls(config.v2, CardKey(fetch)))
        flows = Flows(calls, encoder, refresh, merchant_keys, stack, config.origins)
        self._dispatch = Dispatch(flows, transports)

    @classmethod
    @shielded
    def from_env(cls, prefix: str = "WECHATPAY_", **settings: Any) -> Self:
        """Returns a client whose settings are environment variables, such as WECHATPAY_MCHID.

        The names are those of the settings in upper case, and `public_key_id` with `public_key` for an entry of `certs`. A secret
        or a key NAME can be given as NAME_FILE, the path of a file that has it. What is no text is JSON, such as 30 or true.

        Args:
            prefix: what the names begin with.
            **settings: more settings of `Client`, which replace those of the environment.

        Raises:
            ConfigurationError: a name is nearly that of a setting, or a setting is missing or wrong.
        """
        from wechatpay_chain._settings import make_settings, read_environment

        return cls(**{**make_settings(read_environment(prefix, os.environ)), **settings})

    @classmethod
    @shielded
    def from_file(cls, path: str | os.PathLike[str], profile: str | None = None, **settings: Any) -> Self:
        """Returns a client whose settings are in a TOML file, or in a JSON file whose name ends with .json.

        The names are those of `from_env`, in lower case. Relative paths start at the folder of the file.

        Args:
            path: the file.
            profile: the name of a table below `profiles`, such as test for `[profiles.test]`; None for the settings at the top.
                A profile has nothing but its own settings.
            **settings: more settings of `Client`, which replace those of the file.

        Raises:
            ConfigurationError: the file cannot be read, a name is unknown, or a setting is missing or wrong.
        """
        from wechatpay_chain._settings import make_settings, read_file

        return cls(**{**make_settings(read_file(path, profile)), **settings})

    @property
    def middleware(self) -> Stack:
        """The layers that a request passes through, outermost first: log, retry, errors, verify, rotate, sign."""
        return self._dispatch.flows.stack

    def chain(self, path: str) -> Node:
        """Returns the node of a path as written; `<name>` is another spelling of the variable `{name}`."""
        return Node(self._dispatch, "").chain(path)

    if not TYPE_CHECKING:  # a type checker knows the paths in brackets, and reports a misspelt attribute by itself
        __getitem__ = chain

        def __getattr__(self, attribute: str) -> object:
            raise no_such_root(type(self), attribute)

    @property
    def notifications(self) -> Notifications:
        """Verifies and decrypts notifications: `client.notifications.parse(headers, body)`.

        Certificates that a notification needs are fetched as for a response.

        Raises:
            ConfigurationError: neither `apiv3_key` nor `apiv2_key` is there. Notifications are encrypted or signed with them.
        """
        config = self._config
        if config.apiv3_key is None and not config.v2.keys:
            raise ConfigurationError("apiv3_key: it is missing; notifications are encrypted with it")
        with no_fork.current:
            from wechatpay_chain._notifications.notifications import Notifications

        return Notifications(
            config.keyring,
            config.apiv3_key,
            seen=config.seen,
            refresh=self._dispatch.refresh,
            refresh_async=self._dispatch.refresh_async,
            verifier=config.verifier,
            credentials=config.credentials,
            apiv2_keys=config.v2.keys,
        )

    @property
    def payment(self) -> Payment:
        """Signs the parameters that a front end needs to start a payment: `client.payment.jsapi(appid, prepay_id)`."""
        with no_fork.current:
            from wechatpay_chain._payment import Payment

        return Payment(self._config.credentials, self._config.v2.keys)

    def decrypt(self, ciphertext: str) -> str:
        """Decrypts a text that WeChat Pay encrypted to the merchant.

        Raises:
            DecryptionError: it was not encrypted to any of the merchant's keys.
        """
        return self._dispatch.flows.merchant_keys.decrypt(ciphertext)

    def download(
        self,
        source: Source | Chain,
        to: Target,
        *,
        xml: Mapping[str, Any] | None = None,
        gunzip: bool = False,
        progress: Progress | None = None,
        timeout: Seconds = None,
    ) -> Response:
        """Downloads a file that a response announced, such as a bill or a receipt, or a bill of APIv2, in constant memory.

            bill = client.v3.bill.tradebill.get(params={"bill_date": "2026-01-01", "tar_type": "GZIP"})
            client.download(bill, "2026-01-01.csv", gunzip=True)

        If the response announced a digest, only a file that has it is kept. If not, TLS alone protects the file. A bill of APIv2 is
        the response itself, and has neither digest nor signature:

            fields = {"appid": "wx8888888888888888", "bill_date": "20260101", "bill_type": "ALL", "tar_type": "GZIP"}
            client.download(client.v2.pay.downloadbill, "20260101.csv", xml=fields, gunzip=True)

        Args:
            source: the response, an item of its `download_bill_list`, or a URL; or an operation of this client that returns a file
                in APIv2, which is called with `xml`.
            to: a path, to which the whole file is written or nothing, mode 0600; or an open binary file, which gets the
                bytes as they arrive and is complete only when this returns.
            xml: the fields of that call; None for none. It belongs to an operation only.
            gunzip: decompress a file that is compressed.
            progress: called with the bytes received so far and their total, or None if that is unknown.
            timeout: seconds to connect and to wait for the next bytes. There is no total unless there are three numbers.

        Returns:
            The response that the file came with, its content empty.

        Raises:
            ArgumentError: the source announces no file, or several; it is an operation that returns no file, or one of another client;
                the target cannot be written to.
            SignatureError: the file is not the one that was announced (DIGEST_MISMATCH), or is not signed.
            DecryptionError: the file of a sub-merchant was altered, or is not encrypted to the merchant.
            OSError, TransportError, ContentError, ConfigurationError, APIError: as for any call.
        """
        return self._dispatch.download(source, to, xml, gunzip, progress, timeout)

    async def download_async(
        self,
        source: Source | Chain,
        to: Target,
        *,
        xml: Mapping[str, Any] | None = None,
        gunzip: bool = False,
        progress: Progress | None = None,
        timeout: Seconds = None,
    ) -> Response:
        """Downloads a file as `download` does, for callers that await."""
        return await self._dispatch.download_async(source, to, xml, gunzip, progress, timeout)

    def bulk(
        self,
        method: str,
        operation: str | Chain,
        lines: LineSource,
        *,
        results: str | os.PathLike[str],
        json: Mapping[str, Any] | None = None,
        rate: str | float | None = None,
        concurrency: int = 32,
        repeat: bool | None = None,
        timeout: Seconds = None,
    ) -> Bulk:
        """Returns a bulk job, one call for each line: `async for result in client.bulk(…)`; see `Bulk` for the arguments."""
        from wechatpay_chain._bulk.bulk import Bulk

        node = operation if isinstance(operation, Chain) else self.chain(operation)
        how: dict[str, Any] = {"json": json, "rate": rate, "concurrency": concurrency}
        return Bulk(method, node, lines, results, **how, repeat=repeat, timeout=timeout)

    def platform_certificates(self) -> dict[str, x509.Certificate]:
        """Fetches and checks WeChat Pay's platform certificates. Returns those that are valid now, by serial number.

        Raises:
            ConfigurationError: `apiv3_key` is missing or wrong, or the list cannot be used.
            TransportError, SignatureError, APIError: as for any call.
        """
        return self._dispatch.platform_certificates(self._config.certificates)

    def close(self) -> None:
        """Closes the connections of blocking calls. A later call makes new ones."""
        self._dispatch.transports.close()

    async def aclose(self) -> None:
        """Closes the connections of blocking calls, and of awaited calls on this event loop; others close with their loop."""
        self._dispatch.transports.close()
        await self._dispatch.transports.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<Client {self._config.credentials!r} {self._config.origin} {self._config.keyring!r}>"
