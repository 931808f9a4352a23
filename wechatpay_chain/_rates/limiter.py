"""Lets calls wait for their turn, so that the service does not refuse them.

The counting is that of the `limits` library: a moving window, in memory or in Redis. What is added here is the order: each call of a
process reserves the moment at which the window has room for it, and sleeps until then once. Without it, all that wait would try again
at the same moment, and chance would decide.
"""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from wechatpay_chain._extras import importing
from wechatpay_chain._forks.no_fork import no_fork
from wechatpay_chain._forks.process import ForkSafeLock, current_process
from wechatpay_chain._messages.effects import Flow, Invoke, Sleep, Steps
from wechatpay_chain._messages.request import Request
from wechatpay_chain._messages.response import Response
from wechatpay_chain._pipeline.stack import Layered, find_customer
from wechatpay_chain._rates.documented import DOCUMENTED
from wechatpay_chain._rates.rules import Rule, Rules
from wechatpay_chain.errors import ConfigurationError, RateExceededError, RateLimitError

__all__ = ["RateLimits"]

logger = logging.getLogger("wechatpay_chain")

STORAGE_TIMEOUT = 1.0
"""Seconds for a connection to Redis, and for each command."""

STORAGE_REST = 10.0
"""Seconds for which a storage is not asked again that could not be used. Meanwhile each process counts by itself."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds for which a group of operations pauses after a 429; twice as long after each further one."""

MOST_PATIENCE = 0.05
"""Seconds, at most, for which a process leaves an opening to others."""

SKEW = 0.002
"""Seconds by which two clocks may differ: ours is the monotonic one, that of the window is not."""

LOOK_AGAIN = 0.01
"""Seconds after which a call looks again whether the one before it has gone, which a busy event loop has not woken in time."""

LONGEST_WAIT = 240.0
"""Seconds after which a signed call must be on its way. The service refuses a signature after 300."""


class _Place:
    """The place of a call in a group.

    Attributes:
        moment: when the call goes, or went, in seconds of the monotonic clock.
        before: the call that must have gone a period earlier; None if there is room now.
        is_waiting: whether the call has neither gone nor given up.
    """

    __slots__ = ("before", "is_waiting", "moment")

    def __init__(self, moment: float, before: _Place | None) -> None:
        self.moment, self.before, self.is_waiting = moment, before, True

    def find_moment(self, period: float) -> float:
        """Returns when the call may go, by what is known now: those before it may be late, or have given up."""
        if self.before is None:
            return 0.0
        moment = self.before.moment + period + SKEW
        return max(moment, time.monotonic() + LOOK_AGAIN) if self.before.is_waiting else moment


class _Group:
    """The calls of one merchant to one group of operations, in one process.

    Attributes:
        places: the calls of the last period and those to come, in their order.
        paused_until: the end of a pause.
        pause: the length of the last pause; 0 after a success.
    """

    __slots__ = ("pause", "paused_until", "places")

    def __init__(self) -> None:
        self.places: deque[_Place] = deque()
        self.paused_until = self.pause = 0.0

    def take_place(self, amount: int, period: float) -> _Place:
        """Returns a place after all others, with no more than `amount` calls in a period."""
        now = time.monotonic()
        while self.places and not self.places[0].is_waiting and self.places[0].moment < now - period - SKEW:
            self.places.popleft()
        place = _Place(now, self.places[-amount] if len(self.places) >= amount else None)
        place.moment = max(now, place.find_moment(period))
        self.places.append(place)
        return place

    def leave(self, place: _Place) -> None:
        """Gives a place up: those after it may go sooner."""
        place.moment, place.is_waiting = float("-inf"), False
        with suppress(ValueError):
            self.places.remove(place)

    def begin_pause(self, sent: float) -> None:
        """Begins a pause, unless the call was sent before the pause that another one has caused already."""
        if sent >= self.paused_until - self.pause:
            self.pause = min(2 * self.pause, LONGEST_PAUSE) or FIRST_PAUSE
            self.paused_until = time.monotonic() + self.pause


