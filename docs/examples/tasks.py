"""Refunds in a queue: `celery -A tasks worker`, and `refund.delay("20260101-0001", "20260101-0001-1", 30, 100)` elsewhere."""

from __future__ import annotations

import os

from celery import Celery

from wechatpay_chain import Client, RateLimitError, ServerError, SignatureError, TransportError

app = Celery("shop", broker="filesystem://")  # a broker to try it with; the variable CELERY_BROKER_URL names another
app.conf.update(
    broker_transport_options={"data_folder_in": "queue", "data_folder_out": "queue"},
    task_acks_late=True,  # a task that was interrupted runs again,
    task_reject_on_worker_lost=True,  # also after a crash; the refund number makes that harmless
    task_time_limit=120,  # seconds: more than a call takes
)
client = Client.from_file(os.environ["WECHATPAY_SETTINGS"])


@app.task(bind=True, max_retries=10)
def refund(self, out_trade_no: str, out_refund_no: str, amount: int, total: int) -> str:
    """Requests a refund. The number is made before the task is sent, so each repetition asks for the same refund."""
    try:
        response = client.v3.refund.domestic.refunds.post(
            json={
                "out_trade_no": out_trade_no,
                "out_refund_no": out_refund_no,
                "amount": {"refund": amount, "total": total, "currency": "CNY"},
            },
            idempotent=True,
        )
    except (TransportError, SignatureError, ServerError, RateLimitError) as error:
        # The outcome is unknown. Other errors are final: the service refused the refund.
        raise self.retry(exc=error, countdown=min(2**self.request.retries, 600)) from error
    return response.json()["status"]
