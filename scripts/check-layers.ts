/**
 * Holds every import to the layer table below: only along the table, and from outside a folder only its
 * door (the file named after the folder). All of `std`, `os` and `wire` are doors.
 */

import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { Glob } from "bun";

const ground = ["std", "wire"];
const engines = [
  "supervisor",
  "mesh",
  "bus",
  "buffer",
  "deploy",
  "flags",
  "flow",
  "metrics",
  "degrade",
  "registry",
];

/** folder → folders it may import. `type:` means by `import type` only, `lazy:` by `await import()` only. */
const table: Record<string, readonly string[]> = {
  std: [],
  os: ["std"],
  wire: ["std"],
  ...Object.fromEntries(engines.map((engine) => [engine, [...ground, "os"]])),
  engine: [...ground, "os", "supervisor"],
  store: [...ground, ...engines.map((engine) => `type:${engine}`)],
  api: ground,
  platform: [...ground, "os", ...engines, "engine", "store", "api"],
  drill: [...ground, "os", "bus", "sdk"],
  sdk: [...ground, "buffer", "bus", "degrade", "flags", "flow", "metrics", "registry"],
  cli: [...ground, "os", "lazy:platform", "lazy:drill"],
};
const doorless = new Set(["std", "os", "wire"]);
/** Second doors: what few processes need, and all others should not load. */
const sideDoors = new Set(["metrics/asserts.ts"]);
const importing =
  /^\s*(?:import|export)\s+(type\s)?[^;]*?from\s+"(\.[^"]+)"|import\("(\.[^"]+)"\)|^\s*import\s+"(\.[^"]+)"/gm;

const problems: string[] = [];
for (const file of new Glob("src/**/*.ts").scanSync(".")) {
  const [, folder = ""] = file.split("/");
  const allowed = table[folder];
  if (allowed === undefined) {
    problems.push(`${file}: the folder src/${folder} is not in the layer table of scripts/check-layers.ts`);
    continue;
  }
  const test = file.endsWith(".test.ts");
  for (const match of readFileSync(file, "utf8").matchAll(importing)) {
    const path = relative(".", join(dirname(file), match[2] ?? match[3] ?? match[4] ?? ""));
    const [root, target = "", ...rest] = path.split("/");
    if (root !== "src" || target === folder) continue;
    const how = match[3] ? "lazy" : match[1] ? "type" : "value";
    const may =
      allowed.includes(target) || allowed.includes(`${how}:${target}`) || (test && target === "std");
    if (!may) problems.push(`${file}: ${folder} may not import ${target} (${path})`);
    else if (
      !doorless.has(target) &&
      rest.join("/") !== `${target}.ts` &&
      how !== "lazy" &&
      !sideDoors.has(`${target}/${rest.join("/")}`)
    ) {
      problems.push(`${file}: ${path} is not a door; import src/${target}/${target}.ts`);
    }
  }
}
for (const problem of problems) console.error(problem);
process.exit(problems.length === 0 ? 0 : 1);
