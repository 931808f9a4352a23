"""Types and helpers for your own middleware. `Client.middleware` installs it.

```python
def add_trace(request: Request) -> Flow:
    response = yield from send(request.with_headers({"X-Trace": "…"}))
    return response

client.middleware.insert_before("sign", "trace", add_trace)
```
"""

from __future__ import annotations

from wechatpay_chain._messages.effects import Flow, Middleware, invoke, send, sleep
from wechatpay_chain._messages.headers import Headers
from wechatpay_chain._messages.request import Request, Timeout
from wechatpay_chain._messages.response import Response

__all__ = ["Flow", "Headers", "Middleware", "Request", "Response", "Timeout", "invoke", "send", "sleep"]
