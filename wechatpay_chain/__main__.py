"""Runs the command line as `python -m wechatpay_chain`."""

import sys

from wechatpay_chain._cli.main import main

sys.exit(main())
