/**
 * Packs what `build.mjs` has built, installs the tarballs into fresh folders as users do, and runs the tests there: with the
 * native library, and without (`--omit=optional`), which falls to WebAssembly. Then the documents, types and lints of the
 * packages. `--answers FILE` compares every answer with those of Rust.
 */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = join(dirname(fileURLToPath(import.meta.url)), "..");
const { values, positionals } = parseArgs({ options: { answers: { type: "string" }, only: { type: "string" } }, allowPositionals: true });
const fresh = join(here, ".fresh");
const modules = join(here, "node_modules");
const run = (program, args, options = {}) => {
  console.log(`$ ${program} ${args.join(" ")}`);
  execFileSync(program, args, { stdio: "inherit", ...options });
};

rmSync(fresh, { recursive: true, force: true });
mkdirSync(fresh);
const tarballs = readdirSync(join(here, "dist")).sort().map((name) => {
  const output = execFileSync("npm", ["pack", "--json", "--pack-destination", fresh], { cwd: join(here, "dist", name), encoding: "utf8" });
  const packed = JSON.parse(output);
  return join(fresh, (Array.isArray(packed) ? packed[0] : Object.values(packed)[0]).filename);
});
const [main, platform] = [tarballs.find((file) => /gatewright-\d/.test(file)), tarballs.find((file) => !/gatewright-\d/.test(file))];

/** A folder in which the packages are installed. */
function installed(name, packages, ...flags) {
  const folder = join(fresh, name);
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name, private: true, type: "module" }));
  run("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", ...flags, ...packages], { cwd: folder });
  cpSync(join(here, "test"), join(folder, "test"), { recursive: true });
  return folder;
}

const engines = { native: installed("native", [main, platform]), wasm: installed("wasm", [main], "--omit=optional") };
if (existsSync(join(engines.wasm, "node_modules/gatewright-linux-x64-gnu"))) throw new Error("the native package was installed all the same");

for (const [engine, folder] of Object.entries(engines)) {
  const files = readdirSync(join(folder, "test")).filter((file) => file.endsWith(".test.mjs") && (values.only === undefined || file.includes(values.only))).map((file) => join("test", file));
  const env = { ...process.env, GATEWRIGHT_EXPECT: engine, GATEWRIGHT_README: join(here, "README.md") };
  if (values.answers) Object.assign(env, { GATEWRIGHT_ANSWERS: resolve(values.answers), GATEWRIGHT_COUNTS: join(here, "../conformance/node.yaml") });
  run(process.execPath, ["--test", "--expose-gc", "--test-reporter=dot", ...positionals, ...files], { cwd: folder, env });
}
if (values.only !== undefined) process.exit(0);

run(process.execPath, [join(modules, "publint/src/cli.js"), "--strict", join(here, "dist/gatewright")]);
run(process.execPath, [join(modules, "@arethetypeswrong/cli/dist/index.js"), main, "--exclude-entrypoints", "gatewright.wasm"]);
cpSync(join(here, "examples"), join(engines.native, "examples"), { recursive: true });
run(process.execPath, [join(modules, "typescript/bin/tsc"), "-p", "examples"], { cwd: engines.native });

const versions = [JSON.parse(readFileSync(join(here, "npm/package.json"), "utf8")).version, /\[workspace\.package\]\nversion = "(.*)"/.exec(readFileSync(join(here, "../Cargo.toml"), "utf8"))[1]];
if (versions[0] !== versions[1]) throw new Error(`npm/package.json has version ${versions[0]}, and the workspace ${versions[1]}`);
console.log("all is well");
