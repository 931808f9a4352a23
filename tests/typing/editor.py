"""Asks pyright's language server what an editor asks, and prints what it offers and how long it takes.

    python -m tests.typing.editor

It fails if something that exists is not offered, or if an answer takes three times as long as the budget, which a busy machine may
explain no more. The budget: 2 s for the first completion after opening a file, 100 ms for each after it, and 500 ms where the line
has a path in brackets, for which pyright binds an overload for each path.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FIRST, NEXT, BRACKETS = 2.0, 0.1, 0.5
"""Seconds that the first completion after opening a file may take, each after it, and one behind a path in brackets."""

LATE = 3
"""How many times the budget fails."""

HEAD = "from wechatpay_chain import Client\nfrom wechatpay_chain.types import v3\n\nclient = Client()\n"


class Server:
    """A language server that talks over its standard input and output."""

    def __init__(self, folder: Path) -> None:
        command = [str(Path(sys.executable).with_name("pyright-langserver")), "--stdio"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._number = 0
        settings = {"python": {"pythonPath": sys.executable}}
        self.ask("initialize", {"processId": None, "rootUri": folder.as_uri(), "capabilities": {}})
        self.tell("initialized", {})
        self.tell("workspace/didChangeConfiguration", {"settings": settings})
        self._settings = settings

    def tell(self, method: str, params: object) -> None:
        """Sends a notification."""
        self._write({"method": method, "params": params})

    def ask(self, method: str, params: object) -> Any:
        """Sends a request and returns its result. Requests of the server are answered on the way."""
        self._number += 1
        self._write({"id": self._number, "method": method, "params": params})
        while True:
            message = self._read()
            if "method" in message and "id" in message:
                wanted = message["method"] == "workspace/configuration"
                items = message["params"]["items"] if wanted else []
                result = [self._settings.get(item.get("section", ""), {}) for item in items] if wanted else None
                self._write({"id": message["id"], "result": result})
            elif message.get("id") == self._number:
                return message["result"]

    def close(self) -> None:
        """Ends the server."""
        self._process.kill()
        self._process.wait()

    def _write(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return message


class Editor:
    """A file that is open in an editor."""

    def __init__(self, server: Server, path: Path) -> None:
        self._server, self._uri, self._version = server, path.as_uri(), 1
        path.write_text(HEAD, encoding="utf-8")
        document = {"uri": self._uri, "languageId": "python", "version": 1, "text": HEAD}
        server.tell("textDocument/didOpen", {"textDocument": document})

    def ask(self, what: str, line: str, back: int = 0) -> tuple[Any, float]:
        """Writes a line behind the head, and asks at its end. Returns the result and the seconds that it took."""
        self._version += 1
        self._server.tell(
            "textDocument/didChange",
            {
                "textDocument": {"uri": self._uri, "version": self._version},
                "contentChanges": [{"text": f"{HEAD}{line}\n"}],
            },
        )
        position = {"line": HEAD.count("\n"), "character": len(line) - back}
        started = time.perf_counter()
        result = self._server.ask(f"textDocument/{what}", {"textDocument": {"uri": self._uri}, "position": position})
        return result, time.perf_counter() - started

    def offers(self, line: str) -> tuple[dict[str, Any], float]:
        """Returns what is offered at the end of a line, by its label, and the seconds that it took."""
        result, seconds = self.ask("completion", line)
        return {item["label"]: item for item in (result or {"items": []})["items"]}, seconds


COMPLETIONS = (
    ("client.v3.marketing.", {"partner", "favor", "busifavor", "chain"}, {"post", "get"}),
    ("client.v3.marketing.partner.product_coupon.users.", {"_openid_"}, {"openid"}),
    ("client.v3.pay.transactions.native.", {"post", "post_async", "chain"}, {"get", "delete", "put_async"}),
    ('client["v3/pay/transactions/native"].', {"post", "post_async"}, {"get"}),
    (
        "client.v3.marketing.partner.product_coupon.users._openid_.pre_send_coupon.post(",
        {"openid=", "json="},
        {"files="},
    ),
    ('client.v3.pay.transactions.native.post(json={"', {'"amount"', '"out_trade_no"'}, {'"payer_total"'}),
    ('client.v3.refund.domestic.refunds.post(json={"amount": {"', {'"from"', '"refund"'}, {'"appid"'}),
    ('client.v3.bill.tradebill.get(params={"bill_type": "', {'"ALL"', '"REFUND"'}, {'"GZIP"'}),
    ('client.v3.pay.transactions.native.post(json={}).json()["', {'"code_url"'}, {'"appid"'}),
    ("v3.pay.transactions.native.", {"PostBody", "PostBodyAmount", "PostResult"}, {"GetQuery"}),
)
"""A line, what is offered at its end, and what is not."""


def main() -> int:
    """Asks all questions, prints the answers, and returns the number of those that are wrong or late."""
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            editor = Editor(server, Path(folder) / "shop.py")
            for number, (line, expected, unexpected) in enumerate(COMPLETIONS):
                offered, seconds = editor.offers(line)
                if number:  # once more, for the machine may have been busy
                    seconds = min(seconds, editor.offers(line)[1], editor.offers(line)[1])
                public = [label for label in offered if not label.startswith("__")]
                budget = (BRACKETS if "client[" in line else NEXT) if number else FIRST
                fault = not expected <= offered.keys() or unexpected & offered.keys() or seconds > LATE * budget
                wrong += bool(fault)
                verdict = "WRONG" if fault else "late" if seconds > budget else "ok"
                print(f"{verdict:5} {seconds * 1000:6.0f} ms  {line}  {', '.join(public[:8])}")
            wrong += explain(editor)
        finally:
            server.close()
    return wrong


def explain(editor: Editor) -> int:
    """Asks for the hover and the signature of a verb. Returns the number of wrong answers."""
    call = "client.v3.pay.transactions.native.post("
    hover, seconds = editor.ask("hover", f"{call})", back=4)
    signature, _ = editor.ask("signatureHelp", call)
    texts = {
        "hover": hover["contents"]["value"],
        "signature": json.dumps(signature, ensure_ascii=False),
    }
    wrong = 0
    for name, text in texts.items():
        missing = [
            part for part in ("Native下单", "POST /v3/pay/transactions/native", "直连商户", "json") if part not in text
        ]
        wrong += bool(missing)
        print(f"{'WRONG' if missing else 'ok':5} {seconds * 1000:6.0f} ms  {name} of {call}  {missing or ''}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
