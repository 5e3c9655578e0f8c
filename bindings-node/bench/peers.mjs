/** What is measured: each peer is made of a route set, and gives a function from a request to the number of its rule, or -1. */
import FindMyWay from "find-my-way";
import { manifests } from "./routes.mjs";

/** Rules of one path, the one with more conditions first. */
const order = (a, b) => Number(!!b.header) - Number(!!a.header) || Number(!!b.query) - Number(!!a.query) || a.id - b.id;

function table(rules) {
  const hosts = new Map();
  for (const rule of rules) {
    let at = hosts.get(rule.host);
    if (at === undefined) hosts.set(rule.host, (at = { exact: new Map(), prefix: new Map(), regex: [] }));
    if (rule.type === "RegularExpression") at.regex.push({ ...rule, pattern: new RegExp(`^(?:${rule.value})$`) });
    else {
      const map = rule.type === "Exact" ? at.exact : at.prefix;
      if (!map.has(rule.value)) map.set(rule.value, []);
      map.get(rule.value).push(rule);
    }
  }
  for (const at of hosts.values()) {
    for (const map of [at.exact, at.prefix]) for (const list of map.values()) list.sort(order);
    at.regex.sort((a, b) => b.value.length - a.value.length || order(a, b));
  }
  return hosts;
}

function parameter(search, name) {
  for (const piece of search.split("&")) {
    const at = piece.indexOf("=");
    if ((at < 0 ? piece : piece.slice(0, at)) === name) return at < 0 ? "" : piece.slice(at + 1);
  }
  return undefined;
}

function first(list, headers, search) {
  for (let n = 0; n < list.length; n++) {
    const rule = list[n];
    if (rule.header !== undefined && headers[rule.header[0]] !== rule.header[1]) continue;
    if (rule.query !== undefined && parameter(search, rule.query[0]) !== rule.query[1]) continue;
    return rule.id;
  }
  return -1;
}

function find(hosts, host, path, search, headers) {
  let at = hosts.get(host);
  for (let dot = host.indexOf("."); at === undefined && dot >= 0; dot = host.indexOf(".", dot + 1)) at = hosts.get("*" + host.slice(dot));
  if (at === undefined) return -1;
  const exact = at.exact.get(path);
  if (exact !== undefined) {
    const id = first(exact, headers, search);
    if (id >= 0) return id;
  }
  for (let n = 0; n < at.regex.length; n++) {
    if (!at.regex[n].pattern.test(path)) continue;
    const id = first([at.regex[n]], headers, search);
    if (id >= 0) return id;
  }
  for (let end = path.length; end > 0; end = path.lastIndexOf("/", end - 1)) {
    const list = at.prefix.get(end === path.length ? path : path.slice(0, end));
    if (list === undefined) continue;
    const id = first(list, headers, search);
    if (id >= 0) return id;
  }
  return -1;
}

/** Maps by host and path, as one writes them by hand: exact texts, no canonical form, no refusals. */
export function maps({ rules }) {
  const hosts = table(rules);
  return ({ url, headers }) => {
    const at = url.indexOf("?");
    return at < 0 ? find(hosts, headers.host, url, "", headers) : find(hosts, headers.host, url.slice(0, at), url.slice(at + 1), headers);
  };
}

/** The same, when somebody else has taken the request apart already. */
export function mapsTakenApart({ rules }) {
  const hosts = table(rules);
  return ({ host, path, search, headers }) => find(hosts, host, path, search, headers);
}

/** A router for each host; it knows paths only, and no regular expressions over segments. */
export function findMyWay({ rules }) {
  const hosts = new Map();
  for (const rule of rules) {
    if (rule.type === "RegularExpression") continue;
    let router = hosts.get(rule.host);
    if (router === undefined) hosts.set(rule.host, (router = FindMyWay()));
    const add = (path) => {
      if (!router.hasRoute("GET", path)) for (const method of ["GET", "POST"]) router.on(method, path, () => {}, rule.id);
    };
    add(rule.value);
    if (rule.type === "PathPrefix") add(`${rule.value}/*`);
  }
  return ({ method, url, headers }) => {
    const { host } = headers;
    let router = hosts.get(host);
    for (let dot = host.indexOf("."); router === undefined && dot >= 0; dot = host.indexOf(".", dot + 1)) router = hosts.get("*" + host.slice(dot));
    const at = url.indexOf("?");
    const found = router?.find(method, at < 0 ? url : url.slice(0, at));
    return found ? found.store : -1;
  };
}

const idOf = new WeakMap();

/** The number of a rule in the name of its backend, read once for each. */
function ruleOf(backend) {
  let id = idOf.get(backend);
  if (id === undefined) idOf.set(backend, (id = Number(backend.name.slice(1))));
  return id;
}

/** `table.decide(request)`, and the backend of the decision. */
export async function gatewright({ rules }) {
  const { compile } = await import("gatewright");
  const compiled = compile(manifests(rules), { missingServices: "assume" });
  const decide = (request) => {
    const decision = compiled.decide(request);
    return decision.kind === "forward" ? decision.backend : undefined;
  };
  decide.toRule = (backend) => (backend === undefined ? -1 : ruleOf(backend));
  return decide;
}

/** The same with names and values in turn, as a server has them. */
export async function gatewrightRaw(set) {
  const decide = await gatewright(set);
  const raw = new Map(set.requests.map((request) => [request, { method: request.method, url: request.url, headers: { rawHeaders: request.rawHeaders } }]));
  const inner = (request) => decide(request);
  inner.toRule = decide.toRule;
  inner.requests = set.requests.map((request) => raw.get(request));
  return inner;
}

/** A call into native code that does nothing. */
export async function emptyCall() {
  const { createRequire } = await import("node:module");
  const { nothing } = createRequire(import.meta.url)("gatewright-linux-x64-gnu");
  const call = () => nothing();
  call.toRule = () => undefined;
  return call;
}
