// A form that calls any operation. The sandbox signs the call and sends it to itself.

import { find, get, indent, make, makeBlock, makeStatus, post } from "./dom.js";
import { text } from "./texts.js";

const FIRST = "POST /v3/pay/transactions/native";
let operations = new Map();
let chosen;

/** Fills the form, and makes it work. `act` runs an action and shows its error. */
export async function startForm(act) {
  const known = await get("operations");
  operations = new Map(known.map((one) => [`${one.method} ${one.path} ${one.title}`.trim(), one]));
  find("operations").append(...[...operations.keys()].map((value) => make("option", { value })));
  const field = find("operation");
  field.addEventListener("focus", () => field.select());
  field.addEventListener("input", () => act(choose));
  find("call-form").addEventListener("submit", (event) => {
    event.preventDefault();
    act(send);
  });
  field.value = [...operations.keys()].find((name) => name.startsWith(`${FIRST} `));
  await choose();
}

async function choose() {
  const operation = operations.get(find("operation").value);
  if (!operation) return;
  chosen = operation;
  const { path, body } = await get("example", { method: operation.method, path: operation.path });
  find("path").value = path;
  find("body").value = body === null ? "" : JSON.stringify(body, null, 2);
}

async function send() {
  const written = find("body").value.trim();
  const body = written ? JSON.parse(written) : null;
  show(await post("call", { method: chosen.method, path: find("path").value, body }));
}

function show({ status, headers, body, error }) {
  const parts = status === undefined ? [] : [
    make("p", {}, `${text("status")} `, makeStatus(status)),
    makeBlock(text("responseBody"), indent(body) || text("none")),
    makeBlock(text("responseHeaders"), Object.entries(headers).map((pair) => pair.join(": ")).join("\n")),
  ];
  if (error) parts.unshift(makeBlock(text("error"), error));
  find("answer").replaceChildren(...parts);
  find("answer").hidden = false;
}
