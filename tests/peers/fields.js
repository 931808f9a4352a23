// Signs fields, writes them as XML and reads XML, as wechatpay-axios-plugin does. Input: JSON, [{fields, key, xml}].
const { readFileSync } = require('node:fs');
const { Formatter, Hash, Transformer } = require('wechatpay-axios-plugin');

const cases = JSON.parse(readFileSync(0));
console.log(JSON.stringify(cases.map(({ fields, key, xml }) => ({
  md5: Hash.sign('MD5', fields, key),
  hmac: Hash.sign('HMAC-SHA256', fields, key),
  workwx: Hash.md5(Formatter.queryStringLike(Formatter.ksort(fields)), key, true).toUpperCase(),
  xml: Transformer.toXml(fields),
  read: Transformer.toObject(xml),
}))));
