/**
 * A build of Nines that a test may change: a copy of its source, with modules borrowed. A change is what a change of
 * an agent is in life, other lines in a file; a restarted part runs it. The build that is shipped knows nothing of this.
 */
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Change {
  /** From the root of the repository. */
  readonly file: string;
  /** Has to be there once: a change that no longer fits fails the test. */
  readonly find: string;
  readonly replace: string;
}

export interface Build extends Disposable {
  readonly binary: string;
  /** For the test's own programs and sockets; apps reach it. */
  readonly folder: string;
  apply(change: Change): void;
  revert(change: Change): void;
}

const source = join(import.meta.dir, "..", "..");

export function copyBuild(): Build {
  const folder = mkdtempSync(join(tmpdir(), "nines-build-"));
  chmodSync(folder, 0o755);
  for (const name of ["src", "bin", "sql", "package.json", "tsconfig.json"]) {
    cpSync(join(source, name), join(folder, name), { recursive: true });
  }
  symlinkSync(join(source, "node_modules"), join(folder, "node_modules"));
  const edit = (file: string, from: string, to: string) => {
    const path = join(folder, file);
    const [before = "", after, ...rest] = readFileSync(path, "utf8").split(from);
    if (after === undefined || rest.length > 0) {
      throw new Error(
        `the change does not fit: ${file} has ${rest.length + 1 - Number(after === undefined)} times ${from}`,
      );
    }
    writeFileSync(path, before + to + after);
  };
  return {
    binary: join(folder, "bin", "nines"),
    folder,
    apply: ({ file, find, replace }) => edit(file, find, replace),
    revert: ({ file, find, replace }) => edit(file, replace, find),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
