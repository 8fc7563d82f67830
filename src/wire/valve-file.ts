/** The valves of apps as a file that instances read: turned ones, and how many processes each app has. */
import { NinesError } from "../std/errors.ts";

/** The valve `checkout` of the app `shop` is `app.shop.checkout`. */
export function toAppValve(app: string, name: string): string {
  return `app.${app}.${name}`;
}

export const appValvePrefix = "app.";

export interface ValveFile {
  /** Of the registry; grows. */
  readonly revision: number;
  /** Name to record, as the registry has it. */
  readonly valves: Readonly<Record<string, unknown>>;
  /** App to its instances on this machine, which share the limits of a fleet. */
  readonly processes: Readonly<Record<string, number>>;
}

export function parseValveFile(text: string): ValveFile {
  const value: unknown = JSON.parse(text);
  const { revision, valves, processes } = (value ?? {}) as Partial<ValveFile>;
  if (typeof revision !== "number" || typeof valves !== "object" || valves === null) {
    throw new NinesError("invalid", "the file of valves has no revision or no valves");
  }
  return {
    revision,
    valves,
    processes: typeof processes === "object" && processes !== null ? processes : {},
  };
}
