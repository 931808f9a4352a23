"""The sandbox's echo posts a notification if it is asked to, and its certificates are of the algorithm that was asked for."""

from __future__ import annotations

import pytest

from wechatpay_chain import NotFoundError, Sensitive


def test_an_echo_with_a_notify_url_posts_a_notification(client, shop, send):
    body = {
        "echo_message": "hello",
        "encrypted_echo_message": Sensitive("秘密"),
        "notify_url": shop.url,
    }
    response = send(client.v3.security.echo, "post", json=body).json()
    event_type, resource = shop.receive()
    assert event_type == "SECURITY_ECHO.SUCCESS"
    assert resource["echo_message"] == response["echo_message"] == "hello"
    assert client.decrypt(resource["encrypt_echo_message"]) == "秘密"


def test_an_echo_of_plain_text_posts_no_ciphertext(client, shop, send):
    send(client.v3.security.echo, "post", json={"echo_message": "hello", "notify_url": shop.url})
    assert shop.receive() == ("SECURITY_ECHO.SUCCESS", {"echo_message": "hello"})


def test_an_echo_without_a_notify_url_posts_nothing(client, shop, send):
    send(client.v3.security.echo, "post", json={"echo_message": "first"})
    send(client.v3.security.echo, "post", json={"echo_message": "second", "notify_url": shop.url})
    assert shop.receive()[1] == {"echo_message": "second"}
    assert shop.is_empty()


def test_there_is_no_certificate_of_sm2(client, send):
    for query in ({}, {"algorithm_type": "RSA"}, {"algorithm_type": "ALL"}):
        assert len(send(client.v3.certificates, "get", params=query).json()["data"]) == 1
    with pytest.raises(NotFoundError, match="RESOURCE_NOT_EXISTS"):
        send(client.v3.certificates, "get", params={"algorithm_type": "SM2"})
