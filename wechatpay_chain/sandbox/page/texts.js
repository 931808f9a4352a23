// The texts of the page in both languages.

const TEXTS = {
  title: ["微信支付沙箱", "WeChat Pay sandbox"],
  merchant: ["商户号", "Merchant"],
  clock: ["沙箱时间", "Clock"],
  sections: ["页面各部分", "Sections"],
  calls: ["请求", "Calls"],
  noCalls: ["还没有请求。", "No calls yet."],
  orders: ["订单", "Orders"],
  noOrders: ["还没有订单。", "No orders yet."],
  pay: ["支付", "Pay"],
  code: ["二维码", "QR code"],
  notices: ["通知", "Notifications"],
  noNotices: ["还没有通知。", "No notifications yet."],
  sendAgain: ["重新发送", "Send again"],
  nextPost: ["下次发送：", "Next post:"],
  noNextPost: ["不再发送", "No further post"],
  received: ["已收到", "Received"],
  faults: ["故障", "Faults"],
  faultsHint: ["让下一个应答或所有应答出现故障。", "Make the next response fail, or all of them."],
  fault: ["故障", "Fault"],
  next: ["下一个应答", "Next response"],
  all: ["所有应答", "All"],
  heal: ["结束所有故障", "End all faults"],
  form: ["发起请求", "Make a call"],
  operation: ["接口（输入路径或名称查找）", "Operation (type a path or a title to search)"],
  path: ["路径和查询参数", "Path and query"],
  body: ["请求体（JSON）", "Body (JSON)"],
  send: ["签名并发送", "Sign and send"],
  status: ["状态码", "Status"],
  error: ["错误", "Error"],
  verified: ["签名验证通过", "Signature verified"],
  unverified: ["签名验证未通过", "Signature not verified"],
  unchecked: ["因故障未验证签名", "Signature not checked, because of a fault"],
  message: ["待签名串", "Message to sign"],
  requestHeaders: ["请求头", "Request headers"],
  requestBody: ["请求体", "Request body"],
  responseHeaders: ["应答头", "Response headers"],
  responseBody: ["应答体", "Response body"],
  none: ["（无）", "(none)"],
  lost: ["沙箱没有响应。", "The sandbox does not respond."],
  "fault-wrong-signature": ["签名是另一个应答体的", "The signature is of another body."],
  "fault-signtest": ["签名探测流量", "The service's probe: a signature that is not valid."],
  "fault-old-clock": ["时间戳早十分钟", "The timestamp is ten minutes ago."],
  "fault-future-clock": ["时间戳晚十分钟", "The timestamp is ten minutes from now."],
  "fault-unknown-serial": ["序列号指向不存在的密钥", "Wechatpay-Serial names an unknown key."],
  "fault-missing-header": ["缺少一个签名头", "One header of the signature is missing."],
  "fault-rotation": ["应答正确，此后用新的平台证书签名", "Correct; from now on, a new certificate signs."],
  "fault-public-key": ["应答正确，此后用公钥签名", "Correct; from now on, the public key signs."],
  "fault-401": ["SIGN_ERROR，不执行请求", "SIGN_ERROR; not carried out."],
  "fault-429": ["请求过于频繁，不执行请求", "Rate limited; not carried out."],
  "fault-500": ["SYSTEM_ERROR，请求已执行", "SYSTEM_ERROR, although carried out."],
  "fault-502": ["没有应答体，请求已执行", "No body, although carried out."],
  "fault-503": ["服务不可用，不执行请求", "Unavailable; not carried out."],
  "fault-html": ["代理的错误页面，不执行请求", "A proxy's error page; not carried out."],
  "fault-dropped-before": ["断开连接，不执行请求", "The connection is closed; not carried out."],
  "fault-dropped-after": ["断开连接，请求已执行", "The connection is closed, although carried out."],
  "fault-slow": ["应答正确，但延迟", "Correct, but delayed."],
  "fault-cut-body": ["应答体发送一半后断开", "The connection is closed after half of the body."],
};
const KEY = "wechatpay-sandbox-language";
const language = localStorage.getItem(KEY) ?? (navigator.language.startsWith("zh") ? "zh" : "en");
const column = language === "zh" ? 0 : 1;

/** The names of the faults. */
export const faults = Object.keys(TEXTS).filter((key) => key.startsWith("fault-")).map((key) => key.slice(6));

/** Returns a text in the language of the page. */
export const text = (key) => TEXTS[key][column];

/** Fills in the texts of the page, and makes the switch of the language work. */
export function showTexts() {
  document.documentElement.lang = language;
  document.title = text("title");
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", text(element.dataset.label));
  }
  const other = language === "zh" ? "en" : "zh";
  const button = document.getElementById("language");
  button.lang = other;
  button.textContent = other === "zh" ? "中文" : "English";
  button.addEventListener("click", () => {
    localStorage.setItem(KEY, other);
    location.reload();
  });
}
