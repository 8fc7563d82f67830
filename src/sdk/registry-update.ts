/** The loop of compare and set, the same on the platform and in local mode. */
import { NinesError } from "../std/errors.ts";
import type { AskOptions, Entry, Registry } from "./registry.ts";

const attemptsMax = 20;

export async function update<T>(
  registry: Pick<Registry, "get" | "set">,
  path: string,
  change: (value: T | undefined) => T | undefined,
  options: AskOptions,
): Promise<Entry<T> | undefined> {
  for (let attempt = 1; ; attempt++) {
    const found = await registry.get<T>(path, options);
    const value = change(found?.value);
    if (value === undefined) return found;
    try {
      const { revision } = await registry.set(path, value, { ...options, ifRevision: found?.revision ?? 0 });
      return { path, value, revision, ageMs: 0 };
    } catch (error) {
      const faster = error instanceof NinesError && error.code === "conflict";
      if (!faster || attempt === attemptsMax) throw error;
    }
  }
}
