/** Uploaded sources, by sha256: there whole and verified, or not there. */
import { createHash, randomUUID } from "node:crypto";
import { existsSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { NinesError, systemCode, toError } from "../std/errors.ts";
import type { Home } from "../wire/home.ts";

export interface Upload {
  readonly sha256: string;
  readonly body: ReadableStream<Uint8Array> | null;
  /** Content-Length, when the client said. */
  readonly bytes: number | undefined;
  readonly bytesMax: number;
}

/** What nobody has used or finished for this long goes. */
const keptMs = 3_600_000;

export function hasUpload(home: Home, sha256: string): boolean {
  return existsSync(home.upload(sha256));
}

/** Streams to a temporary file, checks, flushes to the disk, renames. Leaves nothing behind when it fails. */
export async function receiveUpload(home: Home, upload: Upload): Promise<void> {
  const temporary = join(home.uploads, `${upload.sha256}.${randomUUID()}.tmp`);
  try {
    await writeBody(temporary, upload);
    renameSync(temporary, home.upload(upload.sha256));
    await flushFolder(home.uploads);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Removes what is old and not wanted: half-made files, and archives that no build refers to. */
export function pruneUploads(home: Home, wanted: ReadonlySet<string>, now: Date): void {
  for (const name of readdirSync(home.uploads)) {
    const path = join(home.uploads, name);
    const age = now.getTime() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? now.getTime());
    if (age > keptMs && !wanted.has(name.replace(/\.tgz$/, ""))) rmSync(path, { force: true });
  }
}

async function writeBody(path: string, upload: Upload): Promise<void> {
  const hash = createHash("sha256");
  const file = await open(path, "wx", 0o600);
  let bytes = 0;
  try {
    for await (const part of readBody(upload, () => bytes)) {
      bytes += part.byteLength;
      if (bytes > upload.bytesMax) {
        throw new NinesError("too_large", `the upload has more than ${upload.bytesMax} bytes, the limit`, {
          hint: "leave out what the build can make or fetch: list it in .ninesignore",
        });
      }
      hash.update(part);
      await file.write(part);
    }
    if (upload.bytes !== undefined && bytes !== upload.bytes) throw cutOff(bytes, upload.bytes);
    const found = hash.digest("hex");
    if (found !== upload.sha256) {
      throw new NinesError(
        "invalid",
        `the upload has the sha256 ${found}, not ${upload.sha256} as announced`,
        {
          hint: "it was damaged on the way, or changed while it was read: send it again",
        },
      );
    }
    await file.sync();
  } catch (error) {
    throw explain(error);
  } finally {
    await file.close();
  }
}

async function* readBody(upload: Upload, soFar: () => number): AsyncIterable<Uint8Array> {
  try {
    for await (const part of upload.body ?? []) yield part as Uint8Array;
  } catch (error) {
    if (error instanceof NinesError) throw error;
    throw cutOff(soFar(), upload.bytes, error);
  }
}

function cutOff(bytes: number, of: number | undefined, cause?: unknown): NinesError {
  const whole = of === undefined ? "" : ` of ${of}`;
  return new NinesError("invalid", `the upload was cut off after ${bytes}${whole} bytes`, {
    cause,
    hint: "nothing of it was kept: send it again",
  });
}

function explain(error: unknown): unknown {
  const code = systemCode(error);
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  return new NinesError("unavailable", `the upload could not be stored: ${toError(error).message}`, {
    blame: "platform",
    cause: error,
    hint: "the disk of the home folder is full: free some space",
  });
}

/**
 * A rename is only there for good once its folder is on the disk. Waited for beside everything else: on a disk that
 * others write to it takes seconds, and a controller that stands still so long is taken for hung.
 */
async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
