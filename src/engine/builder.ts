/**
 * `bun builder.ts SPEC`: unpacks an upload and builds it, in a process of its own. It opens the archive as
 * whoever started it and then becomes the app's user for good, before it reads the first byte of it.
 */
import { spawnSync } from "node:child_process";
import { createReadStream, existsSync, openSync, readFileSync } from "node:fs";
import { getPriority, setPriority } from "node:os";
import { join } from "node:path";
import { NinesError, systemCode, toError } from "../std/errors.ts";
import { unpack } from "./archive.ts";
import type { Owner } from "./owner.ts";

export interface BuildSpec {
  readonly archive: string;
  /** Exists, is empty, and belongs to the owner. */
  readonly folder: string;
  readonly owner?: Owner;
  /** The `build:` line of nines.yaml; empty when there is none. */
  readonly command: string;
}

const installs = [
  {
    files: ["package-lock.json", "npm-shrinkwrap.json"],
    command: "npm ci --omit=dev --no-audit --no-fund --no-update-notifier",
  },
  {
    files: ["requirements.txt"],
    command:
      "python3 -m venv .venv && .venv/bin/pip install --disable-pip-version-check --quiet -r requirements.txt",
  },
];

/** What is run for a tree that says nothing itself. */
export function chooseCommands(command: string, has: (file: string) => boolean): readonly string[] {
  if (command !== "") return [command];
  return installs.filter(({ files }) => files.some(has)).map((install) => install.command);
}

async function build(spec: BuildSpec): Promise<number> {
  const archive = openArchive(spec.archive);
  if (spec.owner !== undefined) {
    process.setgroups?.([spec.owner.gid]);
    process.setgid?.(spec.owner.gid);
    process.setuid?.(spec.owner.uid);
  }
  // Serving goes before building. An ordinary user may not raise what is lower already.
  setPriority(Math.max(10, getPriority()));
  const { files, bytes } = await unpack(createReadStream("", { fd: archive }), spec.folder);
  console.log(`-----> Unpacked ${files} files, ${Math.ceil(bytes / 1024)} KiB`);
  for (const command of chooseCommands(spec.command, (file) => existsSync(join(spec.folder, file)))) {
    console.log(`-----> ${command}`);
    const { status, signal, error } = spawnSync("/bin/sh", ["-c", command], {
      cwd: spec.folder,
      stdio: "inherit",
    });
    if (error !== undefined) throw error;
    if (status !== 0) {
      console.log(` !     The build command ${signal ? `was ended by ${signal}` : `exited with ${status}`}`);
      return status ?? 1;
    }
  }
  console.log("-----> Built");
  return 0;
}

function openArchive(path: string): number {
  try {
    return openSync(path, "r");
  } catch (cause) {
    if (systemCode(cause) !== "ENOENT") throw cause;
    throw new NinesError("not_found", "the uploaded archive is gone", { cause, hint: "deploy again" });
  }
}

if (import.meta.main) {
  try {
    process.exitCode = await build(JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as BuildSpec);
  } catch (error) {
    console.log(` !     ${toError(error).message}`);
    process.exitCode = 1;
  }
}
