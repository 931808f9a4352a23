"""`python -m wechatpay_chain`."""

import sys

from wechatpay_chain.cli import main

sys.exit(main())
