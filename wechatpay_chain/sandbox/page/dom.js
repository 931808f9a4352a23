// Elements, and requests to the sandbox. Texts are inserted as text only: requests can contain anything.

export const find = (id) => document.getElementById(id);

/** Returns an element with attributes and children; a child that is no element is a text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Returns a button that calls a function. */
export function makeButton(text, act, name = "") {
  const button = make("button", { type: "button", class: name }, text);
  button.addEventListener("click", act);
  return button;
}

/** Sets the text of an element, if it is another one, so that a selection of the user stays. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Makes the children of an element those of some items, in their order. An item that was there keeps its element, and with
 * it the focus.
 */
export function sync(parent, items, { key, create, update }) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const name = String(key(item));
    let child = old.get(name);
    if (child) {
      old.delete(name);
    } else {
      child = create(item);
      child.dataset.key = name;
    }
    update(child, item);
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
  for (const child of old.values()) child.remove();
}

/** Returns the result of a view. */
export function get(name, query = {}) {
  return ask(fetch(`/_sandbox/${name}?${new URLSearchParams(query)}`));
}

/** Returns the result of an action. */
export function post(name, values = {}) {
  const headers = { "Content-Type": "application/json" };
  return ask(fetch(`/_sandbox/${name}`, { method: "POST", headers, body: JSON.stringify(values) }));
}

async function ask(request) {
  const { result, error } = await (await request).json();
  if (error !== undefined) throw new Error(error);
  return result;
}

/** Returns JSON with its lines indented; another text as it is. */
export function indent(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** Returns the time of day of a moment. */
export const formatTime = (moment) => moment.slice(11, 19);

/** Returns a moment without its time zone. */
export const formatMoment = (moment) => moment.slice(0, 19).replace("T", " ");

/** Returns a block of text with a heading. */
export function makeBlock(title, text) {
  return make("div", { class: "block" }, make("h3", {}, title), make("pre", {}, text));
}

/** Returns a status, marked as good or bad. */
export function makeStatus(status) {
  return make("b", { class: status >= 200 && status < 300 ? "good" : "bad" }, String(status));
}
