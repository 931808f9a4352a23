// The contender of Node.js: wechatpay-axios-plugin. Arguments: the server's URL, and the folder of keys.
const { readFileSync } = require('node:fs');
const { createInterface } = require('node:readline');
const { performance } = require('node:perf_hooks');
const { Wechatpay } = require('wechatpay-axios-plugin');

const [baseURL, folder] = process.argv.slice(2);
const { mchid, serial, private_key: privateKey, certs } = JSON.parse(readFileSync(`${folder}/merchant.json`));
const order = JSON.parse(readFileSync(`${folder}/order.json`));
const client = new Wechatpay({ baseURL, mchid, serial, privateKey, certs, proxy: false });

async function beat(waits, state) {
  while (state.beating) {
    const began = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 1));
    waits.push((performance.now() - began - 1) / 1000);
  }
}

async function round(calls, concurrency) {
  const waits = [];
  const state = { left: calls, beating: true };
  const work = async () => {
    while (state.left-- > 0) {
      await client.v3.pay.transactions.native.post(order);
    }
  };
  const beating = beat(waits, state);
  const began = performance.now();
  const before = process.cpuUsage();
  await Promise.all(Array.from({ length: concurrency }, work));
  const seconds = (performance.now() - began) / 1000;
  const used = process.cpuUsage(before);
  state.beating = false;
  await beating;
  console.log(JSON.stringify([seconds, (used.user + used.system) / 1e6, waits.sort((a, b) => a - b)]));
}

(async () => {
  for await (const line of createInterface({ input: process.stdin })) {
    await round(...line.split(' ').map(Number));
  }
})();
