/**
 * Measures all peers in one run, each with each set in a process of its own, and writes BENCH.md: `node bench/run.mjs` after
 * `scripts/build.mjs`, or `cargo xtask node bench`. Peers take turns; the fastest batch counts.
 */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = join(dirname(fileURLToPath(import.meta.url)), "..");
const sizes = (process.argv[2] ?? "10,1000,10000,100000").split(",").map(Number);
const rounds = Number(process.argv[3] ?? 3);
// As installed: a folder with the packages in it.
const folder = join(here, ".bench");
rmSync(folder, { recursive: true, force: true });
mkdirSync(join(folder, "node_modules"), { recursive: true });
for (const name of readdirSync(join(here, "dist"))) symlinkSync(join(here, "dist", name), join(folder, "node_modules", name));
cpSync(join(here, "bench"), join(folder, "bench"), { recursive: true });
if (!existsSync(join(here, "dist/gatewright"))) throw new Error("build the packages first: node scripts/build.mjs");

const peers = [
  ["Maps by hand", "maps", {}], ["Maps by hand, request taken apart before", "mapsTakenApart", {}], ["find-my-way, a router for each host (paths only)", "findMyWay", {}],
  ["gatewright, native, `headers` as a record", "gatewright", {}], ["gatewright, native, `rawHeaders`", "gatewrightRaw", {}],
  ["gatewright, WebAssembly, `headers` as a record", "gatewright", { GATEWRIGHT_ENGINE: "wasm" }], ["an empty native call", "emptyCall", {}],
];
const results = peers.map(() => sizes.map(() => []));
for (let round = 0; round < rounds; round++) {
  for (const [column, size] of sizes.entries()) {
    for (const [row, [title, name, env]] of peers.entries()) {
      if (name === "emptyCall" && column > 0) continue;
      try {
        const output = execFileSync(process.execPath, ["--max-old-space-size=8192", "--preserve-symlinks", "--preserve-symlinks-main", "bench/one.mjs", name, String(size)], { cwd: folder, encoding: "utf8", env: { ...process.env, ...env } });
        const result = JSON.parse(output);
        results[row][column].push(result);
        console.log(round, size, title, Math.round(result.best), result.agree.toFixed(3));
      } catch (error) {
        console.error(round, size, title, String(error).split("\n")[0]);
      }
    }
  }
}

const fastest = (list) => Math.min(...list.map(({ best }) => best));
const cell = (list) => (list.length === 0 ? "-" : `${Math.round(fastest(list))}`);
const rows = peers.map(([title], row) => `| ${title} | ${results[row].map((list) => cell(list)).join(" | ")} |`);
const ratio = (row, column) => fastest(results[row][column]) / fastest(results[0][column]);
const goal = (size) => (size <= 10 ? 1.5 : size >= 10000 ? 0.5 : 1);
const ratios = [3, 4, 5].map((row) => `| ${peers[row][0]} | ${sizes.map((_, column) => (results[row][column].length ? ratio(row, column).toFixed(2) : "-")).join(" | ")} |`);
const agree = peers.map(([title, name], row) => (name === "emptyCall" ? "" : `${title}: ${Math.min(...results[row].flat().map((each) => each.agree)).toFixed(3)}`)).filter(Boolean);
const header = `| | ${sizes.map((size) => `${size.toLocaleString("en")} rules`).join(" | ")} |\n|---|${sizes.map(() => "---:").join("|")}|`;
writeFileSync(join(here, "BENCH.md"), `# What a decision costs in JavaScript

Nanoseconds for one decision: the fastest of 31 batches of 16,384 requests after 20 to warm up, in ${rounds} processes that take turns.
Written by \`cargo xtask node bench\`, on ${cpus()[0].model.trim()}, ${cpus().length} cores, Node.js ${process.version}, beside other programs: so the fastest batch counts,
which they have disturbed least, and what is to be compared are rows.

The sets (\`bench/routes.mjs\`): ten rules for each host, 5 % of the hosts wildcards; 88 % prefixes, 10 % exact paths, 2 % regular
expressions; 20 % of the rules look at a header field, 5 % at a query parameter. Requests have eight or nine header fields; 80 %
are for rules. A decision of Gatewright is \`table.decide({ method, url, headers })\` and its \`backend\`.

${header}
${rows.join("\n")}

Time of Gatewright as a part of that of the Maps, and what it should be at most:

${header}
${ratios.join("\n")}
| goal | ${sizes.map((size) => goal(size).toFixed(2)).join(" | ")} |

The Maps compare texts as they are: they know no canonical form of hosts and paths, refuse nothing, see header fields that
\`Connection\` names, draw no backend by weight, and have no filters. Of the answers agree with those of the Maps:
${agree.join("; ")}.
`);
