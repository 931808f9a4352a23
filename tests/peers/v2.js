// A shop with wechatpay-axios-plugin's APIv2: orders, queries, a refund, notifications and a bill.
// Input: a sandbox's credentials, as JSON.
const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const { createServer } = require('node:http');
const { Aes: { AesEcb }, Formatter, Hash, Transformer, Wechatpay } = require('wechatpay-axios-plugin');

const {
  base_url: baseURL, mchid, serial, private_key: privateKey, certs, apiv2_key: secret, certificate: cert,
} = JSON.parse(readFileSync(0));
const client = new Wechatpay({
  baseURL, mchid, serial, privateKey, certs: { ...certs }, secret, merchant: { cert, key: privateKey }, proxy: false,
});
const appid = 'wxd678efh567hg6787';

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const fields = Transformer.toObject(Buffer.concat(chunks).toString());
  const { sign, ...signed } = fields;
  const isTrusted = fields.req_info || Hash.sign('MD5', signed, secret) === sign;
  response.end(Transformer.toXml({ return_code: isTrusted ? 'SUCCESS' : 'FAIL', return_msg: 'OK' }));
  server.emit('notice', isTrusted ? fields : null);
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
  const out_trade_no = `v2-${Date.now()}`;
  const out_refund_no = `${out_trade_no}-r`;
  const { v2 } = client;
  const fields = () => ({ appid, mch_id: mchid, nonce_str: Formatter.nonce() });
  const result = { out_trade_no };

  result.placed = (await v2.pay.unifiedorder.post({
    ...fields(), out_trade_no, notify_url, body: '公仔 <大> & 小', total_fee: 100, trade_type: 'NATIVE',
    spbill_create_ip: '127.0.0.1',
  })).data;
  result.payment_notice = await act('pay', { out_trade_no });
  result.paid = (await v2.pay.orderquery.post({ ...fields(), out_trade_no })).data;
  result.refund = (await v2.secapi.pay.refund.post({
    ...fields(), out_trade_no, out_refund_no, notify_url, total_fee: 100, refund_fee: 30,
  }, { security: true })).data;
  const { req_info } = await act('act', { kind: 'refund', number: out_refund_no, act: 'finish' });
  result.refund_notice = Transformer.toObject(AesEcb.decrypt(req_info, Hash.md5(secret)));
  result.found_refund = (await v2.pay.refundquery.post({ ...fields(), out_refund_no })).data;
  result.micropay = (await v2.pay.micropay.post({
    ...fields(), out_trade_no: `${out_trade_no}-m`, body: '公仔', total_fee: 1, auth_code: '134567890123456789',
    spbill_create_ip: '127.0.0.1',
  })).data;
  result.unknown = await v2.pay.orderquery.post({ ...fields(), out_trade_no: 'none' })
    .catch(({ code, response }) => ({ code, err_code: response.data.err_code }));

  const bill_date = new Date(Date.now() + (8 - 2 * 24) * 3600e3).toISOString().slice(0, 10).replaceAll('-', '');
  const bill = (await v2.pay.downloadbill.post({ ...fields(), bill_date, bill_type: 'ALL' }, {
    responseType: 'arraybuffer', transformResponse: [],
  })).data;
  result.rows = Formatter.castCsvBill(bill).rows.filter((row) => row['商户订单号'] === out_trade_no);
  server.close();
  console.log(JSON.stringify(result));
})().catch((error) => { console.error(error); process.exit(1); });
