/**
 * `bun scripts/pack-sdk.ts [FOLDER]`: packs src/sdk as `nines-sdk-VERSION.tgz`: one file of plain JavaScript, and
 * its types, for Node 20 and newer and Bun; no dependencies. Prints where it is.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";

export async function packSdk(to: string): Promise<string> {
  const root = join(import.meta.dir, "..");
  const work = mkdtempSync(join(tmpdir(), "nines-sdk-"));
  try {
    const built = await Bun.build({
      entrypoints: [join(root, "src/sdk/sdk.ts")],
      target: "node",
      format: "esm",
      naming: "index.js",
      plugins: [oneDriver],
      outdir: join(work, "package"),
    });
    if (!built.success) throw new AggregateError(built.logs, "the bundle failed");
    const bundle = join(work, "package/index.js");
    writeFileSync(bundle, toNode20(readFileSync(bundle, "utf8")));
    const types = spawnSync(
      join(root, "node_modules/.bin/tsc"),
      [
        "--declaration",
        "--emitDeclarationOnly",
        "--noEmit",
        "false",
        "--noCheck",
        "--outDir",
        join(work, "types"),
      ],
      { cwd: root, encoding: "utf8" },
    );
    if (types.status !== 0) throw new Error(`tsc: ${types.stdout}`);
    copyTypes(join(work, "types/src"), "sdk/sdk.d.ts", join(work, "package/types"));
    const { version, license } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const manifest = {
      name: "nines-sdk",
      version,
      description: "What an app of a Nines platform imports.",
      license,
      type: "module",
      exports: { ".": { types: "./types/sdk/sdk.d.ts", default: "./index.js" } },
      engines: { node: ">=20" },
    };
    writeFileSync(join(work, "package/package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
    cpSync(join(root, "LICENSE"), join(work, "package/LICENSE"));
    mkdirSync(to, { recursive: true });
    const archive = resolve(to, `nines-sdk-${version}.tgz`);
    const packed = spawnSync("tar", ["-czf", archive, "-C", work, "package"], { encoding: "utf8" });
    if (packed.status !== 0) throw new Error(`tar: ${packed.stderr}`);
    return archive;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** What Node 20 has not, in the bundle's own scope: a library changes no globals. */
function toNode20(bundle: string): string {
  if (/\b(AsyncDisposableStack|DisposableStack|Promise\.try|Array\.fromAsync)\b/.test(bundle)) {
    throw new Error("the bundle uses what Node 20 has not");
  }
  const own = `function withResolvers() {
  let resolve, reject;
  const promise = new Promise((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
}
`;
  return own + bundle.replaceAll("Promise.withResolvers(", "withResolvers(");
}

/** A file of types and those that it names, with the names that JavaScript has for them. */
function copyTypes(from: string, file: string, to: string, done: Set<string> = new Set()): void {
  if (done.has(file)) return;
  done.add(file);
  const text = readFileSync(join(from, file), "utf8").replace(/("\.[^"]+)\.ts"/g, '$1.js"');
  mkdirSync(dirname(join(to, file)), { recursive: true });
  writeFileSync(join(to, file), text);
  for (const [, name = ""] of text.matchAll(/(?:from |import\()"([^"]+)"/g)) {
    if (!name.startsWith(".")) throw new Error(`${file} needs the types of ${name}`);
    const next = relative(from, join(from, dirname(file), name.replace(/\.js$/, ".d.ts")));
    copyTypes(from, next, to, done);
  }
}

/** Apps speak to the embedded brokers; the other driver is the platform's, and would be a dependency. */
export const oneDriver: Bun.BunPlugin = { name: "one-driver", setup: leaveOutNats };

function leaveOutNats(build: Bun.PluginBuilder): void {
  build.onLoad({ filter: /\/bus\/nats-line\.ts$/ }, () => ({
    contents: 'throw new Error("the SDK does not speak NATS");',
    loader: "js",
  }));
}

if (import.meta.main) console.log(await packSdk(process.argv[2] ?? "."));
