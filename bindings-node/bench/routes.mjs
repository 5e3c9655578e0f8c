/**
 * Route sets for the benchmark, from a seed: ten rules for each host, 5 % of the hosts wildcards; 88 % prefixes, 10 % exact paths,
 * 2 % regular expressions; a header field on 20 % of the rules, a query parameter on 5 %. Of the requests 80 % are for rules, all
 * rules alike, and the rest for none.
 */
const NOUNS = "orders users carts items payments invoices sessions tokens products reviews search catalog stock shipments returns coupons accounts profiles messages events metrics reports exports uploads files images tags teams projects builds".split(" ");
const VERBS = "list detail export import bulk history audit status config members settings summary preview archive health stream".split(" ");
const HEADERS = { "x-version": ["v1", "v2", "v3"], "x-canary": ["true", "always"], "x-tenant-tier": ["free", "gold", "platinum"], "x-region": ["eu-west-1", "us-east-1", "ap-south-1"] };
const QUERIES = { version: ["1", "2"], mode: ["fast", "full"], debug: ["1"] };

/** mulberry32: small, and the same everywhere. */
function randomFrom(seed) {
  let state = seed >>> 0;
  const number = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return {
    number,
    below: (n) => Math.floor(number() * n),
    of(list) { return list[this.below(list.length)]; },
    hex(digits) { return Array.from({ length: digits }, () => this.below(16).toString(16)).join(""); },
    shuffle(list) {
      for (let n = list.length - 1; n > 0; n--) {
        const other = this.below(n + 1);
        [list[n], list[other]] = [list[other], list[n]];
      }
      return list;
    },
  };
}

function pathOf(random) {
  const share = random.number();
  const version = `/api/v${1 + random.below(3)}`;
  const noun = random.of(NOUNS);
  if (share < 0.1) return `/${noun}`;
  if (share < 0.25) return random.number() < 0.4 ? version : `/${noun}/${random.of(VERBS)}`;
  if (share < 0.65) return `${version}/${noun}`;
  return `${version}/${noun}/${random.of(VERBS)}`;
}

/** `count` rules and `requests` requests. A rule is `{id, host, type, value, header, query}`. */
export function routeSet(count, requests = 16384) {
  const random = randomFrom(20260101 + count);
  const hostCount = Math.max(1, Math.floor(count / 10));
  const wild = new Set();
  while (wild.size < Math.max(Math.round(hostCount * 0.05), count >= 100 ? 1 : 0)) wild.add(random.below(hostCount));
  const hosts = Array.from({ length: hostCount }, (_, n) => (wild.has(n) ? `*.tenant-${n}.example.com` : `svc-${String(n).padStart(5, "0")}.prod.example.com`));
  const known = hosts.map(() => new Set());
  const rules = [];
  for (let id = 0; id < count; id++) {
    for (;;) {
      const share = random.number();
      const rule = { id, host: hosts[id % hostCount], type: "PathPrefix", value: "", header: undefined, query: undefined };
      if (share < 0.02) {
        rule.type = "RegularExpression";
        rule.value = `/rx/${random.of(NOUNS)}-${random.below(100)}/[0-9]+/(${random.of(VERBS)}|${random.of(VERBS)})/[a-z0-9-]+`;
      } else {
        if (share < 0.12) rule.type = "Exact";
        rule.value = pathOf(random);
      }
      if (random.number() < 0.2) rule.header = pairOf(random, HEADERS);
      if (random.number() < 0.05) rule.query = pairOf(random, QUERIES);
      const key = JSON.stringify([rule.type, rule.value, rule.header, rule.query]);
      if (known[id % hostCount].has(key)) continue;
      known[id % hostCount].add(key);
      rules.push(rule);
      break;
    }
  }
  return { rules, requests: Array.from({ length: requests }, () => requestOf(random, rules, hosts)) };
}

function pairOf(random, pairs) {
  const name = random.of(Object.keys(pairs));
  return [name, random.of(pairs[name])];
}

function requestOf(random, rules, hosts) {
  const hostOf = (host) => (host.startsWith("*") ? `u${random.below(10000)}${host.slice(1)}` : host);
  const query = random.number() < 0.15 ? [["page", String(1 + random.below(50))]] : [];
  const headers = [
    ["user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"], ["accept", "application/json"], ["accept-encoding", "gzip, br"],
    ["authorization", `Bearer ${random.hex(32)}`], ["x-request-id", random.hex(16)], ["traceparent", `00-${random.hex(32)}-${random.hex(16)}-01`],
    ["x-forwarded-for", `10.0.${random.below(256)}.${random.below(256)}`],
  ];
  if (random.number() < 0.3) headers.push(pairOf(random, HEADERS));
  let host;
  let path;
  if (random.number() < 0.8) {
    const rule = random.of(rules);
    host = hostOf(rule.host);
    path = rule.value;
    if (rule.type === "RegularExpression") {
      const [, start, verb] = /^(.*)\/\[0-9\]\+\/\((\w+)\|/.exec(path);
      path = `${start}/${1 + random.below(9999)}/${verb}/${random.hex(6)}`;
    } else if (rule.type === "PathPrefix") {
      for (let n = random.of([0, 1, 1, 2]); n > 0; n--) path += `/${random.hex(6)}`;
    }
    if (rule.header) {
      const at = headers.findIndex(([name]) => name === rule.header[0]);
      if (at >= 0) headers.splice(at, 1);
      headers.push(rule.header);
    }
    if (rule.query) query.push(rule.query);
  } else if (random.number() < 0.34) {
    host = `unknown-${random.below(100000)}.nowhere.example.org`;
    path = pathOf(random);
  } else {
    host = hostOf(random.of(hosts));
    path = random.number() < 0.5 ? `/static/${random.hex(6)}/app.js` : `${pathOf(random)}x/${random.hex(6)}`;
  }
  const search = query.map(([name, value]) => `${name}=${value}`).join("&");
  const all = [["host", host], ...headers];
  const method = random.number() < 0.8 ? "GET" : "POST";
  const url = search === "" ? path : `${path}?${search}`;
  return { method, url, headers: Object.fromEntries(all), host, path, search, rawHeaders: all.flat() };
}

/** The manifests of a set: one Gateway, and a route for each host. */
export function manifests(rules) {
  const api = "gateway.networking.k8s.io/v1";
  const byHost = new Map();
  for (const rule of rules) byHost.set(rule.host, [...(byHost.get(rule.host) ?? []), rule]);
  const gateway = { apiVersion: api, kind: "Gateway", metadata: { name: "bench" }, spec: { gatewayClassName: "any", listeners: [{ name: "http", port: 80, protocol: "HTTP" }] } };
  const routes = [...byHost].map(([host, list], n) => ({
    apiVersion: api, kind: "HTTPRoute", metadata: { name: `r${String(n).padStart(6, "0")}` },
    spec: {
      parentRefs: [{ name: "bench" }], hostnames: [host],
      rules: list.map(({ id, type, value, header, query }) => ({
        matches: [{
          path: { type, value },
          ...(header && { headers: [{ name: header[0], value: header[1] }] }),
          ...(query && { queryParams: [{ name: query[0], value: query[1] }] }),
        }],
        backendRefs: [{ name: `b${id}`, port: 80 }],
      })),
    },
  }));
  return [gateway, ...routes];
}
