"""Rate limits, so that a program slows down before the service refuses its calls.

```python
RateLimits(storage="redis://redis.internal:6379/0").install(client)
```
"""

from __future__ import annotations

from wechatpay_chain._rates.documented import DOCUMENTED
from wechatpay_chain._rates.limiter import RateLimits

__all__ = ["DOCUMENTED", "RateLimits"]
