// The notifications, newest first, with the replies of the receiver.

import { find, formatMoment, formatTime, make, makeButton, post, setText, sync } from "./dom.js";
import { text } from "./texts.js";

/** Shows the notifications. `act` runs an action and shows its error. */
export function showNotices({ notices }, act) {
  sync(find("notices-list"), notices.toReversed(), {
    key: (notice) => notice.id,
    create: (notice) => makeNotice(notice, act),
    update: updateNotice,
  });
}

function makeNotice(notice, act) {
  const again = makeButton(text("sendAgain"), () => act(() => post("send_again", { notice_id: notice.id })));
  again.setAttribute("aria-label", `${text("sendAgain")} ${notice.event_type} ${notice.id}`);
  return make(
    "li",
    { class: "item notice" },
    make("p", {}, make("b", {}, notice.event_type)),
    make("p", { class: "number" }, notice.url),
    make("ol", { class: "posts" }),
    make("p", { class: "due" }),
    again,
  );
}

function updateNotice(item, notice) {
  sync(item.querySelector(".posts"), notice.posts.map((post, index) => ({ ...post, index })), {
    key: (post) => post.index,
    create: (post) => {
      const name = post.outcome === 200 || post.outcome === 204 ? "good" : "bad";
      const outcome = make("b", { class: name }, String(post.outcome));
      const response = post.response ? [make("pre", {}, post.response)] : [];
      return make("li", {}, `${formatTime(post.at)} → `, outcome, ...response);
    },
    update: () => {},
  });
  setText(item.querySelector(".due"), describeNext(notice));
}

function describeNext(notice) {
  if (notice.next_at) return `${text("nextPost")} ${formatMoment(notice.next_at)}`;
  return notice.is_received ? text("received") : text("noNextPost");
}
