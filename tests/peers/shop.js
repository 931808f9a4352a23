// A shop with wechatpay-axios-plugin: order, payment, query, refund, bill, upload and notifications.
// Input: a sandbox's credentials, as JSON.
const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const { createServer } = require('node:http');
const { createRequire } = require('node:module');
const { gunzipSync } = require('node:zlib');
const { Aes: { AesGcm }, Formatter, Hash, Multipart, Rsa, Wechatpay } = require('wechatpay-axios-plugin');

const {
  base_url: baseURL, mchid, serial, private_key: privateKey, certs, apiv3_key: secret,
} = JSON.parse(readFileSync(0));
const client = new Wechatpay({ baseURL, mchid, serial, privateKey, certs: { ...certs }, proxy: false });

// Returns a notification with its resource decrypted, or null if its signature is not valid.
function read(headers, body) {
  const timestamp = headers['wechatpay-timestamp'];
  const signed = Formatter.response(timestamp, headers['wechatpay-nonce'], body);
  const key = Rsa.from(certs[headers['wechatpay-serial']], Rsa.KEY_TYPE_PUBLIC);
  const isRecent = Math.abs(Formatter.timestamp() - timestamp) <= 300;
  if (!isRecent || !Rsa.verify(signed, headers['wechatpay-signature'], key)) return null;
  const { event_type, resource: { ciphertext, nonce, associated_data } } = JSON.parse(body);
  return { event_type, resource: JSON.parse(AesGcm.decrypt(ciphertext, secret, nonce, associated_data)) };
}

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const notice = read(request.headers, Buffer.concat(chunks).toString());
  response.writeHead(notice ? 204 : 401).end();
  server.emit('notice', notice);
});

// Has the sandbox do something, and returns the notification that this causes.
async function act(name, members) {
  const noticed = once(server, 'notice');
  const done = await fetch(new URL(`/_sandbox/${name}`, baseURL), { method: 'POST', body: JSON.stringify(members) });
  if (!done.ok) throw new Error(await done.text());
  return (await noticed)[0];
}

(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const notify_url = `http://127.0.0.1:${server.address().port}/notify`;
  const out_trade_no = `axios-${Date.now()}`;
  const out_refund_no = `${out_trade_no}-r`;
  const { v3 } = client;
  const result = { out_trade_no, axios: createRequire(require.resolve('wechatpay-axios-plugin'))('axios').VERSION };

  result.placed = (await v3.pay.transactions.jsapi.post({
    mchid, out_trade_no, notify_url, appid: 'wxd678efh567hg6787', description: '公仔',
    amount: { total: 100, currency: 'CNY' }, payer: { openid: 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o' },
  })).data;
  result.payment_notice = await act('pay', { out_trade_no });
  result.paid = (await v3.pay.transactions.outTradeNo._out_trade_no_.get({ params: { mchid }, out_trade_no })).data;
  const { transaction_id } = result.paid;
  result.by_id = (await v3.pay.transactions.id._transaction_id_.get({ params: { mchid }, transaction_id })).data;

  result.refund = (await v3.refund.domestic.refunds.post({
    transaction_id, out_refund_no, notify_url, reason: '商品已售完', amount: { refund: 30, total: 100, currency: 'CNY' },
  })).data;
  result.found_refund = (await v3.refund.domestic.refunds._out_refund_no_.get({ out_refund_no })).data;
  const event = { event_type: 'REFUND.SUCCESS', resource: { out_refund_no, refund_status: 'SUCCESS' }, url: notify_url };
  result.forged_notice = await act('notify', { ...event, fault: 'wrong-signature' });
  result.refund_notice = await act('notify', event);

  const bill_date = new Date(Date.now() + (8 - 2 * 24) * 3600e3).toISOString().slice(0, 10); // two days ago in China
  result.bill = (await v3.bill.tradebill.get({ params: { bill_date, tar_type: 'GZIP' } })).data;
  const params = Object.fromEntries(new URL(result.bill.download_url).searchParams);
  const content = gunzipSync((await v3.billdownload.file.get({ params, responseType: 'arraybuffer' })).data);
  result.sha1 = Hash.sha1(content);
  result.rows = Formatter.castCsvBill(content).rows.filter((row) => row['商户订单号'] === out_trade_no);

  const file = Buffer.from([...Array(256).keys()]);
  const meta = { filename: '门店.png', sha256: Hash.sha256(file) };
  const form = new Multipart().append('meta', JSON.stringify(meta)).append('file', file, '门店.png');
  result.media = (await v3.merchant.media.upload.post(form, { meta, headers: form.getHeaders() })).data;
  server.close();
  console.log(JSON.stringify(result));
})().catch((error) => { console.error(error); process.exit(1); });
