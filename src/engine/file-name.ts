/** Ids from the registry as names of files: an id that would lead elsewhere is refused. */
import { NinesError } from "../std/errors.ts";

export function toFileName(id: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$/.test(id)) return id;
  throw new NinesError("invalid", `${JSON.stringify(id.slice(0, 80))} cannot be an id`);
}
