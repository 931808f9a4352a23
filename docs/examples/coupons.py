"""Coupons for many users on several machines, on Celery and Redis: `celery -A coupons worker`, and `python coupons.py users.csv JOB`.

Each line is acted on once, also if a worker is killed: a task that was interrupted runs again, and its number makes that harmless. The
results are in the Redis hash `results:JOB`, and the numbers that were begun in `begun:JOB`. The command can be given again with the same
file, and sends what has no result.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

from celery import Celery
from redis import Redis

from wechatpay_chain import (
    APIError,
    AuthenticationError,
    Client,
    RateExceededError,
    RateLimitError,
    RedirectionError,
    ServerError,
    TransportError,
    WeChatPayError,
)
from wechatpay_chain.rates import DOCUMENTED, RateLimits
from wechatpay_chain.stores import RedisStore

REDIS = os.environ["REDIS_URL"]
# What is not about a coupon: the network, the rate, the service; a key or a proxy, until somebody has corrected it.
AGAIN = (TransportError, RateExceededError, RateLimitError, ServerError, AuthenticationError, RedirectionError)
LOST_AFTER = int(os.environ.get("LOST_AFTER", "600"))  # seconds: more than a task takes

app = Celery("coupons", broker=REDIS)
app.conf.update(
    task_acks_late=True,  # a task that was interrupted runs again,
    task_reject_on_worker_lost=True,  # also after a crash
    worker_prefetch_multiplier=1,
    broker_transport_options={
        "visibility_timeout": LOST_AFTER
    },  # then, within two minutes, the tasks of a machine that is gone run elsewhere
    task_ignore_result=True,
)
results = Redis.from_url(REDIS, socket_timeout=5)
client = Client.from_file(os.environ["WECHATPAY_SETTINGS"], certificate_cache=RedisStore(REDIS, namespace="coupons"))
RateLimits(DOCUMENTED, storage=REDIS).install(client)  # all workers together keep the limit
send = client.v3.marketing.partner.product_coupon.users._openid_.pre_send_coupon


@app.task(bind=True, max_retries=None)
def send_coupon(self, job: str, line: str, openid: str, number: str, coupon: dict[str, str]) -> None:
    """Sends a coupon, and notes the result. The number is made before the task is sent, so each repetition is the same call."""
    if results.hexists(f"results:{job}", line):
        return
    # False also if another task has begun this line, and was interrupted or waits for its next try.
    is_first = results.hsetnx(f"begun:{job}", line, number)
    if not is_first and results.hget(f"begun:{job}", line) != number.encode():
        return  # the file was changed; the line is sent with the number that was begun
    try:
        response = send.post(openid=openid, json={**coupon, "send_request_no": number}, idempotent=True)
    except AGAIN as error:
        raise self.retry(exc=error, countdown=min(2**self.request.retries, 300)) from error
    except APIError as error:
        # A refusal of a repetition does not say what became of the first call, and one without a code can come from a proxy.
        is_refused = is_first and error.code and len(error.attempts) < 2
        result = {
            "outcome": "refused" if is_refused else "unknown",
            "code": error.code,
            "request_id": error.request_id,
        }
    except WeChatPayError as error:
        result = {"outcome": "unknown", "code": type(error).__name__}  # such as a response that is not verified
    else:
        result = {"outcome": "done", "response": response.json()}
    results.hset(f"results:{job}", line, json.dumps(result))


def start(path: str, job: str, coupon: dict[str, str]) -> int:
    """Sends a task for each line that has no result yet. Returns how many."""
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        users = {str(line): user for line, user in enumerate(csv.DictReader(file), 1)}
    for line, number in results.hgetall(f"begun:{job}").items():
        user = users.get(line.decode())
        if user is None or user["send_request_no"] != number.decode():
            raise SystemExit(
                f"{path}: line {line.decode()} had the number {number.decode()} in this job; restore it, or name another job"
            )
    finished = {line.decode() for line in results.hkeys(f"results:{job}")}
    left = [(line, user) for line, user in users.items() if line not in finished]
    for line, user in left:
        send_coupon.delay(job, line, user["openid"], user["send_request_no"], coupon)
    return len(left)


if __name__ == "__main__":
    print(start(sys.argv[1], sys.argv[2], json.loads(os.environ["COUPON"])), "tasks")
