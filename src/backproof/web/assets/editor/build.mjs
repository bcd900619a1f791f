// Bundles main.mjs into one file and collects the licences of what went into it.
// Usage: node build.mjs OUT_FOLDER   (in a folder with node_modules; see ../BUILD.md)

import { build } from "esbuild";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const out = process.argv[2];
const result = await build({
  entryPoints: ["main.mjs"], bundle: true, format: "esm", minify: true, charset: "utf8", target: "es2022",
  legalComments: "none", outfile: join(out, "editor.js"), metafile: true,
  banner: { js: "/* CodeMirror 6 and what it needs, MIT licence: see editor.LICENSE.txt. Built by BUILD.md. */" },
});
const packages = new Set();
for (const input of Object.keys(result.metafile.inputs)) {
  const found = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
  if (found) packages.add(found[1]);
}
const texts = [...packages].sort().map((name) => {
  const folder = join("node_modules", name);
  const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = ["LICENSE", "LICENSE.md", "LICENSE.txt"].map((f) => join(folder, f)).find(existsSync);
  if (!file) throw new Error(`${name} has no licence file`);
  return `${name} ${about.version} (${about.license})\n\n${readFileSync(file, "utf8").trim()}\n`;
});
writeFileSync(join(out, "editor.LICENSE.txt"),
  `editor.js contains these packages, each under the licence below its name.\n\n${texts.join(`\n${"-".repeat(80)}\n\n`)}`);
console.log(`${packages.size} packages in editor.js`);
