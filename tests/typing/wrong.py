"""Programs that a type checker must refuse. If it accepts one, it reports the unused `type: ignore` comment."""

from __future__ import annotations

from wechatpay_chain import Client, crypto

client = Client(
    mchid="1900007291", serial="408B", private_key="apiclient_key.pem", certs={"PUB_KEY_ID_01": "pub_key.pem"}
)

Client(mchid=1900007291.0)  # type: ignore[arg-type]
Client("1900007291")  # type: ignore[call-arg]
Client(private_key=5)  # type: ignore[arg-type]
Client(certs=["pub_key.pem"])  # type: ignore[arg-type]
Client(verify=False)  # type: ignore[call-arg]
client.notifications_  # type: ignore[attr-defined]
client.v4  # type: ignore[attr-defined]
client.v3.x.postAsync(json={})  # type: ignore[operator]
client[5]  # type: ignore[call-overload]
client.v3.x.post({"a": 1})  # type: ignore[call-arg]
client.v3.x.post(openid=None)  # type: ignore[arg-type]
client.v3.x.post(body={"a": 1})  # type: ignore[arg-type]
client.v3.x.post(jsn={"a": 1})  # type: ignore[arg-type]
client.v3.x.post(data={"a": 1})  # type: ignore[arg-type]
client.v3.x.post(jsn=[{"a": 1}])  # type: ignore[arg-type]
client.v3.x.post(data=b"{}")  # type: ignore[arg-type]
client.v3.x.post_async(body={})  # type: ignore[arg-type,unused-coroutine]
client.v3.x.get(param={"a": "b"})  # type: ignore[arg-type]
client.v3.x.get(timeout="5")  # type: ignore[arg-type]
client.v3.x.get(headers={"Accept": 5})  # type: ignore[dict-item]
client.v3.x.get().text = ""  # type: ignore[misc]
client.v3.x.get().body  # type: ignore[attr-defined]
client.v3.x.put(files={"file": b"a"})  # type: ignore[arg-type]
client.v3.x.post(files={"file": 5})  # type: ignore[dict-item]
client.v3.x.post(idempotent="yes")  # type: ignore[arg-type]
client.middleware = 5  # type: ignore[assignment,misc]
client.middleware.remove(5)  # type: ignore[arg-type]
client.download(5, "a")  # type: ignore[arg-type]
client.download("https://a.example/b", "a", xml="<xml/>")  # type: ignore[arg-type]
Client(signer="key")  # type: ignore[arg-type]
Client(retry=3)  # type: ignore[arg-type]
Client(seen={})  # type: ignore[arg-type]
Client(certificate_cache={})  # type: ignore[arg-type]
client.notifications.parse({}, "text")  # type: ignore[arg-type]
client.notifications.parse({}, b"", received_at=1.0)  # type: ignore[arg-type]
client.notifications.parse(5, b"")  # type: ignore[arg-type]
crypto.sign("text", crypto.load_private_key("k"))  # type: ignore[arg-type]
crypto.verify(b"m", "s", crypto.load_private_key("k"))  # type: ignore[arg-type]
crypto.aes_gcm_decrypt("c", "text", "n")  # type: ignore[arg-type]


async def main() -> None:
    client.v3.x.get_async().json()  # type: ignore[attr-defined]
