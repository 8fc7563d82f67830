/**
 * Which files of a folder make up the app: what git would commit, where it is a git repository, with the
 * content they have now; else everything less `.ninesignore` and `.gitignore`.
 */
import { type Dirent, lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import { NinesError, systemCode } from "../std/errors.ts";
import { isIgnored, parseIgnore, type Rule } from "./ignore.ts";

/** More files than this are refused; the server has the same limit. */
export const filesMax = 200_000;
/** Left out wherever they lie: made again by the build, or of no use to it. */
const neverSent = new Set([".git", "node_modules", ".venv"]);

export interface Tree {
  readonly root: string;
  /** Paths of files and symlinks below the root, sorted by bytes. */
  readonly files: readonly string[];
  /** The commit it stands on, shortened; undefined outside a git repository. */
  readonly commit: string | undefined;
  /** Things that the user should know. */
  readonly warnings: readonly string[];
}

/** Throws `invalid` when the folder is not an app that can be sent. */
export function readTree(folder: string): Tree {
  const root = resolve(folder);
  checkFolder(folder, root);
  const { files, commit, warnings } = listByGit(root) ?? { ...listByWalk(root), commit: undefined };
  if (files.length > filesMax) {
    throw new NinesError("invalid", `${folder} has more than ${filesMax} files`, {
      hint: "leave out what the app does not need, with a .ninesignore file",
    });
  }
  for (const file of files) checkLink(root, file);
  checkProcfile(root, files);
  return { root, files, commit, warnings };
}

function checkFolder(given: string, root: string): void {
  try {
    if (statSync(root).isDirectory()) return;
  } catch (cause) {
    const why = systemCode(cause) === "ENOENT" ? "there is no such folder" : (cause as Error).message;
    throw new NinesError("invalid", `${given}: ${why}`, { cause, hint: "nines deploy [DIR] -a APP" });
  }
  throw new NinesError("invalid", `${given} is not a folder`, { hint: "name the folder with the Procfile" });
}

function listByGit(root: string): Omit<Tree, "root"> | undefined {
  const git = (...args: string[]) =>
    Bun.spawnSync(["git", "-C", root, ...args], { stderr: "pipe", stdin: "ignore" });
  const found = (() => {
    try {
      return git("ls-files", "-z", "--cached", "--others", "--exclude-standard");
    } catch {
      return undefined; // No git on this machine.
    }
  })();
  if (found === undefined) return undefined;
  if (!found.success) {
    const said = found.stderr.toString();
    if (!said.includes("dubious ownership")) return undefined;
    const { files, warnings } = listByWalk(root);
    const warning = "git does not trust this folder's owner; files are taken as if it were no repository";
    return { files, commit: undefined, warnings: [warning, ...warnings] };
  }
  const submodules = git("ls-files", "-z", "--stage")
    .stdout.toString()
    .split("\0")
    .filter((line) => line.startsWith("160000 "))
    .map((line) => line.slice(line.indexOf("\t") + 1));
  const listed = new Set(found.stdout.toString().split("\0").filter(Boolean));
  // Untracked repositories inside are listed as folders, `name/`.
  const inner = [...listed].filter((path) => path.endsWith("/")).map((path) => path.slice(0, -1));
  const files = [...listed].filter((path) => isSent(path) && isFile(join(root, path)));
  // An app in a folder that the repository around it ignores.
  if (files.length === 0) return undefined;
  const commit = git("rev-parse", "--short=7", "HEAD");
  const left = [...submodules, ...inner].toSorted();
  return {
    files: files.toSorted(byBytes),
    commit: commit.success ? commit.stdout.toString().trim() : undefined,
    warnings: left.map((path) => `the submodule ${path} is not sent`),
  };
}

function listByWalk(root: string): { files: readonly string[]; warnings: readonly string[] } {
  const files: string[] = [];
  const walk = (folder: string, above: readonly Rule[]): void => {
    const own = folder === "" ? [".gitignore", ".ninesignore"] : [".gitignore"];
    const rules = [
      ...above,
      ...own.flatMap((name) => parseIgnore(readText(join(root, folder, name)), folder)),
    ];
    for (const entry of readFolder(join(root, folder))) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (neverSent.has(entry.name) || isIgnored(path, entry.isDirectory(), rules)) continue;
      if (entry.isDirectory()) walk(path, rules);
      else if (entry.isFile() || entry.isSymbolicLink()) files.push(path);
      if (files.length > filesMax) return;
    }
  };
  walk("", []);
  return { files: files.toSorted(byBytes), warnings: [] };
}

/** A link out of the tree would be broken on arrival, or lead to a stranger's file. */
function checkLink(root: string, file: string): void {
  const path = join(root, file);
  if (!lstatSync(path).isSymbolicLink()) return;
  const target = readlinkSync(path);
  const lands = relative(root, resolve(dirname(path), target));
  if (!isAbsolute(target) && lands !== ".." && !lands.startsWith("../")) return;
  throw new NinesError("invalid", `the symlink ${file} leads out of the folder, to ${target}`, {
    hint: "replace it by a file, or leave it out with a .ninesignore line",
  });
}

/** The server reads it in full; the two commonest mistakes need no upload. */
function checkProcfile(root: string, files: readonly string[]): void {
  const example = "write one process a line, as in: web: node server.js";
  if (!files.includes("Procfile")) {
    const other = files.find((file) => file.toLowerCase() === "procfile");
    if (other !== undefined) {
      throw new NinesError("invalid", `the Procfile is called ${other}`, { hint: "rename it to Procfile" });
    }
    const ignored = lstatSync(join(root, "Procfile"), { throwIfNoEntry: false }) !== undefined;
    throw new NinesError(
      "invalid",
      ignored
        ? `${root} has a Procfile, but it is left out by an ignore file`
        : `${root} has no Procfile, which says what to run`,
      { hint: ignored ? "take it out of .gitignore or .ninesignore" : example },
    );
  }
  if (
    readText(join(root, "Procfile"))
      .replace(/^\uFEFF/, "")
      .trim() === ""
  ) {
    throw new NinesError("invalid", `the Procfile in ${root} is empty`, { hint: example });
  }
}

const isSent = (path: string): boolean => !path.split("/").some((part) => neverSent.has(part));

function isFile(path: string): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat?.isFile() === true || stat?.isSymbolicLink() === true;
}

function readFolder(path: string): readonly Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (cause) {
    throw new NinesError("invalid", `${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** By UTF-8 bytes, so that the order does not depend on a locale. */
const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
