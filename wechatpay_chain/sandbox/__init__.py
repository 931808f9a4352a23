"""A WeChat Pay on your own machine: real keys, real signatures, real HTTP, no money.

    with Sandbox() as sandbox:
        client = sandbox.client()

or, for programs in any language, `python -m wechatpay_chain sandbox --credentials FILE`.
"""

from wechatpay_chain.sandbox._faults import Fault
from wechatpay_chain.sandbox._keys import Signer
from wechatpay_chain.sandbox._notifier import Notice, Posted
from wechatpay_chain.sandbox._server import Sandbox, Seen

__all__ = ["Fault", "Notice", "Posted", "Sandbox", "Seen", "Signer"]
