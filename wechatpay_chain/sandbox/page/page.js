// The page: asks the sandbox once a second what there is to show.

import { showCalls } from "./calls.js";
import { find, formatMoment, get, post, setText } from "./dom.js";
import { showFaults } from "./faults.js";
import { startForm } from "./form.js";
import { showNotices } from "./notices.js";
import { showOrders } from "./orders.js";
import { showTexts, text } from "./texts.js";

const INTERVAL = 1000;
let start = 0;
let isLost = false;
let loading = Promise.resolve();

/** Shows the present state. One request at a time, so that an older state never comes after a newer one. */
function refresh() {
  loading = loading.catch(() => {}).then(load);
  return loading;
}

async function load() {
  const shown = await get("overview", { start });
  if (shown.next < start) location.reload(); // another sandbox listens here now
  start = shown.next;
  setText(find("merchant"), shown.mchid);
  setText(find("clock"), formatMoment(shown.now));
  showCalls(shown);
  showOrders(shown, act);
  showNotices(shown, act);
  showFaults(shown, act);
}

/** Runs an action, shows its error if there is one, and then what has changed. */
async function act(action) {
  try {
    await action();
    report("");
    await refresh();
  } catch (error) {
    report(error.message);
  }
}

function report(message) {
  setText(find("status"), message);
  find("status").hidden = !message;
}

async function watch() {
  try {
    await refresh();
    if (isLost) report("");
    isLost = false;
  } catch {
    isLost = true;
    report(text("lost"));
  }
  setTimeout(watch, INTERVAL);
}

showTexts();
find("heal").addEventListener("click", () => act(() => post("heal")));
act(() => startForm(act));
watch();
