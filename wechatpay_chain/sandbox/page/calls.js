// The calls as they come, newest first. One that is opened shows what was signed, and both messages.

import { find, formatTime, get, indent, make, makeBlock, makeStatus, sync } from "./dom.js";
import { text } from "./texts.js";

const MOST = 100;
let calls = [];

/** Adds new calls, and removes those that the sandbox has forgotten. */
export function showCalls({ calls: added, first }) {
  const known = new Set(calls.map((call) => call.number));
  calls = [...added.filter((call) => !known.has(call.number)).reverse(), ...calls]
    .filter((call) => call.number >= first)
    .slice(0, MOST);
  sync(find("calls-list"), calls, { key: (call) => call.number, create: makeCall, update: () => {} });
}

function makeCall(call) {
  const summary = make(
    "summary",
    {},
    make("span", { class: "line" },
      make("b", { class: "method" }, call.method),
      make("span", { class: "target" }, call.target),
      makeStatus(call.status),
      make("time", { datetime: call.at }, formatTime(call.at))),
    make("span", { class: "line" },
      make("span", { class: "title", lang: "zh" }, call.title),
      ...(call.fault ? [make("span", { class: "tag" }, `${text("fault")}: ${call.fault}`)] : [])),
  );
  const details = make("details", { class: "item" }, summary);
  details.addEventListener("toggle", () => open(details, call), { once: true });
  return details;
}

async function open(details, call) {
  const seen = await get("seen", { number: call.number });
  details.append(
    makeSignature(seen),
    makeBlock(text("message"), seen.message.replaceAll("\n", "\\n\n") || text("none")),
    makeBlock(text("requestHeaders"), formatHeaders(seen.request.headers)),
    makeBlock(text("requestBody"), indent(seen.request.body) || text("none")),
    makeBlock(text("responseHeaders"), formatHeaders(seen.response.headers)),
    makeBlock(text("responseBody"), indent(seen.response.body) || text("none")),
  );
}

function makeSignature({ problem }) {
  if (problem === null) return make("p", { class: "signature" }, text("unchecked"));
  if (problem === "") return make("p", { class: "signature good" }, `✓ ${text("verified")}`);
  return make("p", { class: "signature bad" }, `✗ ${text("unverified")}: `, make("span", { lang: "zh" }, problem));
}

function formatHeaders(headers) {
  return Object.entries(headers).map(([name, value]) => `${name}: ${value}`).join("\n");
}
