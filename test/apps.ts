/** Apps for the tests, each in a folder of its own that a test may change: copied from fixtures/, or written on the spot. */
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Copies fixtures/NAME into the folder. */
export function copyFixture(name: string, folder: string): string {
  cpSync(join(import.meta.dir, "fixtures", name), folder, { recursive: true });
  return folder;
}

/** Writes files (path → content) into the folder. */
export function writeApp(folder: string, files: Readonly<Record<string, string>>): string {
  for (const [path, content] of Object.entries(files)) {
    const at = join(folder, path);
    mkdirSync(dirname(at), { recursive: true });
    writeFileSync(at, content);
  }
  return folder;
}
