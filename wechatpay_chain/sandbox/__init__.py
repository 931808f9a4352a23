"""A WeChat Pay on your own machine: real keys, real signatures, real HTTP, no money.

    with Sandbox() as sandbox:
        client = sandbox.client()

or, for programs in any language, `python -m wechatpay_chain sandbox --credentials FILE`.
"""

from wechatpay_chain.sandbox.faults import Fault
from wechatpay_chain.sandbox.keys import Signer
from wechatpay_chain.sandbox.notifier import Notice, Posted
from wechatpay_chain.sandbox.server import Sandbox, Seen

__all__ = ["Fault", "Notice", "Posted", "Sandbox", "Seen", "Signer"]