class RateLimits:
    """Rate limits for one or more clients.

        from wechatpay_chain.rates import RateLimits

        RateLimits().install(client)

    Each attempt of a call counts. A call that would exceed its limit waits, the first one first, at most `wait` seconds. If the service
    refuses a call all the same (429), the operations that share its limit pause for a second, and twice as long each further time, up to
    a minute: also those of which no limit is known.

    It needs the `limits` library: `pip install "wechatpay-chain[redis]"`.

    Args:
        rates: the limits by operation; by default `DOCUMENTED`, which says what an entry is.
        storage: where calls are counted, as the `limits` library names it: `memory://` for one process, or `redis://host:6379/0` for all
            processes that share it. While Redis cannot be reached, each process counts by itself.
        wait: the most seconds that each attempt of a call waits, 240 at most, because it is signed when it waits; 0 to raise at once.
            `Retry.deadline` does not shorten this wait, but the wait counts towards it.

    Raises:
        ConfigurationError: a limit or the storage is wrong, or the library is not installed.
    """

    def __init__(
        self, rates: Mapping[str, str] = DOCUMENTED, *, storage: str = "memory://", wait: float = 30.0
    ) -> None:
        with importing("rates: the limits library is not installed; pip install 'wechatpay-chain[redis]'"):
            import limits
            import limits.storage
            import limits.strategies
        if isinstance(wait, bool) or not isinstance(wait, (int, float)) or not 0 <= wait <= LONGEST_WAIT:
            raise ConfigurationError(f"wait: came {wait!r}; expected seconds from 0 to {LONGEST_WAIT:g}")
        self._library, self._storage, self._wait = limits, storage, wait
        self._rules = Rules(rates, limits.parse_many)
        self._groups: dict[tuple[object, str, str], _Group] = {}
        self._lock = ForkSafeLock()
        self._limiters: dict[object, Any] = {}
        self._rests_until = self._swept = 0.0
        self._is_local = isinstance(storage, str) and storage.startswith("memory:")
        self._limiter  # noqa: B018 -- a wrong storage shows now

    def install(self, client: Layered) -> None:
        """Limits the calls of a client. Clients of one merchant number share its limits.

        It adds two layers: `rates` is inside `sign`, so that a call that may go is on its way at once; `slow_down` sees the errors.

        Raises:
            ConfigurationError: the client has rate limits already.
        """
        if "rates" in client.middleware:
            raise ConfigurationError("rates: this client has rate limits already; install them once")
        merchant = "=".join(find_customer(client))
        outside = "sign" if "sign" in client.middleware else "verify"
        client.middleware.insert_after(outside, "rates", partial(self._limit, merchant))
        slow_down = partial(self._slow_down, merchant)
        if "retry" in client.middleware:
            client.middleware.insert_after("retry", "slow_down", slow_down)
        else:
            client.middleware.insert_before(next(iter(client.middleware)), "slow_down", slow_down)

    def _limit(self, merchant: str, request: Request) -> Flow:
        """Lets an attempt wait for its turn. A layer."""
        rule = self._rules.find(request.method, request.template)
        key = _key(merchant, rule)
        group = self._groups.get(key)
        if group is None and rule.item is not None:
            group = self._make_group(key)
        if group is not None:
            yield from self._await_turn(merchant, rule, group, request)
        sent = time.monotonic()
        response: Response = yield request
        if response.status_code == 429:
            self._make_group(key).begin_pause(sent)
        return response

    def _make_group(self, key: tuple[object, str, str]) -> _Group:
        """Returns a group, and now and then forgets those that nobody has used for long. The storage counts their calls all the same."""
        now = time.monotonic()
        with self._lock.current:
            if now > self._swept + LONGEST_PAUSE:
                self._swept = now
                for each, group in list(self._groups.items()):
                    last = group.places[-1].moment if group.places else 0.0
                    if max(last, group.paused_until) < now - LONGEST_PAUSE:
                        del self._groups[each]
            return self._groups.setdefault(key, _Group())

    def _slow_down(self, merchant: str, request: Request) -> Flow:
        """Begins a pause after a refusal that only APIv2 has, and ends its growth after a success. A layer."""
        rule = self._rules.find(request.method, request.template)
        key = _key(merchant, rule)
        began = time.monotonic()
        try:
            response: Response = yield request
        except RateLimitError as error:
            if error.status_code != 429:
                self._make_group(key).begin_pause(began)
            raise
        group = self._groups.get(key)
        if group is not None and group.pause and time.monotonic() >= group.paused_until:
            group.pause = 0.0
            if rule.item is None:
                self._groups.pop(key, None)
        return response

    @property
    def _limiter(self) -> Any:
        """The limiter of this process. A forked child counts in memory by itself."""
        process = current_process()
        limiter = self._limiters.get(process)
        if limiter is None:
            options = (
                {} if self._is_local else {"socket_timeout": STORAGE_TIMEOUT, "socket_connect_timeout": STORAGE_TIMEOUT}
            )
            try:
                with no_fork.current:
                    storage = self._library.storage.storage_from_string(self._storage, **options)
                    limiter = self._library.strategies.MovingWindowRateLimiter(storage)
            except Exception as error:
                raise ConfigurationError(
                    f"storage: it cannot be used ({type(error).__name__}); expected 'memory://' or 'redis://host:6379/0'"
                ) from None
            limiter = self._limiters.setdefault(process, limiter)
        return limiter

    def _await_turn(self, merchant: str, rule: Rule, group: _Group, request: Request) -> Steps[None]:
        """Waits until a call may be sent; raises a RateExceededError if that would take too long."""
        deadline = time.monotonic() + self._wait
        if rule.item is None:
            yield from self._sleep_until(group.paused_until, deadline, rule, request)
            return
        amount, period = rule.item.amount, rule.item.get_expiry()
        with self._lock.current:
            place = group.take_place(amount, period)
        # Where another process waits for the moment at which a call of ours leaves the window, this gives it a chance.
        patience = 0.0 if self._is_local else random.uniform(0, min(2 * period / amount, MOST_PATIENCE))  # noqa: S311
        opens = 0.0
        try:
            while True:
                place.moment = max(place.find_moment(period) + patience, group.paused_until, opens)
                if place.moment > time.monotonic():
                    yield from self._sleep_until(place.moment, deadline, rule, request)
                    continue
                if (yield from self._ask(partial(self._limiter.hit, rule.item, merchant, rule.group), True)):
                    # Without the call before it, because each would keep the one before, and so all of them.
                    place.moment, place.before, place.is_waiting = time.monotonic(), None, False
                    return
                # Other processes have used the window up.
                look = partial(self._limiter.get_window_stats, rule.item, merchant, rule.group)
                stats = yield from self._ask(look, None)
                left = stats.reset_time - time.time() if stats is not None else 0.0
                opens = time.monotonic() + max(left, 0.0) + random.uniform(0, SKEW)  # noqa: S311 -- it is no secret
        except BaseException:
            with self._lock.current:
                group.leave(place)
            raise

    def _sleep_until(self, moment: float, deadline: float, rule: Rule, request: Request) -> Steps[None]:
        """Sleeps until a moment, a period at most; raises a RateExceededError if it is after the deadline."""
        seconds = moment - time.monotonic()
        if seconds <= 0:
            return
        if moment > deadline:
            raise RateExceededError(
                f"{request.method} {request.template}: the limit of {rule.item or 'the service, which has refused a call,'} for "
                f"{rule.group!r} is used up for {seconds:.1f} s; wait={self._wait:g} does not allow that",
                seconds,
            )
        yield Sleep(min(seconds, rule.item.get_expiry()) if rule.item is not None else seconds)

    def _ask(self, function: Any, fallback: Any) -> Steps[Any]:
        """Asks the storage. Memory is asked at once; Redis, through an effect, because it takes time."""
        if self._is_local:
            return function()
        return (yield Invoke(partial(self._ask_redis, function, fallback)))

    def _ask_redis(self, function: Any, fallback: Any) -> Any:
        # Others may have asked Redis in vain while this call waited for a thread.
        if time.monotonic() < self._rests_until:
            return fallback
        try:
            return function()
        except Exception as error:
            self._rests_until = time.monotonic() + STORAGE_REST
            logger.warning("the storage of the rate limits cannot be used: %s: %s", type(error).__name__, error)
            return fallback

    def __repr__(self) -> str:
        storage = urlsplit(self._storage)
        return f"<RateLimits {storage.scheme}://{storage.netloc.rpartition('@')[2]}>"


def _key(merchant: str, rule: Rule) -> tuple[object, str, str]:
    """Returns the key of a group. A forked child has groups of its own: those that wait in its parent never go there."""
    return current_process(), merchant, rule.group
