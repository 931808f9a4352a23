// The faults, each with a button for the next response and a switch for all responses.

import { find, get, make, makeButton, post, setText, sync } from "./dom.js";
import { faults, text } from "./texts.js";

/** Shows the faults. `act` runs an action and shows its error. */
export function showFaults({ faults: shown }, act) {
  sync(find("faults-list"), faults, {
    key: (name) => name,
    create: (name) => makeFault(name, act),
    update: (item, name) => updateFault(item, shown[name] ?? { times: 0, share: 0 }),
  });
}

function makeFault(name, act) {
  const next = makeButton("", () => act(() => post("fault", { fault: name, times: 1 })), "next");
  next.setAttribute("aria-describedby", `fault-${name}`);
  const all = make("input", { type: "checkbox", role: "switch", "aria-describedby": `fault-${name}` });
  all.addEventListener("change", () => act(() => turn(name, all.checked)));
  return make(
    "li",
    { class: "item fault" },
    make("p", { id: `fault-${name}` }, make("b", {}, name), ` ${text(`fault-${name}`)}`),
    next,
    make("label", {}, all, make("span", { class: "share" })),
  );
}

/** Switches a fault of all responses on or off. Only one can be in all responses. */
async function turn(name, on) {
  const { faults: active } = await get("overview", { start: Number.MAX_SAFE_INTEGER });
  const others = Object.keys(active).filter((other) => other !== name && active[other].share > 0);
  if (on) for (const other of others) await post("fault", { fault: other, share: 0 });
  await post("fault", { fault: name, share: on ? 1 : 0 });
}

function updateFault(item, { times, share }) {
  setText(item.querySelector(".next"), times ? `${text("next")} (${times})` : text("next"));
  setText(item.querySelector(".share"), share > 0 && share < 1 ? `${Math.round(share * 100)}%` : text("all"));
  item.querySelector("input").checked = share > 0;
  item.classList.toggle("on", times > 0 || share > 0);
}
