// The orders, those that can be paid first, with their QR code and a button that pays.

import { find, make, makeButton, post, setText, sync } from "./dom.js";
import { text } from "./texts.js";

/** Shows the orders. `act` runs an action and shows its error. */
export function showOrders({ orders }, act) {
  sync(find("orders-list"), orders, {
    key: (order) => order.number,
    create: (order) => makeOrder(order, act),
    update: updateOrder,
  });
}

function makeOrder(order, act) {
  const pay = makeButton(text("pay"), () => act(() => post("pay", { out_trade_no: order.number })), "main pay");
  pay.setAttribute("aria-label", `${text("pay")} ${order.number}`);
  return make(
    "li",
    { class: "item order" },
    make("div", { class: "words" },
      make("p", { class: "amount" }, `¥${(order.total / 100).toFixed(2)}`),
      make("p", { class: "description" }, order.description),
      make("p", { class: "number" }, order.number),
      make("p", { class: "state tag" })),
    ...(order.has_code ? [makeCode(order.number)] : []),
    pay,
  );
}

function makeCode(number) {
  const source = `/_sandbox/page/qr.svg?${new URLSearchParams({ number })}`;
  return make("img", { class: "code", src: source, alt: text("code"), width: 116, height: 116 });
}

function updateOrder(item, order) {
  setText(item.querySelector(".state"), order.state);
  for (const part of item.querySelectorAll(".code, .pay")) part.hidden = !order.is_open;
}
