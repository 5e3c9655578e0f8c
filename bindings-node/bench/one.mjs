/** Measures one peer on one set: `node one.mjs PEER RULES`. Prints nanoseconds for each batch, and how many answers agree. */
import * as peers from "./peers.mjs";
import { routeSet } from "./routes.mjs";

const [name, count] = process.argv.slice(2);
const set = routeSet(Number(count));
const ask = await peers[name](set);
const requests = ask.requests ?? set.requests;
const reference = peers.mapsTakenApart(set);
const toRule = ask.toRule ?? ((rule) => rule);
let agree = 0;
for (let n = 0; n < requests.length; n++) if (toRule(ask(requests[n])) === reference(set.requests[n])) agree++;

let sink = 0;
function batch() {
  const start = process.hrtime.bigint();
  for (let n = 0; n < requests.length; n++) if (ask(requests[n]) === -1) sink++;
  return Number(process.hrtime.bigint() - start) / requests.length;
}
for (let n = 0; n < 20; n++) batch();
const times = Array.from({ length: 31 }, batch).sort((a, b) => a - b);
console.log(JSON.stringify({ name, rules: Number(count), median: times[15], best: times[0], agree: agree / requests.length, sink: sink > 0 }));
