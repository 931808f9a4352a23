// Orders, queries and closes with wechatpay-axios-plugin. Input: a sandbox's credentials, as JSON.
const { readFileSync } = require('node:fs');
const { Wechatpay, Multipart, Hash } = require('wechatpay-axios-plugin');

(async () => {
  const { base_url: baseURL, mchid, serial, private_key: privateKey, certs } = JSON.parse(readFileSync(0));
  const client = new Wechatpay({ baseURL, mchid, serial, privateKey, certs, proxy: false });
  const out_trade_no = `axios-${Date.now()}`;
  const order = {
    mchid, out_trade_no, appid: 'wxd678efh567hg6787', description: '公仔', notify_url: 'https://weixin.qq.com/',
    amount: { total: 1, currency: 'CNY' },
  };
  const result = {};
  result.native = (await client.v3.pay.transactions.native.post(order)).data;
  result.jsapi = (await client.v3.pay.transactions.jsapi.post({
    ...order, out_trade_no: `${out_trade_no}-j`, payer: { openid: 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o' },
  })).data;
  const byNumber = client.v3.pay.transactions.outTradeNo._out_trade_no_;
  result.order = (await byNumber.get({ params: { mchid }, out_trade_no })).data;
  result.unknown = await client.v3.pay.transactions.id['{transaction_id}']
    .get({ params: { mchid }, transaction_id: '4200001100202401010000000001' })
    .catch(({ response: { status, data } }) => ({ status, code: data.code }));
  result.close = (await byNumber.close.post({ mchid }, { out_trade_no })).status;
  result.token = (await client.v3.marketing.partner.productCoupon.users._openid_.preSendCoupon.post({
    brand_id: '120344', product_coupon_id: '1000000013', stock_id: '1000000013001', appid: 'wx233544546545989',
    send_request_no: '34657_20250101_123456',
  }, { openid: 'oh-394z-6CGkNoJrsDLTTUKiAnp4' })).data.token;
  result.certificates = (await client.v3.certificates.get()).data.data.length;
  result.echo = (await client.v3.security.echo.post({ echo_message: '你好' })).data;
  const file = Buffer.from([...Array(256).keys()]);
  const form = new Multipart();
  form.append('meta', JSON.stringify({ filename: 'a.png', sha256: Hash.sha256(file) }));
  form.append('file', file, 'a.png');
  result.media = (await client.v3.merchant.media.upload.post(form, {
    meta: { filename: 'a.png', sha256: Hash.sha256(file) }, headers: form.getHeaders(),
  })).data;
  result.refused = await client.v3.pay.transactions.native.post({})
    .catch(({ response: { status, data } }) => ({ status, code: data.code }));
  console.log(JSON.stringify(result));
})().catch((error) => { console.error(error); process.exit(1); });
