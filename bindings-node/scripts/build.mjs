/**
 * Builds the packages into `dist/`: `dist/gatewright`, and one with the native library for the platform this runs on (or the
 * one that `--platform` names, whose library is given by `--library`). `--skip-rust` takes what cargo has built before.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";

const here = join(dirname(fileURLToPath(import.meta.url)), "..");
const root = join(here, "..");
const { values } = parseArgs({ options: { "skip-rust": { type: "boolean" }, profile: { type: "string", default: "dist" }, platform: { type: "string" }, library: { type: "string" } } });
const [source, platforms] = ["package", "platforms"].map((name) => JSON.parse(readFileSync(join(here, `npm/${name}.json`), "utf8")));
const WASM = "wasm32-unknown-unknown";
const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
const main = join(here, "dist/gatewright");

if (!values["skip-rust"]) {
  for (const also of [[], ["--target", WASM]]) {
    const strip = ["--config", `profile.${values.profile}.strip=true`];
    execFileSync("cargo", ["build", "-p", "gatewright-node", "--profile", values.profile, ...strip, ...also], { cwd: root, stdio: "inherit" });
  }
}
rmSync(join(here, "dist"), { recursive: true, force: true });
mkdirSync(main, { recursive: true });
await scripts();
types();
copyFileSync(join(target, WASM, values.profile, "gatewright_node.wasm"), join(main, "gatewright.wasm"));
packages();

async function scripts() {
  const define = { VERSION: JSON.stringify(source.version) };
  const common = { bundle: true, target: "es2022", define, legalComments: "none", absWorkingDir: here };
  const entry = (name) => [join(here, `js/${name}.ts`)];
  // One copy in a process, whoever imports or requires it: classes would not be those of the other one.
  await build({ ...common, entryPoints: entry("index"), format: "cjs", platform: "node", outfile: join(main, "index.cjs") });
  const { metafile } = await build({ ...common, entryPoints: entry("index"), format: "esm", platform: "node", write: false, metafile: true });
  const names = Object.values(metafile.outputs)[0].exports.sort();
  writeFileSync(join(main, "index.js"), `import api from "./index.cjs";\nexport const { ${names.join(", ")} } = api;\n`);
  for (const name of ["browser", "workerd"]) {
    await build({ ...common, entryPoints: entry(name), format: "esm", platform: "neutral", external: ["./gatewright.wasm"], outfile: join(main, `${name}.js`) });
  }
  for (const name of ["node", "fetch", "middleware"]) {
    for (const [format, end] of [["esm", "js"], ["cjs", "cjs"]]) {
      await build({ ...common, entryPoints: entry(name), format, platform: name === "fetch" ? "neutral" : "node", external: ["undici"], outfile: join(main, `${name}.${end}`) });
    }
  }
}

/** Declarations for modules, and the same ones for CommonJS. */
function types() {
  execFileSync(process.execPath, [join(here, "node_modules/typescript/bin/tsc"), "--outDir", main], { cwd: here, stdio: "inherit" });
  for (const file of readdirSync(main).filter((file) => file.endsWith(".d.ts"))) {
    if (/^(browser|workerd)/.test(file)) continue;
    const text = readFileSync(join(main, file), "utf8");
    writeFileSync(join(main, file.replace(/\.d\.ts$/, ".d.cts")), text.replaceAll(/(from|import\()(\s*)"(\.\/[^"]+)\.js"/g, '$1$2"$3.cjs"'));
  }
}

function packages() {
  const published = { ...source };
  const shared = { version: source.version, license: source.license, repository: source.repository, engines: source.engines };
  published.files = ["*.js", "*.cjs", "*.d.ts", "*.d.cts", "*.wasm", "LICENSE-*"];
  published.optionalDependencies = Object.fromEntries(Object.keys(platforms).map((name) => [`gatewright-${name}`, source.version]));
  writeFileSync(join(main, "package.json"), JSON.stringify(published, null, 2) + "\n");
  cpSync(join(here, "README.md"), join(main, "README.md"));
  for (const name of ["LICENSE-MIT", "LICENSE-APACHE"]) cpSync(join(root, name), join(main, name));

  const platform = values.platform ?? Object.keys(platforms).find((name) => fits(platforms[name]));
  if (platform === undefined) return console.warn("no package for this platform: only WebAssembly");
  const { os, cpu, libc } = platforms[platform];
  const folder = join(here, "dist", `gatewright-${platform}`);
  const file = `gatewright.${platform}.node`;
  mkdirSync(folder);
  const built = { linux: "libgatewright_node.so", darwin: "libgatewright_node.dylib", win32: "gatewright_node.dll" }[os];
  copyFileSync(values.library ?? join(target, values.profile, built), join(folder, file));
  const described = { name: `gatewright-${platform}`, ...shared, description: `The native library of gatewright for ${platform}`, os: [os], cpu: [cpu], ...(libc && { libc: [libc] }), main: file, files: [file] };
  writeFileSync(join(folder, "package.json"), JSON.stringify(described, null, 2) + "\n");
  writeFileSync(join(folder, "README.md"), `# gatewright-${platform}\n\nThe native library of the package \`gatewright\` for ${platform}.\n`);
}

function fits({ os, cpu, libc }) {
  const found = process.report.getReport().header.glibcVersionRuntime ? "glibc" : "musl";
  return os === process.platform && cpu === process.arch && (libc === undefined || libc === found);
}
