/**
 * A tree as one gzipped tar: the same files give the same bytes, whoever packs them, when and where. So its
 * sha256 is its name, and what the server has need not be sent again.
 */
import { createHash } from "node:crypto";
import { createWriteStream, lstatSync, mkdtempSync, readdirSync, rmSync, type Stats } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { create } from "tar";
import { identify } from "../os/proc.ts";
import { NinesError, systemCode, toError } from "../std/errors.ts";
import { toBytes } from "./progress.ts";
import type { Tree } from "./tree.ts";

/** The server takes no more. */
export const archiveBytesMax = 2 ** 30;
export const contentBytesMax = 4 * 2 ** 30;
/** Of the folder of an archive; its process follows. */
const prefix = "nines-deploy-";
/** Not 1970: zip files, and so Python wheels, know nothing before 1980. */
const modifiedAt = new Date("2000-01-01T00:00:00Z");

export interface Archive extends Disposable {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Packs into a temporary file, which goes away with the archive. `onFile` counts. */
export async function packTree(tree: Tree, onFile: (count: number) => void = () => {}): Promise<Archive> {
  sweep();
  const folder = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`));
  const dispose = () => rmSync(folder, { recursive: true, force: true });
  try {
    const path = join(folder, "archive.tgz");
    const hash = createHash("sha256");
    let bytes = 0;
    const measure = new Transform({
      transform(chunk: Buffer, _, done) {
        bytes += chunk.length;
        hash.update(chunk);
        done(
          bytes > archiveBytesMax ? tooLarge(`more than ${toBytes(archiveBytesMax)}, packed`) : null,
          chunk,
        );
      },
    });
    const stats = new Map(tree.files.map((file) => [join(tree.root, file), toPlain(tree, file)]));
    const content = [...stats.values()].reduce((sum, stat) => sum + stat.size, 0);
    if (content > contentBytesMax)
      throw tooLarge(`${toBytes(content)}, where ${toBytes(contentBytesMax)} is the most`);
    let count = 0;
    const pack = create(
      {
        cwd: tree.root,
        gzip: { level: 6 },
        portable: true,
        mtime: modifiedAt,
        noDirRecurse: true,
        preservePaths: false,
        strict: true,
        statCache: stats,
        onWriteEntry: () => onFile(++count),
      },
      // To tar, @name means an archive to include.
      tree.files.map((file) => (file.startsWith("@") ? `./${file}` : file)),
    );
    await pipeline(
      pack as unknown as NodeJS.ReadableStream,
      measure,
      createWriteStream(path, { mode: 0o600 }),
    );
    return { path, bytes, sha256: hash.digest("hex"), [Symbol.dispose]: dispose };
  } catch (error) {
    dispose();
    throw explain(error, tree);
  }
}

/** A command that was killed left its archive: those whose process is gone, and that are ours to remove. */
function sweep(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || identify(Number(pid)) !== undefined) continue;
    const path = join(tmpdir(), name);
    try {
      if (lstatSync(path).uid === process.getuid?.()) rmSync(path, { recursive: true, force: true });
    } catch {
      // Another command was quicker.
    }
  }
}

/** What of a file's state goes along: its content and whether it can be executed. */
function toPlain(tree: Tree, file: string): Stats {
  const stat = lstatSync(join(tree.root, file));
  if (stat.isFile()) {
    const executable = (stat.mode & 0o100) !== 0;
    stat.mode = (stat.mode & ~0o7777) | (executable ? 0o755 : 0o644);
    // Two names of one file are two files on the other side.
    stat.nlink = 1;
  } else stat.mode = (stat.mode & ~0o7777) | 0o777;
  return stat;
}

function tooLarge(size: string): NinesError {
  return new NinesError("too_large", `the app is too large: ${size}`, {
    hint: "leave out what it does not need, with a .ninesignore file",
  });
}

function explain(error: unknown, tree: Tree): Error {
  if (error instanceof NinesError) return error;
  const code = systemCode(error);
  const path = (error as { path?: string }).path ?? tree.root;
  switch (code) {
    case "EACCES":
    case "EPERM":
      return new NinesError("invalid", `${path} cannot be read by this user`, { cause: error });
    case "EOF":
    case "ENOENT":
      return new NinesError("conflict", `${path} changed while it was packed`, {
        cause: error,
        hint: "try again when nothing changes the folder",
      });
    case "ENOSPC":
      return new NinesError("unavailable", `the disk of ${tmpdir()} is full`, {
        cause: error,
        hint: "free some space, or point TMPDIR somewhere else",
      });
    default:
      return toError(error);
  }
}
