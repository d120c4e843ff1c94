/**
 * Bundles finch/static/src into the two files that are shipped: an ES module and a classic script.
 *
 *     node build.js [FOLDER]      into FOLDER instead of finch/static
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const STATIC = fileURLToPath(new URL("../../finch/static", import.meta.url));
const { version, license } = JSON.parse(readFileSync(join(STATIC, "package.json"), "utf-8"));
const OUTPUTS = [
  { name: "finch.js", format: "esm" },
  { name: "finch.global.js", format: "iife", globalName: "Finch" },
];

const folder = process.argv[2] ?? STATIC;
for (const { name, ...output } of OUTPUTS) {
  await build({
    ...output,
    entryPoints: [join(STATIC, "src/index.js")],
    outfile: join(folder, name),
    bundle: true,
    minify: true,
    target: "es2022",
    mangleProps: /^_/, // what modules share, and applications do not see
    banner: { js: `/*! finch.js ${version} | ${license} license */` },
    legalComments: "none",
  });
}
